"""Which rows a warm start carries from an old model to a new one: arrays in, arrays out.

Items of the old vocabulary keep their order and come first; items that only the new log has follow by
falling count, ties by id. An item is retired if the new log lacks it and it was last seen longer ago than allowed,
counted back from the new log's last event; an item whose last event is not known counts as seen when the new log
begins. A count is that of the new log plus `count_decay` times the old one, rounded, and at least 1: an item that is
kept stays a possible negative, and so can be pushed down.
"""

import dataclasses

import numpy as np
from scipy import sparse

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.pipelines.session_log import SessionLog, log_of_events
from tfrs_gru4rec.pipelines.vocabulary import UNKNOWN_ROW, Vocabulary


@dataclasses.dataclass(frozen=True, eq=False)
class RowMap:
    """The vocabulary after a warm start, and where its rows come from."""

    vocabulary: Vocabulary  # the vocabulary of the new model
    old_rows: np.ndarray  # int64 [n_items], row of each item in the old model, -1 for a new item
    n_retired: int  # number of old items that are left out

    @property
    def n_new(self) -> int:
        """Number of items that the old model did not have."""
        return int(np.count_nonzero(self.old_rows == UNKNOWN_ROW))


def map_rows(
    old: Vocabulary, fresh: Vocabulary, is_retired: np.ndarray | None = None, count_decay: float = 0.0
) -> RowMap:
    """Joins the vocabularies of an old model and of a new log.

    Args:
      old: the vocabulary of the old model.
      fresh: the vocabulary of the new log alone.
      is_retired: bool [old.n_items], items to leave out unless the new log has them; None for none.
      count_decay: weight of the old counts, 0 to forget them.

    Raises:
      ValueError: the ids of one are integers, those of the other strings.

    >>> old, fresh = Vocabulary.from_items(list("aab")), Vocabulary.from_items(list("xxb"))
    >>> rows = map_rows(old, fresh)
    >>> list(rows.vocabulary.ids), rows.vocabulary.counts.tolist(), rows.old_rows.tolist()
    (['a', 'b', 'x'], [1, 1, 2], [0, 1, -1])
    """
    require(
        old.item_type == fresh.item_type,
        f"The item ids of the new log must be of the old model's type: read it with item_type={old.item_type}.",
        item_type=fresh.item_type,
        item_id=fresh.ids[0],
    )
    place = fresh.rows(old.ids)
    is_seen = place != UNKNOWN_ROW
    kept = np.arange(old.n_items) if is_retired is None else np.flatnonzero(is_seen | ~is_retired)
    is_new = old.rows(fresh.ids) == UNKNOWN_ROW
    counts = count_decay * old.counts + np.where(is_seen, fresh.counts[place], 0)
    kept_counts = np.maximum(np.rint(counts[kept]), 1).astype(np.int64)
    vocabulary = Vocabulary(
        np.concatenate([old.ids[kept], fresh.ids[is_new]]),
        np.concatenate([kept_counts, fresh.counts[is_new]]),
    )
    old_rows = np.concatenate([kept, np.full(np.count_nonzero(is_new), UNKNOWN_ROW)])
    return RowMap(vocabulary, old_rows, old.n_items - len(kept))


def in_rows_of(log: SessionLog, vocabulary: Vocabulary) -> SessionLog:
    """Returns a log in the rows of another vocabulary; events of items that it lacks are dropped and counted.

    What is left may hold no pair at all.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1], "ItemId": list("axb"), "Time": range(3)})
    >>> log = in_rows_of(SessionLog.from_frame(frame), Vocabulary.from_items(list("bba")))
    >>> log.items.tolist(), log.dropped_events
    ([1, 0], 1)
    """
    return log_of_events(log.sessions, log.items, log.vocabulary.ids, log.times, vocabulary)


