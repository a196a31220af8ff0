"""Lists of unequal length kept flat, as the baselines' indices are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def spans(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists the positions of several spans one after another.

    Args:
      starts: int64 [n], first position of each span.
      lengths: int64 [n], zero allowed.

    Returns:
      (rows, positions), both int64 [sum of lengths]: which span, and the position.
    """
    rows = np.repeat(np.arange(lengths.size), lengths)
    before = np.cumsum(lengths) - lengths
    return rows, np.arange(rows.size) + np.repeat(starts - before, lengths)


def blocks(sizes: np.ndarray, limit: int) -> Iterator[slice]:
    """Cuts a sequence into runs whose sizes add up to about `limit`, one element at least.

    Args:
      sizes: int64 [n].
      limit: the most that a run of several elements adds up to.

    Yields:
      Slices that cover 0 .. n in order.
    """
    total = np.cumsum(sizes)
    begin = 0
    while begin < sizes.size:
        done = total[begin - 1] if begin else 0
        end = max(int(np.searchsorted(total, done + limit, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end


def grouped(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorts keys, keeping the order of equals.

    Args:
      keys: int64 [n].

    Returns:
      (distinct, bounds, order): the distinct keys, rising [n_distinct]; group g of them is
      order[bounds[g]:bounds[g + 1]], [n_distinct + 1] and [n].
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    bounds = np.concatenate([[0], changes, [keys.size]]) if keys.size else np.zeros(1, np.int64)
    return ordered[bounds[:-1]], bounds, order


def pointers(groups: np.ndarray, n_groups: int) -> np.ndarray:
    """Returns int64 [n_groups + 1]: where each group begins in an array sorted by group."""
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=n_groups))])
