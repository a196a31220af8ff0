"""Times as numbers: a column of them, and one that was typed."""

import numpy as np
import pandas as pd
import pyarrow as pa

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.columns import LogColumn, is_text_type

TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
YEAR_5000 = 95_617_584_000  # in seconds since 1970; in ms it is January 1973
TIME_RULE = "Times must be all numbers or all ISO 8601 dates."
UNIT_RULE = (
    "These times are beyond the year 5000 if they are in this unit: say in which unit they are, as in "
    "--time_unit=ms."
)


def event_times(column: LogColumn, unit: str | None = None) -> np.ndarray:
    """Reads times as numbers.

    Args:
      column: numbers; timestamps or dates; or strings that are numbers or ISO 8601 dates, with or without a
        zone (UTC if without).
      unit: of times that are numbers: s, ms, us or ns; they become seconds. None leaves them as they are.

    Returns:
      [n_events] int64 or float64. Dates are seconds since 1970-01-01 UTC. Seconds are int64 if all are whole,
      else float64.

    Raises:
      ValueError: a time is missing or unreadable, or beyond the year 5000 in this unit.

    >>> dates = pa.chunked_array([["1970-01-01T00:00:05Z", "1970-01-02"]])
    >>> event_times(LogColumn(dates, {"column": "Time"})).tolist()
    [5, 86400]
    >>> event_times(LogColumn(pa.chunked_array([[1500, 2000]]), {"column": "Time"}), unit="ms").tolist()
    [1.5, 2.0]
    """
    values = column.plain_values()
    column.reject_first(values.is_null(), TIME_RULE)
    kind = values.type
    if pa.types.is_date(kind):
        values = values.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(values.type):
        return in_seconds(values.cast(pa.int64()).to_numpy(), TICKS_PER_SECOND[values.type.unit])
    if is_text_type(kind):
        return _times_from_strings(values.to_pandas(), column, unit)
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return _times_from_numbers(values.cast(pa.int64()).to_numpy(), column, unit)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        require(False, TIME_RULE, **column.place, type=str(kind))
    return _times_from_numbers(values.cast(pa.float64()).to_numpy(), column, unit)


def read_time(text: str, unit: str, name: str = "--test_from") -> float:
    """Reads one time as seconds, since 1970 UTC for a date.

    Args:
      text: a number in `unit`, or an ISO 8601 date, UTC unless it names a zone.
      unit: s, ms, us or ns.
      name: what the text is called in an error.

    Raises:
      ValueError: the text is neither.

    >>> read_time("1500", "ms"), read_time("1970-01-02", "ms")
    (1.5, 86400.0)
    """
    column = LogColumn(pa.chunked_array([[text]]), {"flag": name}, locate=lambda row: ("argument", row + 1))
    return float(event_times(column, unit)[0])


def in_seconds(ticks: np.ndarray, ticks_per_second: int) -> np.ndarray:
    """Turns times into seconds: int64 if all are whole, else float64.

    >>> in_seconds(np.array([1000, 3000]), 1000).tolist(), in_seconds(np.array([1000, 2500]), 1000).tolist()
    ([1, 3], [1.0, 2.5])
    """
    if ticks.dtype.kind == "f":
        seconds = ticks / ticks_per_second
        whole = seconds.astype(np.int64)
        return whole if (whole == seconds).all() else seconds
    if ticks_per_second == 1:
        return ticks
    whole, rest = np.divmod(ticks, ticks_per_second)  # nanoseconds are too many digits for a float
    return whole + rest / ticks_per_second if rest.any() else whole


def _times_from_strings(strings: pd.Series, column: LogColumn, unit: str | None) -> np.ndarray:
    numbers = pd.to_numeric(strings, errors="coerce")
    if numbers.notna().iloc[0]:  # the first value decides of which kind the column has to be
        kind = np.int64 if numbers.dtype.kind == "i" else np.float64
        return _times_from_numbers(numbers.to_numpy(kind), column, unit)
    dates = pd.to_datetime(strings, format="ISO8601", utc=True, errors="coerce")
    column.reject_first(dates.isna().to_numpy(), TIME_RULE)
    return in_seconds(dates.dt.as_unit("us").astype("int64").to_numpy(), TICKS_PER_SECOND["us"])


def _times_from_numbers(numbers: np.ndarray, column: LogColumn, unit: str | None) -> np.ndarray:
    if numbers.dtype.kind == "f":
        column.reject_first(~np.isfinite(numbers), TIME_RULE)
    if unit is None:
        return numbers
    times = in_seconds(numbers, TICKS_PER_SECOND[unit])
    require(times.max() < YEAR_5000, UNIT_RULE, **column.place, largest=times.max(), time_unit=unit)
    return times
