"""Session-based nearest neighbours with vector multiplication, V-SkNN.

Ludewig and Jannach 2018, "Evaluation of Session-based Recommendation Algorithms", arXiv:1803.09587; the
weight w is that of their S-SkNN, and the idf that of later published forms of V-SkNN.

The current session s has l clicks; p(i) is the position, from 1, of its last click on item i. A past session
n is the set of its items.

    candidates: the `n_candidates` most recent past sessions that share an item with s
    similarity: sim(s, n) = sum over i in both of p(i) / l           (linear decay: the last click weighs 1)
    neighbours: the `n_neighbours` candidates most similar to s; of equally similar ones the more recent
    score:      score(j) = idf(j) * sum over neighbours n with j of sim(s, n) * w(s, n)
                w(s, n) = max over i in both of p(i) / l             (the most recent click they share)
                idf(j)  = log(number of past sessions / number of those with j), or 1

Recency is the order of the sessions' first clicks. Items of equal score, those of no neighbour among them, go
by popularity.

In matrices: P [n_clicks, n_items] holds the p(i), S [n_sessions, n_items] is 1 where a past session has an item. The
similarities are P S', and the scores are the neighbours' votes sim * w, [n_clicks, n_sessions], times S. The 1 / l is
left out: it changes no rank, and sums of whole numbers are exact, so that equals stay equal.

The same product finds w: beside each p(i), as the imaginary part, stands 4 ** (p(i) - l), and a sum of different powers
of 4 lies between the highest of them and the next. Of a neighbour that shares no later click w is that of the click 500
before the last.
"""

import numpy as np
from scipy import sparse

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.baseline import Baseline
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

# Clicks further back count as this one. A float64 still holds the power of 4 of one some clicks older, and very many of
# those together stay below this one's.
_OLDEST, _LEAST_POWER = -500, -510