def last_seen(log: SessionLog) -> np.ndarray:
    """Returns the time of each item's last event, float64 [n_items], NaN for an item without one.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1], "ItemId": list("aba"), "Time": [5, 6, 9]})
    >>> last_seen(SessionLog.from_frame(frame)).tolist()
    [9.0, 6.0]
    """
    times = np.full(log.vocabulary.n_items, -np.inf)
    np.maximum.at(times, log.items, log.times)
    return np.where(np.isfinite(times), times, np.nan)


def retired(old_last_seen: np.ndarray, log: SessionLog, ticks: float) -> np.ndarray:
    """Tells which items have not been seen for too long, bool [n_old_items], whether or not the new log has them.

    Args:
      old_last_seen: float64 [n_old_items], time of the last event before the new log, NaN if not known.
      log: the new log.
      ticks: longest time without an event, in the unit of the log's times; 0 retires nothing.

    >>> import pandas as pd
    >>> log = SessionLog.from_frame(pd.DataFrame({"SessionId": [1, 1], "ItemId": ["a", "b"], "Time": [90, 100]}))
    >>> retired(np.array([70.0, np.nan, 95.0]), log, ticks=20).tolist()
    [True, False, False]
    """
    if not ticks:
        return np.zeros(len(old_last_seen), bool)
    seen = np.where(np.isnan(old_last_seen), float(log.times.min()), old_last_seen)
    return float(log.times.max()) - seen > ticks


def carry_rows(old: np.ndarray, start: np.ndarray, old_rows: np.ndarray) -> np.ndarray:
    """Carries the rows of known items from an old table [n_old_items, ...] into a new one, [n_items, ...].

    Args:
      old: the old table.
      start: the new table, with the first values of new items at their rows.
      old_rows: int64 [n_items], row of each item in the old table, -1 for a new item.

    >>> carry_rows(np.array([5.0, 6.0]), np.zeros(3), np.array([1, -1, 0])).tolist()
    [6.0, 0.0, 5.0]
    """
    table = np.array(start)
    is_known = old_rows != UNKNOWN_ROW
    table[is_known] = old[old_rows[is_known]]
    return table


def neighbour_means(old: np.ndarray, start: np.ndarray, old_rows: np.ndarray, log: SessionLog) -> np.ndarray:
    """Gives every new item the mean row of its neighbours in the new log's sessions; other rows are those of `start`.

    The neighbours of an item are the events just before and just after each of its own, as often as they occur. Those
    whose item is known count; a new item without any keeps its row of `start`. Tables and rows are as for `carry_rows`;
    the log is in the new rows.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1], "ItemId": list("axb"), "Time": range(3)})
    >>> log = SessionLog.from_frame(frame)  # its rows are those of a, b and x
    >>> neighbour_means(np.array([1.0, 4.0]), np.zeros(3), np.array([0, 1, -1]), log).tolist()
    [0.0, 0.0, 2.5]
    """
    own, other = _adjacent(log)
    counts = (old_rows[own] == UNKNOWN_ROW) & (old_rows[other] != UNKNOWN_ROW)
    ends = (own[counts], old_rows[other[counts]])
    # How often each item of the old table stands beside each new item; equal pairs are added up.
    beside = sparse.csr_array((np.ones(len(ends[0])), ends), shape=(len(old_rows), len(old)))
    n_neighbours = beside.sum(axis=1)
    has_any = n_neighbours > 0
    means = (beside @ old.reshape(len(old), -1))[has_any] / n_neighbours[has_any, np.newaxis]
    table = np.array(start)
    table[has_any] = means.reshape(-1, *old.shape[1:])
    return table


def _adjacent(log: SessionLog) -> tuple[np.ndarray, np.ndarray]:
    """Returns both ends of all neighbouring events within a session, each pair in both directions."""
    session = log.sessions
    first = np.flatnonzero(session[1:] == session[:-1])
    before, after = log.items[first], log.items[first + 1]
    return np.concatenate([before, after]), np.concatenate([after, before])
