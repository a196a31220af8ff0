"""Which rows a warm start carries from an old model to a new one: pure NumPy.

The rules. Items of the old vocabulary keep their order and come first; items that only the new log has follow by
falling count, ties by id. An item is retired if the new log lacks it and it was last seen longer ago than allowed,
counted back from the new log's last event; an item whose last event is not known counts as seen when the new log
begins. A count is that of the new log plus `count_decay` times the old one, rounded, and at least 1: an item that is
kept stays a possible negative, and so can be pushed down.
"""

import dataclasses

import numpy as np

from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import UNKNOWN_ROW, Vocabulary

_BLOCK_PAIRS = 1 << 16


@dataclasses.dataclass(frozen=True, eq=False)
class RowMap:
    """The vocabulary after a warm start, and where its rows come from.

    Attributes:
      vocabulary: of the new model.
      old_rows: int64 [n_items], row in the old model, -1 for a new item.
      n_retired: old items that are left out.
    """

    vocabulary: Vocabulary
    old_rows: np.ndarray
    n_retired: int

    @property
    def n_new(self) -> int:
        """Items that the old model did not have."""
        return int(np.count_nonzero(self.old_rows == UNKNOWN_ROW))


def map_rows(
    old: Vocabulary, fresh: Vocabulary, is_retired: np.ndarray | None = None, count_decay: float = 0.0
) -> RowMap:
    """Joins the vocabularies of an old model and of a new log.

    Integers and strings are joined as strings; 12 and "12" are then the same item.

    Args:
      old: of the old model.
      fresh: of the new log alone.
      is_retired: bool [old.n_items], items to leave out unless the new log has them; None for none.
      count_decay: weight of the old counts, 0 to forget them.

    Returns:
      The new vocabulary and its rows in the old one.
    """
    old_ids, fresh_ids = _of_one_kind(old.ids, fresh.ids)
    place = fresh.rows(old_ids)
    is_seen = place != UNKNOWN_ROW
    kept = np.arange(old.n_items) if is_retired is None else np.flatnonzero(is_seen | ~is_retired)
    is_new = old.rows(fresh_ids) == UNKNOWN_ROW
    counts = count_decay * old.counts + np.where(is_seen, fresh.counts[place], 0)
    kept_counts = np.maximum(np.rint(counts[kept]), 1).astype(np.int64)
    vocabulary = Vocabulary(
        np.concatenate([old_ids[kept], fresh_ids[is_new]]),
        np.concatenate([kept_counts, fresh.counts[is_new]]),
    )
    old_rows = np.concatenate([kept, np.full(np.count_nonzero(is_new), UNKNOWN_ROW)])
    return RowMap(vocabulary, old_rows, old.n_items - len(kept))


def _of_one_kind(*ids: np.ndarray) -> tuple[np.ndarray, ...]:
    if len({each.dtype for each in ids}) == 1:
        return ids
    return tuple(each.astype(str).astype(object) for each in ids)


def with_vocabulary(log: SessionLog, vocabulary: Vocabulary) -> SessionLog:
    """Returns the log in the rows of a vocabulary that holds all of its items."""
    items = vocabulary.rows(log.vocabulary.ids)[log.items]
    return dataclasses.replace(log, items=items, vocabulary=vocabulary)


def last_seen(log: SessionLog) -> np.ndarray:
    """Returns the time of each item's last event, float64 [n_items], NaN for an item without one."""
    times = np.full(log.vocabulary.n_items, -np.inf)
    np.maximum.at(times, log.items, log.times)
    return np.where(np.isfinite(times), times, np.nan)


def retired(old_last_seen: np.ndarray, log: SessionLog, ticks: float) -> np.ndarray:
    """Tells which items have not been seen for too long.

    Args:
      old_last_seen: float64 [n_old_items], time of the last event before the new log, NaN if not known.
      log: the new log.
      ticks: longest time without an event, in the unit of the log's times; 0 retires nothing.

    Returns:
      bool [n_old_items]; whether the new log has the item does not matter here.
    """
    if not ticks:
        return np.zeros(len(old_last_seen), bool)
    seen = np.where(np.isnan(old_last_seen), float(log.times.min()), old_last_seen)
    return float(log.times.max()) - seen > ticks


def carry_rows(old: np.ndarray, start: np.ndarray, old_rows: np.ndarray) -> np.ndarray:
    """Returns `start` with the rows of known items replaced by theirs in the old table.

    Args:
      old: [n_old_items, ...].
      start: [n_items, ...], first values of new items at their rows.
      old_rows: int64 [n_items], -1 for a new item.

    Returns:
      [n_items, ...], a new array.
    """
    table = np.array(start)
    is_known = old_rows != UNKNOWN_ROW
    table[is_known] = old[old_rows[is_known]]
    return table


def neighbour_means(old: np.ndarray, start: np.ndarray, old_rows: np.ndarray, log: SessionLog) -> np.ndarray:
    """Gives every new item the mean row of its neighbours in the log's sessions.

    Neighbours are the events just before and just after one of the item's own, as often as they occur, as far as
    their item is known; a new item without any keeps its row of `start`.

    Args:
      old: [n_old_items, ...].
      start: [n_items, ...].
      old_rows: int64 [n_items], -1 for a new item.
      log: the new log, in the new rows.

    Returns:
      [n_items, ...], a new array; rows of known items are those of `start`.
    """
    own, other = _adjacent(log)
    chosen = (old_rows[own] == UNKNOWN_ROW) & (old_rows[other] != UNKNOWN_ROW)
    new_rows = np.flatnonzero(old_rows == UNKNOWN_ROW)
    place, neighbour = np.searchsorted(new_rows, own[chosen]), old_rows[other[chosen]]
    sums = np.zeros((len(new_rows), *old.shape[1:]))
    for first in range(0, len(place), _BLOCK_PAIRS):
        block = slice(first, first + _BLOCK_PAIRS)
        np.add.at(sums, place[block], old[neighbour[block]])
    counts = np.bincount(place, minlength=len(new_rows))
    has_any = counts > 0
    table = np.array(start)
    divisor = counts[has_any].reshape(-1, *[1] * (old.ndim - 1))
    table[new_rows[has_any]] = sums[has_any] / divisor
    return table


def _adjacent(log: SessionLog) -> tuple[np.ndarray, np.ndarray]:
    """Returns both ends of all neighbouring events within a session, each pair in both directions."""
    session = np.repeat(np.arange(log.n_sessions), log.lengths)
    first = np.flatnonzero(session[1:] == session[:-1])
    before, after = log.items[first], log.items[first + 1]
    return np.concatenate([before, after]), np.concatenate([after, before])
