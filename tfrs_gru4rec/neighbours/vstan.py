"""Neighbours that forget: V-SkNN with the decays of STAN, VSTAN.

STAN: Garg, Gupta, Malhotra, Vig and Shroff 2019, "Sequence and Time Aware Neighborhood for Session-based
Recommendations" (SIGIR). VSTAN, with the idf of V-SkNN: Ludewig, Mauro, Latifi and Jannach 2021, "Empirical analysis of
session-based recommendation algorithms". Of a current session s with l clicks, p(i, s) is the position of its last
click on item i, and of a past session n, which has |n| items, likewise:

    sim(s, n) = w2(n) * sum over i in both of exp((p(i, s) - l) / lambda_spw) / sqrt(|n|)
    w2(n)     = exp(-age(n) / lambda_snh),  age(n) = number of sessions of the log that began after n
    score(j)  = idf(j) * sum over neighbours n with j of sim(s, n) * exp(-|p(j, n) - p(i*, n)| / lambda_inh)

i* is the item of both that s clicked last. Candidates, neighbours and idf are those of V-SkNN (`session_knn`). The
papers count age in days; sessions are a unit that logs without true times have too.
"""

import numpy as np
from scipy import sparse

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.session_knn import SessionKNN, last_of_each
from tfrs_gru4rec.pipelines.session_log import SessionLog


class VSTAN(SessionKNN):
    """VSTAN; the equations are those of the module.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("abcdab"), "Time": range(6)})
    >>> log = SessionLog.from_frame(frame)
    >>> VSTAN(log, n_neighbours=2, n_candidates=2).ranks(log).tolist()  # the item clicked is nearest to itself
    [2.0, 2.0, 2.0]
    """

    def __init__(
        self,
        log: SessionLog,
        n_neighbours: int = 500,
        n_candidates: int = 5000,
        idf: bool = True,
        lambda_spw: float = 2.0,
        lambda_snh: float = 100_000.0,
        lambda_inh: float = 8.0,
    ) -> None:
        """Indexes the sessions of a training log.

        Args:
          log: the training log.
          n_neighbours: sessions that vote.
          n_candidates: most recent sessions considered; at least n_neighbours.
          idf: whether rare items weigh more.
          lambda_spw: clicks of the current session after which one weighs 1 / e.
          lambda_snh: sessions of the log after which one weighs 1 / e.
          lambda_inh: clicks of a past session between an item and the last one shared, at which it weighs 1 / e.

        Raises:
          ValueError: a number is out of its range.
        """
        checks.require_positive(lambda_spw=lambda_spw, lambda_snh=lambda_snh, lambda_inh=lambda_inh)
        super().__init__(log, n_neighbours, n_candidates, idf)
        self._lambda_spw, self._lambda_inh = lambda_spw, lambda_inh
        ages = np.arange(log.n_sessions)[::-1]
        sizes = np.maximum(np.diff(self._sessions.indptr), 1)
        self._of_sessions = np.exp(-ages / lambda_snh) / np.sqrt(sizes)
        # Of every session its items again, with the positions of their last clicks.
        sessions, n_items = log.sessions.astype(np.int64), log.vocabulary.n_items
        keys, last = last_of_each(sessions * n_items + log.items)
        positions = (last - log.offsets[sessions[last]]).astype(np.float64)
        parts = (positions, keys % n_items, self._sessions.indptr)
        self._places = sparse.csr_array(parts, shape=self._sessions.shape)

    def scores(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Returns the scores of the module's equations, [n_clicks, n_items]."""
        weights = self._positions(items, clicks)
        of_row = np.repeat(clicks.positions, np.diff(weights.indptr))
        weights.data = np.exp((weights.data - of_row) / self._lambda_spw)
        neighbours = self._neighbours(weights, self._of_sessions)
        rows = np.repeat(np.arange(len(clicks)), np.diff(neighbours.indptr))
        theirs = self._places[neighbours.indices]
        voters = np.repeat(np.arange(rows.size), np.diff(theirs.indptr))
        # The weight that the current session gives an item rises with its position: the last shared one has the most.
        shared = _look_up(weights, rows[voters], theirs.indices)
        is_last = np.zeros(shared.size, bool)
        order = np.lexsort((shared, voters))
        is_last[order[theirs.indptr[1:] - 1]] = True
        distance = np.abs(theirs.data - theirs.data[is_last][voters])
        votes = neighbours.data.real[voters] * np.exp(-distance / self._lambda_inh)
        votes *= self._idf[theirs.indices]
        shape = (len(clicks), self.counts.size)
        return sparse.csr_array(sparse.coo_array((votes, (rows[voters], theirs.indices)), shape=shape))


def _look_up(matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns entries of a matrix with sorted rows, 0 where it has none; float64 [n]."""
    stored = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * matrix.shape[1] + matrix.indices
    wanted = rows * matrix.shape[1] + columns
    places = np.minimum(np.searchsorted(stored, wanted), stored.size - 1)
    return np.where(stored[places] == wanted, matrix.data[places], 0.0)
