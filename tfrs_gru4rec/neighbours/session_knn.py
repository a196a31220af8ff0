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
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.next_clicks import PopularityOrder, TestPairs, sparse_ranks, test_pairs
from tfrs_gru4rec.neighbours.ragged import blocks, grouped, pointers, spans
from tfrs_gru4rec.pipelines.session_log import SessionLog

_BLOCK_ENTRIES = 1 << 18


@dataclasses.dataclass(frozen=True, eq=False)
class _SessionIndex:
    """Items of each past session, and past sessions of each item.

    Attributes:
      session_begins: int64 [n_sessions + 1], into session_items.
      session_items: int64, distinct items of session after session.
      item_begins: int64 [n_items + 1], into item_sessions.
      item_sessions: int64, sessions with each item, the oldest first.
      idf: float64 [n_items].
    """

    session_begins: np.ndarray
    session_items: np.ndarray
    item_begins: np.ndarray
    item_sessions: np.ndarray
    idf: np.ndarray


class SessionKNN:
    """V-SkNN; the equations are those of the module."""

    def __init__(
        self, index: _SessionIndex, popularity: PopularityOrder, n_neighbours: int, n_candidates: int
    ) -> None:
        """Use `fit`."""
        self._index = index
        self._popularity = popularity
        self._n_neighbours = n_neighbours
        self._n_candidates = n_candidates

    @classmethod
    def fit(
        cls, log: SessionLog, n_neighbours: int = 500, n_candidates: int = 5000, idf: bool = True
    ) -> SessionKNN:
        """Indexes the sessions of a training log.

        Args:
          log: the training log.
          n_neighbours: sessions that vote, k in the paper.
          n_candidates: most recent sessions considered, m in the paper; at least n_neighbours.
          idf: whether rare items weigh more.

        Returns:
          The fitted baseline.
        """
        checks.require_at_least(1, n_neighbours=n_neighbours)
        checks.require_at_least(n_neighbours, n_candidates=n_candidates)
        n_items = len(log.vocabulary.ids)
        popularity = PopularityOrder(np.bincount(log.items, minlength=n_items))
        return cls(_index_of(log, idf), popularity, n_neighbours, n_candidates)

    def ranks(self, log: SessionLog, tie: str = "standard", pairs: TestPairs | None = None) -> np.ndarray:
        """Ranks the next clicks of a test log in the vocabulary of the training log.

        Args:
          log: the test log.
          tie: standard, conservative or median, see `protocol`.
          pairs: the pairs of `log` to rank; None takes all.

        Returns:
          float64 [n_pairs].
        """
        pairs = test_pairs(log) if pairs is None else pairs
        posted = np.diff(self._index.item_begins)[log.items]
        before = np.concatenate([[0], np.cumsum(posted)])
        ranks = np.empty(len(pairs))
        work = before[pairs.starts + pairs.positions] - before[pairs.starts] + pairs.positions
        for block in blocks(work, _BLOCK_ENTRIES):
            ranks[block] = self._block_ranks(log.items, pairs.take(np.r_[block]), tie)
        return ranks

    def _block_ranks(self, items: np.ndarray, pairs: TestPairs, tie: str) -> np.ndarray:
        rows, sessions, similarity, weight = self._candidates(items, pairs)
        chosen = _best(rows, similarity, self._n_neighbours)
        rows, sessions, vote = rows[chosen], sessions[chosen], (similarity * weight)[chosen]
        begins = self._index.session_begins[sessions]
        voters, entries = spans(begins, self._index.session_begins[sessions + 1] - begins)
        n_items = self._index.idf.size
        keys, bounds, order = grouped(rows[voters] * n_items + self._index.session_items[entries])
        scored = keys % n_items
        scores = np.add.reduceat(vote[voters][order], bounds[:-1]) * self._index.idf[scored]
        return sparse_ranks(keys // n_items, scored, scores, pairs.targets, self._popularity, tie)

    def _candidates(
        self, items: np.ndarray, pairs: TestPairs
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Finds the candidates of each pair.

        Returns:
          (rows, sessions, similarity, weight), each [n_found], sorted by pair and recency, the newest last;
          the similarity and the weight times the session's length l.
        """
        rows, events = spans(pairs.starts, pairs.positions)
        n_items, n_sessions = self._index.idf.size, self._index.session_begins.size - 1
        keys, bounds, order = grouped(rows * n_items + items[events])
        seen_by, seen = keys // n_items, keys % n_items
        last_click = events[order[bounds[1:] - 1]]
        # p(i) without the 1 / l: no rank changes, and sums of whole numbers are exact, so equals stay equal.
        position = (last_click - pairs.starts[seen_by] + 1).astype(np.float64)
        ends = self._index.item_begins[seen + 1]
        lengths = np.minimum(ends - self._index.item_begins[seen], self._n_candidates)
        shared, entries = spans(ends - lengths, lengths)
        keys = seen_by[shared] * n_sessions + self._index.item_sessions[entries]
        found, bounds, order = grouped(keys)
        ordered = position[shared[order]]
        similarity = np.add.reduceat(ordered, bounds[:-1])
        weight = np.maximum.reduceat(ordered, bounds[:-1])
        rows = found // n_sessions
        newest = _from_end(rows) < self._n_candidates
        return rows[newest], found[newest] % n_sessions, similarity[newest], weight[newest]


def _index_of(log: SessionLog, idf: bool) -> _SessionIndex:
    n_items, n_sessions = len(log.vocabulary.ids), log.offsets.size - 1
    session = np.repeat(np.arange(n_sessions), np.diff(log.offsets))
    keys = np.unique(session * n_items + log.items)
    sessions, items = keys // n_items, keys % n_items
    order = np.argsort(items, kind="stable")
    holders = np.bincount(items, minlength=n_items)
    weights = np.log(n_sessions / np.maximum(holders, 1)) if idf else np.ones(n_items)
    return _SessionIndex(
        pointers(sessions, n_sessions), items, pointers(items, n_items), sessions[order], weights
    )


def _from_end(rows: np.ndarray) -> np.ndarray:
    """Distance of each entry from the last one of its row; rows are sorted."""
    lengths = np.bincount(rows)
    return np.cumsum(lengths)[rows] - 1 - np.arange(rows.size)


def _best(rows: np.ndarray, similarity: np.ndarray, n_best: int) -> np.ndarray:
    """Returns the entries of the highest similarity of each row, of equals the later; rows are sorted."""
    crowded = np.bincount(rows)[rows] > n_best
    spare, busy = np.flatnonzero(~crowded), np.flatnonzero(crowded)
    busy = busy[np.lexsort((busy, similarity[busy], rows[busy]))]
    kept = busy[_from_end(rows[busy]) < n_best]
    return np.sort(np.concatenate([spare, kept]))
