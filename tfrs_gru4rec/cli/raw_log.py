"""Reads a raw log, with events of all kinds, for `gru4rec-prepare`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.datasets.events import Events, reorder_codes, sort_events
from tfrs_gru4rec.events.columns import LogColumn, event_times, id_codes, raw_id_array
from tfrs_gru4rec.events.log_files import read_columns

_TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_YEAR_5000 = 95_617_584_000  # in seconds since 1970; in ms it is January 1973
_UNIT_RULE = (
    "These times are beyond the year 5000 if they are in seconds: say in which unit they are, as in "
    "--time_unit=ms."
)


@dataclasses.dataclass(frozen=True, eq=False)
class RawLog:
    """A raw log in memory.

    Attributes:
      events: all events in file order; sessions are codes of sessions or users; times in seconds. The items
        of unwanted events are -1.
      is_wanted: bool [n_events], whether the event is of a kind to keep.
      session_ids: raw ids by session code, rising.
      item_ids: raw ids by item code, rising.
    """

    events: Events
    is_wanted: np.ndarray
    session_ids: np.ndarray
    item_ids: np.ndarray

    def sorted_wanted(self) -> Events:
        """The wanted events by session, then time."""
        return sort_events(self.events.select(self.is_wanted))


def read_raw_log(
    path: str | os.PathLike[str],
    keys: tuple[str, str, str],
    time_unit: str = "s",
    kinds: tuple[str, Sequence[str]] | None = None,
) -> RawLog:
    """Reads a log file.

    Args:
      path: TSV, CSV or Parquet, also gzipped.
      keys: columns of sessions (or users), items and times.
      time_unit: of times that are numbers: s, ms, us or ns.
      kinds: column of the kind of event, and the kinds to keep; None keeps all.

    Returns:
      The log.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file or its content is no log; the message names file, column and first bad line.
    """
    columns = read_columns(path, [*keys, *([kinds[0]] if kinds else [])])
    is_wanted = _is_wanted(columns.pop(), kinds[1]) if kinds else np.ones(len(columns[0].values), bool)
    session_column, item_column, time_column = columns
    columns.clear()
    times = _times(time_column, time_unit)
    del time_column
    sessions, session_ids = _codes(session_column)
    del session_column
    # An event of another kind need not have an item.
    wanted_items, item_ids = _codes(_take(item_column, np.flatnonzero(is_wanted)))
    items = np.full(len(is_wanted), -1, np.int32)
    items[is_wanted] = wanted_items
    return RawLog(Events(sessions, items, times), is_wanted, session_ids, item_ids)


def _is_wanted(column: LogColumn, kinds: Sequence[str]) -> np.ndarray:
    values = column.values.cast(pa.string())
    is_wanted = pc.is_in(values, pa.array(list(kinds), pa.string())).to_numpy()
    if not is_wanted.any():
        rule = "No event is of a kind in --event_values."
        present = sorted(kind for kind in values.unique().to_pylist()[:20] if kind is not None)
        require(False, rule, **column.place, event_values=list(kinds), present=present)
    return is_wanted


def _take(column: LogColumn, rows: np.ndarray) -> LogColumn:
    if len(rows) == len(column.values):
        return column
    return LogColumn(
        column.values.take(pa.array(rows)),
        column.place,
        column.is_text,
        lambda row: column.locate(int(rows[row])),
    )


def _codes(column: LogColumn) -> tuple[np.ndarray, np.ndarray]:
    codes, ids = id_codes(column)
    return reorder_codes(codes, raw_id_array(ids, column.is_text))


def _times(column: LogColumn, unit: str) -> np.ndarray:
    """Times in seconds: int64 if all are whole, else float64."""
    times = event_times(column)
    if not _holds_numbers(column):
        return times
    ticks = _TICKS_PER_SECOND[unit]
    times = times if ticks == 1 else times / ticks
    whole = times.astype(np.int64)
    times = whole if (whole == times).all() else times
    require(times.max() < _YEAR_5000, _UNIT_RULE, **column.place, largest=times.max(), time_unit=unit)
    return times


def _holds_numbers(column: LogColumn) -> bool:
    kind = column.values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return False
    first = column.values[0].as_py()
    return not isinstance(first, str) or _is_number(first)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_time(text: str, unit: str) -> float:
    """Reads a time from the command line as seconds.

    Args:
      text: a number in `unit`, or an ISO 8601 date, UTC unless it names a zone.
      unit: s, ms, us or ns.

    Returns:
      Seconds, since 1970 UTC for a date.

    Raises:
      ValueError: the text is neither.
    """
    if _is_number(text):
        return float(text) / _TICKS_PER_SECOND[unit]
    column = LogColumn(
        pa.chunked_array([[text]]), {"flag": "--test_from"}, locate=lambda row: ("argument", row + 1)
    )
    return float(event_times(column)[0])
