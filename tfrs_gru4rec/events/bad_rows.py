"""Rows of a raw log that are no events: without a readable time, a session or an item."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_gru4rec.events.columns import LogColumn, is_text_type
from tfrs_gru4rec.events.id_codes import is_empty_text

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class BadRows:
    """Rows that break one rule.

    >>> str(BadRows("no readable time", 2, ("line 9: 'noon'", "line 14: 'dusk'")))
    "2 rows with no readable time (line 9: 'noon'; line 14: 'dusk')"
    """

    reason: str  # what is wrong with them
    count: int  # how many there are
    first: tuple[str, ...]  # the first of them, as in "line 9: 'noon'"

    def __str__(self) -> str:
        more = "; …" if self.count > len(self.first) else ""
        return f"{self.count} row{'s' * (self.count > 1)} with {self.reason} ({'; '.join(self.first)}{more})"


def find_bad_rows(
    sessions: LogColumn, items: LogColumn, times: LogColumn, is_wanted: np.ndarray
) -> tuple[np.ndarray, list[BadRows]]:
    """Finds the rows that cannot be used; a row that breaks several rules counts for the first.

    Only wanted events, bool [n_events], need to have an item.

    Returns:
      bool [n_events], whether a row is bad; and what is wrong, by rule.

    >>> columns = [LogColumn(pa.chunked_array([values]), {}, is_text=True) for values in (["a", ""], ["x", "y"])]
    >>> is_bad, found = find_bad_rows(*columns, LogColumn(pa.chunked_array([["5", "6"]]), {}), np.array([True, True]))
    >>> is_bad.tolist(), str(found[0])
    ([False, True], "1 row with no value (row 2: '')")
    """
    is_bad, found = np.zeros(len(is_wanted), bool), []
    for reason, column, is_found in (
        (f"no readable {_name(times)}", times, _is_no_time(times)),
        (f"no {_name(sessions)}", sessions, _is_no_id(sessions)),
        (f"no {_name(items)}", items, _is_no_id(items) & is_wanted),
    ):
        rows = np.flatnonzero(is_found & ~is_bad)
        is_bad |= is_found
        if len(rows):
            found.append(
                BadRows(reason, len(rows), tuple(_shown(column, row) for row in rows[:_SHOWN].tolist()))
            )
    return is_bad, found


def _name(column: LogColumn) -> str:
    return column.place.get("column", "value")


def _shown(column: LogColumn, row: int) -> str:
    word, number = column.locate(row)
    return f"{word} {number}: {column.values[row].as_py()!r}"


def _is_no_time(column: LogColumn) -> np.ndarray:
    values = column.plain_values()
    is_missing = _flags(values.is_null())
    if pa.types.is_floating(values.type):
        return is_missing | ~np.isfinite(values.to_numpy())
    if not is_text_type(values.type):
        return is_missing
    texts = values.to_pandas()
    numbers = pd.to_numeric(texts, errors="coerce")
    is_number = np.isfinite(numbers.to_numpy(np.float64))
    if 2 * np.count_nonzero(is_number) >= len(texts):  # the kind of most of them is that of the column
        return ~is_number
    return pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce").isna().to_numpy()


def _is_no_id(column: LogColumn) -> np.ndarray:
    values = column.plain_values()
    is_missing = _flags(pc.is_null(values, nan_is_null=True))
    if not column.is_text:
        return is_missing
    encoded = values.dictionary_encode().combine_chunks()
    is_empty = is_empty_text(encoded.dictionary).to_numpy(zero_copy_only=False)
    return is_missing | is_empty[encoded.indices.to_numpy()]


def _flags(values: pa.ChunkedArray) -> np.ndarray:
    return values.to_numpy().astype(bool)
