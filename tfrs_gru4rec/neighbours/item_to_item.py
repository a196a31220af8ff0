"""Recommenders that are one table: for each item, what goes with it; the last clicks' rows are added up.

    score(j) = sum over the last clicks i_0 (the latest), i_1, … of CLICK_DECAY ** a * table[i_a, j]

Such a table is bounded, a row needs no session to be read, and a server looks it up by stock operations. It can be kept
current log by log: what was counted before (`Counted`) is added to what a new log holds, weighed by a decay, as if
all the logs had been counted at once and those of k logs ago weighed decay ** k.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import sparse

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.baseline import Baseline, blocks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

N_CLICKS, CLICK_DECAY, N_TOP = 10, 0.8, 100
TABLE_ENTRIES = 1 << 22  # about 100 MB while a table is made


@dataclasses.dataclass(frozen=True, eq=False)
class Counted:
    """What was counted of logs, and all that it takes to add another one.

    Attributes:
      table: [n_items, n_items], what goes with each item, not negative.
      seen: float64 [n_items], how often each item was seen, as the subclass of `ItemToItem` counts it.
      n_sessions: sessions that were counted; as `seen`, no whole number where earlier ones weigh less.

    >>> counted = Counted(sparse.csr_array([[0.0, 3.0], [4.0, 0.0]]), np.array([5.0, 6.0]), 9.0)
    >>> moved = counted.moved(np.array([1, -1, 0]))  # the items change places, and a new one comes between
    >>> moved.table.toarray().tolist(), moved.seen.tolist()
    ([[0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]], [6.0, 0.0, 5.0])
    """

    table: sparse.csr_array
    seen: np.ndarray
    n_sessions: float

    @classmethod
    def nothing(cls, n_items: int) -> Counted:
        """Returns what there is before the first log."""
        return cls(sparse.csr_array((n_items, n_items)), np.zeros(n_items), 0.0)

    def moved(self, old_rows: np.ndarray) -> Counted:
        """Returns the same in the rows of another vocabulary.

        Args:
          old_rows: int [n_items], the row of each item of that vocabulary in this one's, -1 for a new item.
        """
        kept = np.flatnonzero(old_rows >= 0)
        parts = (np.ones(kept.size), (kept, old_rows[kept]))
        places = sparse.csr_array(parts, shape=(len(old_rows), self.seen.size))
        return Counted(sparse.csr_array(places @ self.table @ places.T), places @ self.seen, self.n_sessions)


class ItemToItem(Baseline):
    """Scores by the rows of the last clicks; a subclass counts the table.

    Attributes:
      counted: the table, and what adds another log to it.
      table: float64 [n_items, n_items], not negative.
      n_clicks: latest clicks of a session that count.
    """

    def __init__(self, log: SessionLog, counted: Counted, n_clicks: int = N_CLICKS) -> None:
        """Keeps a table.

        Args:
          log: the training log.
          counted: the table, and how often each item was seen.
          n_clicks: latest clicks of a session that count.

        Raises:
          ValueError: a number is out of its range.
        """
        checks.require_at_least(1, n_clicks=n_clicks)
        super().__init__(log)
        self.counted, self.table = counted, counted.table
        self.n_clicks = n_clicks

    def scores(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Returns the scores of the module's equation, [n_clicks, n_items]."""
        latest = latest_clicks(items, clicks, self.n_clicks)
        rows, ages = np.nonzero(latest >= 0)
        parts = (CLICK_DECAY**ages, (rows, latest[rows, ages]))
        # Built from coordinates, so that the weights of an item clicked twice are added up.
        weights = sparse.csr_array(parts, shape=(len(clicks), self.counts.size))
        return sparse.csr_array(weights @ self.table)

    def work(self, items: np.ndarray, clicks: NextClicks) -> np.ndarray:
        """Returns how many entries the rows of the last clicks have, int64 [n_clicks]."""
        lengths = np.append(np.diff(self.table.indptr), 0).astype(np.int64)
        return lengths[latest_clicks(items, clicks, self.n_clicks)].sum(axis=1) + 1


def table_of(
    rows: Callable[[slice], sparse.csr_array],
    work: np.ndarray,
    n_top: int | None,
    block_entries: int = TABLE_ENTRIES,
) -> sparse.csr_array:
    """Makes a table of bounded rows, some rows at a time, as before they are cut they may be many times longer.

    Args:
      rows: returns the rows of a slice of items, [n, n_items].
      work: [n_items], at least as many entries as an item's row has before it is cut.
      n_top: entries kept in a row, the largest; None keeps all.
      block_entries: how many entries are held at a time.

    >>> table_of(lambda items: sparse.csr_array([[3.0, 1.0]] * 2)[items], np.array([2, 2]), 1).toarray().tolist()
    [[3.0, 0.0], [3.0, 0.0]]
    """
    parts = []
    for block in blocks(work, block_entries):
        part = rows(block)
        parts.append(part if n_top is None else top_of_rows(part, n_top))
    return sparse.csr_array(sparse.vstack(parts))


def scaled(
    table: sparse.csr_array, rows: np.ndarray | float = 1.0, columns: np.ndarray | float = 1.0
) -> sparse.csr_array:
    """Multiplies the entries of a table by what their rows and their columns weigh.

    >>> table = sparse.csr_array([[1.0, 2.0], [3.0, 4.0]])
    >>> scaled(table, np.array([1.0, 10.0]), np.array([1.0, 0.0])).toarray().tolist()
    [[1.0, 0.0], [30.0, 0.0]]
    """
    of_row = np.repeat(np.broadcast_to(rows, table.shape[0]), np.diff(table.indptr))
    data = table.data * of_row * np.broadcast_to(columns, table.shape[1])[table.indices]
    return sparse.csr_array((data, table.indices, table.indptr), shape=table.shape)


def latest_clicks(items: np.ndarray, clicks: NextClicks, n: int) -> np.ndarray:
    """Lists the items that questions saw last.

    Args:
      items: int32 [n_events], rows of the items of the log.
      clicks: questions of that log.
      n: how many.

    Returns:
      int32 [n_clicks, n], the latest first, -1 before a session's first.

    >>> clicks = NextClicks(np.array([0]), np.array([2]), np.array([8]), np.array([9]))
    >>> latest_clicks(np.array([7, 8, 9]), clicks, 3).tolist()
    [[8, 7, -1]]
    """
    ages = np.arange(n)
    places = (clicks.starts + clicks.positions - 1)[:, np.newaxis] - ages
    is_there = ages < clicks.positions[:, np.newaxis]
    return np.where(is_there, items[np.maximum(places, 0)], -1).astype(np.int32)


def top_of_rows(table: sparse.csr_array, n: int) -> sparse.csr_array:
    """Keeps the n largest entries of each row; of equal ones those of lower columns.

    Raises:
      ValueError: n is below 1.

    >>> top_of_rows(sparse.csr_array([[3.0, 1.0, 1.0], [0.0, 0.0, 2.0]]), 2).toarray().tolist()
    [[3.0, 1.0, 0.0], [0.0, 0.0, 2.0]]
    """
    checks.require_at_least(1, n=n)
    table.sort_indices()
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    order = np.lexsort((-table.data, rows))  # stable: of equal entries the lower column comes first
    kept = np.sort(order[np.arange(table.nnz) - table.indptr[rows] < n])
    return sparse.csr_array((table.data[kept], (rows[kept], table.indices[kept])), shape=table.shape)
