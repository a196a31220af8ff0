"""From Arrow columns to NumPy: ids as codes of distinct ids, times as numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events import raw_ids

_TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EMPTY_RULE = "An id must not be empty: fill it in or drop the event."
_KIND_RULE = "Ids must be integers or strings."
_TIME_RULE = "Times must be all numbers or all ISO 8601 dates."
_NULL_SPELLINGS = pa.array(["nan", "null", "none", "na", "n/a", "#n/a", "<na>"])


@dataclasses.dataclass(frozen=True)
class LogColumn:
    """One column of a log and how to speak of it in an error.

    Attributes:
      values: the column.
      place: what names source and column, e.g. {"file": "a.tsv", "column": "Time"}.
      is_text: it comes from a text file, which does not say whether its ids are integers.
      locate: gives what a 0-based row is called, and its number, e.g. ("line", 7).
    """

    values: pa.ChunkedArray
    place: dict[str, str]
    is_text: bool = False
    locate: Callable[[int], tuple[str, int]] = lambda row: ("row", row + 1)

    def reject_first(self, is_bad: pa.ChunkedArray | np.ndarray, rule: str) -> None:
        """Raises ValueError about the first bad row, if there is one.

        Args:
          is_bad: bool [n_events].
          rule: the rule that a bad row breaks.
        """
        flags = is_bad if isinstance(is_bad, np.ndarray) else is_bad.to_numpy()
        row = int(flags.argmax())
        if flags[row]:
            word, number = self.locate(row)
            require(False, rule, **self.place, **{word: number}, value=self.values[row].as_py())


def id_codes(column: LogColumn) -> tuple[np.ndarray, pa.Array]:
    """Replaces the ids of a column by codes of the distinct ids.

    Args:
      column: ids, integers or strings.

    Returns:
      codes int32 [n_events] and ids [n_ids], integers or strings; the id of event e is ids[codes[e]].

    Raises:
      ValueError: an id is empty, or the column is neither of integers nor of strings.
    """
    encoded = _integers_or_strings(column).dictionary_encode()
    codes = np.empty(len(encoded), dtype=np.int32)
    start = 0
    for chunk in encoded.chunks:
        codes[start : start + len(chunk)] = chunk.indices.to_numpy()
        start += len(chunk)
    ids = encoded.chunk(0).dictionary  # all chunks share it
    if column.is_text:
        is_empty = _is_empty_text(ids).to_numpy(zero_copy_only=False)
        if is_empty.any():
            column.reject_first(is_empty[codes], _EMPTY_RULE)
    return codes, ids


def raw_id_array(ids: pa.Array, is_text: bool) -> np.ndarray:
    """Turns distinct ids into what a vocabulary holds.

    Ids of a text file become integers if every one is an integer's plain spelling; a single "007" or "A1"
    leaves all of them strings. Ids of a typed column keep their type.

    Args:
      ids: [n_ids], integers or strings.
      is_text: whether they come from a text file.

    Returns:
      [n_ids] int64, or an object array of Python str.
    """
    if pa.types.is_integer(ids.type):
        return ids.to_numpy()
    integers = raw_ids.integers_from_text(ids) if is_text else None
    return integers if integers is not None else ids.to_numpy(zero_copy_only=False)


def _integers_or_strings(column: LogColumn) -> pa.ChunkedArray:
    values = column.values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    column.reject_first(pc.is_null(values, nan_is_null=True), _EMPTY_RULE)
    if pa.types.is_floating(kind):  # what pandas makes of integers when one is missing
        column.reject_first(pc.not_equal(pc.floor(values), values), _KIND_RULE)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values
    elif not pa.types.is_integer(kind):
        require(False, _KIND_RULE, **column.place, type=str(kind))
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        require(False, "Integer ids must fit in 64 bits, signed.", **column.place, type=str(kind))
        raise


def _is_empty_text(ids: pa.Array) -> pa.BooleanArray:
    """Which ids mean "no value": the empty text; and among integers, but not among names, words for it."""
    is_word = pc.is_in(pc.utf8_lower(ids), _NULL_SPELLINGS)
    is_empty = pc.equal(ids, "")
    if pc.any(is_word).as_py():
        others = pc.or_(is_word, is_empty)
        if pc.all(pc.or_(others, raw_ids.is_plain_integer(ids))).as_py():
            return others
    return is_empty


def event_times(column: LogColumn) -> np.ndarray:
    """Reads times as numbers.

    Args:
      column: numbers; timestamps or dates; or strings that are numbers or ISO 8601 dates, with or without a
        zone (UTC if without).

    Returns:
      [n_events] int64 or float64. Numbers are as given. Dates are seconds since 1970-01-01 UTC: int64 if all
      are whole seconds, else float64.

    Raises:
      ValueError: a time is missing or unreadable.
    """
    values = column.values
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    column.reject_first(values.is_null(), _TIME_RULE)
    kind = values.type
    if pa.types.is_date(kind):
        values = values.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(values.type):
        return _seconds(values.cast(pa.int64()).to_numpy(), values.type.unit)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _times_from_strings(values.to_pandas(), column)
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return values.cast(pa.int64()).to_numpy()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        require(False, _TIME_RULE, **column.place, type=str(kind))
    return _finite(values.cast(pa.float64()).to_numpy(), column)


def _times_from_strings(strings: pd.Series, column: LogColumn) -> np.ndarray:
    numbers = pd.to_numeric(strings, errors="coerce")
    if numbers.notna().iloc[0]:  # the first value decides of which kind the column has to be
        is_whole = numbers.dtype.kind == "i"
        return numbers.to_numpy(np.int64) if is_whole else _finite(numbers.to_numpy(np.float64), column)
    dates = pd.to_datetime(strings, format="ISO8601", utc=True, errors="coerce")
    column.reject_first(dates.isna().to_numpy(), _TIME_RULE)
    return _seconds(dates.dt.as_unit("us").astype("int64").to_numpy(), "us")


def _seconds(ticks: np.ndarray, unit: str) -> np.ndarray:
    per_second = _TICKS_PER_SECOND[unit]
    if per_second == 1:
        return ticks
    whole, rest = np.divmod(ticks, per_second)
    return whole + rest / per_second if rest.any() else whole


def _finite(times: np.ndarray, column: LogColumn) -> np.ndarray:
    column.reject_first(~np.isfinite(times), _TIME_RULE)
    return times
