"""A log in many Parquet parts, read one part after the other: memory for the log and a single part.

Engines that prepare logs, such as Spark, write sessions whole and in time order: what is read part by part is then the
log itself. Parts of any other kind have to be read at once, and sorted.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from absl import logging

from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.id_codes import id_codes
from tfrs_gru4rec.events.order import session_order
from tfrs_gru4rec.events.times import event_times

_CHUNK = 1 << 24


@dataclasses.dataclass
class PartedEvents:
    """Events of sessions in the order in which they are trained.

    Attributes:
      codes: int32 [n_events], which of `ids` an event's item is.
      ids: [n_ids] raw ids of items, int64 or an object array of Python str.
      offsets: int64 [n_sessions + 1]; session s is codes[offsets[s]:offsets[s + 1]].
      times: int64 or float64 [n_events].
    """

    codes: np.ndarray
    ids: np.ndarray
    offsets: np.ndarray
    times: np.ndarray

    def counts(self) -> np.ndarray:
        """Counts the events of each item, int64 [n_ids]."""
        total = np.zeros(len(self.ids), np.int64)
        for start in range(0, len(self.codes), _CHUNK):  # bincount makes a wider copy of what it counts
            total += np.bincount(self.codes[start : start + _CHUNK], minlength=len(self.ids))
        return total

    def replace_codes(self, rows: np.ndarray) -> np.ndarray:
        """Puts rows[code] in the place of each code, without a second array of that size; returns it."""
        for start in range(0, len(self.codes), _CHUNK):
            chunk = self.codes[start : start + _CHUNK]
            chunk[:] = rows[chunk]
        return self.codes


class _NotInOrder(Exception):
    """Parts do not hold whole sessions in time order, or ids and times of one kind."""


def read_parts(
    files: Sequence[str | os.PathLike[str]], read: Callable[[str], list[LogColumn]], item_type: str = "auto"
) -> PartedEvents | None:
    """Reads parts of a log one by one.

    Args:
      files: Parquet files, in the order of their sessions.
      read: gives the session, item and time columns of a file.
      item_type: as for `id_codes`.

    Returns:
      The events, as if all parts had been read at once; None where that takes reading them at once: a session has
      events in two parts, a part has a session that starts before one of an earlier part, or ids are integers in one
      and strings in another.

    Raises:
      WrongIdType: an item id is no integer, though item_type says so.
      ValueError: a part is no log.

    >>> import pyarrow as pa
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 2], "ItemId": [70, 80, 70], "Time": [5, 6, 9]})
    >>> def read(name):
    ...     rows = frame[:2] if name == "first" else frame[2:]
    ...     return [LogColumn(pa.chunked_array([rows[key].to_numpy()]), {}) for key in frame]
    >>> found = read_parts(["first", "last"], read)
    >>> found.ids[found.codes].tolist(), found.offsets.tolist()
    ([70, 80, 70], [0, 2, 3])
    >>> read_parts(["last", "first"], read) is None
    True
    """
    try:
        return _joined(_Part.of(read(os.fspath(file)), item_type) for file in files)
    except _NotInOrder as reason:
        logging.info("All parts are read at once: %s.", reason)
        return None


@dataclasses.dataclass
class _Part(PartedEvents):
    session_names: np.ndarray  # uint64 [n_sessions]: hashes tell raw ids of any kind apart in 8 bytes each

    @classmethod
    def of(cls, columns: list[LogColumn], item_type: str) -> _Part:
        times = event_times(columns.pop())
        codes, ids = id_codes(columns.pop(), item_type)
        sessions, session_ids = id_codes(columns.pop())
        order, offsets = session_order(sessions, times)
        if order is not None:
            codes, times = codes[order], times[order]
        return cls(codes, ids, offsets, times, pd.util.hash_array(session_ids))


def _joined(parts: Iterator[_Part]) -> PartedEvents:
    """Joins parts as they come."""
    found: list[_Part] = []
    known = pd.Index([])
    for part in parts:
        if found:
            _require_later(part, found[-1])
        else:
            known = _index(part.ids[:0])
        rows = known.get_indexer(_index(part.ids))
        is_new = rows < 0
        rows[is_new] = len(known) + np.arange(np.count_nonzero(is_new))
        known = _index(np.concatenate([known.to_numpy(), part.ids[is_new]]))
        part.codes = rows.astype(np.int32)[part.codes]
        part.ids = part.ids[:0]
        found.append(part)
    names = np.concatenate([part.session_names for part in found])
    names.sort()
    if (names[1:] == names[:-1]).any():
        raise _NotInOrder("a session has events in two of them")
    del names
    starts = np.cumsum([0, *(len(part.codes) for part in found)])
    offsets = [part.offsets[:-1] + start for part, start in zip(found, starts[:-1], strict=True)]
    return PartedEvents(
        _drained(found, "codes"),
        known.to_numpy(),
        np.concatenate([*offsets, starts[-1:]]),
        _drained(found, "times"),
    )


def _index(ids: np.ndarray) -> pd.Index:
    return pd.Index(ids, dtype=ids.dtype)  # or pandas would choose a type of its own for strings


def _require_later(part: _Part, before: _Part) -> None:
    if part.ids.dtype != before.ids.dtype or part.times.dtype != before.times.dtype:
        raise _NotInOrder("ids or times are of another type in some of them")
    if part.times[0] < before.times[before.offsets[-2]]:
        raise _NotInOrder("some session starts before one of an earlier part")


def _drained(parts: list[_Part], name: str) -> np.ndarray:
    """Concatenates an array of all parts, letting go of each part's as it is copied."""
    total = sum(len(getattr(part, name)) for part in parts)
    whole = np.empty(total, getattr(parts[0], name).dtype)
    start = 0
    for part in parts:
        values = getattr(part, name)
        whole[start : start + len(values)] = values
        start += len(values)
        setattr(part, name, values[:0].copy())
    return whole