class SessionKNN(Baseline):
    """V-SkNN; the equations are those of the module.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("abcdab"), "Time": range(6)})
    >>> log = SessionLog.from_frame(frame)
    >>> SessionKNN(log, n_neighbours=2, n_candidates=2).ranks(log).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(
        self, log: SessionLog, n_neighbours: int = 500, n_candidates: int = 5000, idf: bool = True
    ) -> None:
        """Indexes the sessions of a training log.

        Args:
          log: the training log.
          n_neighbours: sessions that vote, k in the paper.
          n_candidates: most recent sessions considered, m in the paper; at least n_neighbours.
          idf: whether rare items weigh more.

        Raises:
          ValueError: a number is out of its range.
        """
        checks.require_at_least(1, n_neighbours=n_neighbours)
        checks.require_at_least(n_neighbours, n_candidates=n_candidates)
        super().__init__(log)
        self._n_neighbours = n_neighbours
        self._n_candidates = n_candidates
        holders = sessions_of_items(log)
        self._sessions = holders.T.tocsr()  # [n_sessions, n_items]
        n_holders = np.maximum(np.diff(holders.indptr), 1)
        self._idf = np.log(log.n_sessions / n_holders) if idf else np.ones(log.vocabulary.n_items)
        # A session that is not among the n_candidates latest of one of its items is no candidate by that item. Complex
        # as the positions are: SciPy would make a complex copy for each product.
        self._holders = keep(holders, from_end(holders) <= n_candidates).astype(np.complex128)

    def scores(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Returns the scores of the module's equations, [n_clicks, n_items]."""
        positions = self._positions(items, clicks)
        ages = positions.data - np.repeat(clicks.positions, np.diff(positions.indptr))
        positions = with_data(positions, positions.data + 1j * 4.0 ** np.maximum(ages, _LEAST_POWER))
        neighbours = self._neighbours(positions)
        exponents = (np.frexp(neighbours.data.imag)[1] - 1) // 2  # of 4, rounded down
        latest = np.repeat(clicks.positions, np.diff(neighbours.indptr)) + np.maximum(exponents, _OLDEST)
        scores = with_data(neighbours, neighbours.data.real * latest) @ self._sessions
        scores.data *= self._idf[scores.indices]
        return scores

    def work(self, items: np.ndarray, clicks: NextClicks) -> np.ndarray:
        """Returns how many sessions the items seen so far have, each counted for each of them, int64 [n_clicks]."""
        n_holders = np.diff(self._holders.indptr)[items]
        before = np.concatenate([[0], np.cumsum(n_holders)])
        return before[clicks.starts + clicks.positions] - before[clicks.starts] + clicks.positions

    def _positions(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Returns P [n_clicks, n_items]: p(i) of each item seen."""
        n_items = self.counts.size
        rows, events = clicks.seen_events()
        keys, last = last_of_each(rows * n_items + items[events])
        position = (events[last] - clicks.starts[rows[last]] + 1).astype(np.float64)
        return sparse.csr_array((position, (keys // n_items, keys % n_items)), shape=(len(clicks), n_items))

    def _neighbours(
        self, positions: sparse.csr_array, of_sessions: np.ndarray | None = None
    ) -> sparse.csr_array:
        """Returns the similarities [n_clicks, n_sessions] of the neighbours alone, times weights of the sessions.

        They are complex, and compared by their real part, which the real parts of the positions alone decide.
        """
        similarity = positions @ self._holders
        similarity.sort_indices()  # by recency
        if of_sessions is not None:
            similarity.data *= of_sessions[similarity.indices]
        candidates = keep(similarity, from_end(similarity) <= self._n_candidates)
        # Of the clicks with more candidates than may vote; the others' all do.
        counts = np.diff(candidates.indptr)
        is_crowded = counts > self._n_neighbours
        crowded = np.flatnonzero(np.repeat(is_crowded, counts))
        rows = np.repeat(np.flatnonzero(is_crowded), counts[is_crowded])
        # Stable: of equally similar ones the more recent come last.
        order = np.lexsort((candidates.data.real[crowded], rows))
        is_near = np.ones(candidates.nnz, bool)
        is_near[crowded[order]] = from_end(candidates)[crowded] <= self._n_neighbours
        return keep(candidates, is_near)


def last_of_each(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns distinct keys, rising, and where each occurs last.

    >>> keys, places = last_of_each(np.array([7, 4, 7]))
    >>> keys.tolist(), places.tolist()
    ([4, 7], [1, 2])
    """
    distinct, from_behind = np.unique(keys[::-1], return_index=True)
    return distinct, keys.size - 1 - from_behind


def sessions_of_items(log: SessionLog) -> sparse.csr_array:
    """Returns a matrix [n_items, n_sessions] that is 1 where a session has an item, the oldest session first."""
    shape = (log.n_sessions, log.vocabulary.n_items)
    # What follows would write into the log.
    sessions = sparse.csr_array((np.ones(log.n_events), log.items, log.offsets), shape=shape, copy=True)
    sessions.sum_duplicates()
    sessions.data[:] = 1.0
    return sessions.T.tocsr()


def from_end(matrix: sparse.csr_array) -> np.ndarray:
    """Returns each stored entry's place in its row, counted from the end: the last is 1; int64 [n_stored]."""
    return np.repeat(matrix.indptr[1:], np.diff(matrix.indptr)) - np.arange(matrix.nnz)


def with_data(matrix: sparse.csr_array, data: np.ndarray) -> sparse.csr_array:
    """Returns a matrix with the same entries stored, of other values [n_stored]."""
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def keep(matrix: sparse.csr_array, is_kept: np.ndarray) -> sparse.csr_array:
    """Returns a matrix of the stored entries that are marked, bool [n_stored]."""
    kept_before = np.concatenate([[0], np.cumsum(is_kept)])
    parts = (matrix.data[is_kept], matrix.indices[is_kept], kept_before[matrix.indptr])
    return sparse.csr_array(parts, shape=matrix.shape)
