"""A column of a log, which knows where it comes from."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tfrs_gru4rec.checks import require


@dataclasses.dataclass(frozen=True)
class LogColumn:
    """One column of a log and how to speak of it in an error.

    >>> column = LogColumn(pa.chunked_array([["a", ""]]), {"file": "log.csv"}, is_text=True)
    >>> column.reject_first(np.array([False, True]), "An id must not be empty.")
    Traceback (most recent call last):
    ValueError: An id must not be empty. Received: file='log.csv', row=2, value=''.
    """

    values: pa.ChunkedArray  # the column
    place: dict[str, str]  # what names source and column, e.g. {"file": "a.tsv", "column": "Time"}.
    is_text: bool = False  # it comes from a text file, which does not say whether its ids are integers
    # Gives what a 0-based row is called, and its number, e.g. ("line", 7).
    locate: Callable[[int], tuple[str, int]] = lambda row: ("row", row + 1)

    def plain_values(self) -> pa.ChunkedArray:
        """Returns the column without the dictionary it may be encoded by."""
        kind = self.values.type
        return self.values.cast(kind.value_type) if pa.types.is_dictionary(kind) else self.values

    def take(self, rows: np.ndarray) -> "LogColumn":
        """Returns some rows, rising int64 [n_rows], which keep their place in the column; itself if these are all."""
        if len(rows) == len(self.values):
            return self
        values = self.values.take(pa.array(rows))
        return LogColumn(values, self.place, self.is_text, lambda row: self.locate(int(rows[row])))

    def reject_first(self, is_bad: pa.ChunkedArray | np.ndarray, rule: str) -> None:
        """Raises ValueError about the first row that is marked bad, bool [n_events], for it breaks a rule."""
        flags = is_bad if isinstance(is_bad, np.ndarray) else is_bad.to_numpy()
        row = int(flags.argmax())
        if flags[row]:
            word, number = self.locate(row)
            require(False, rule, **self.place, **{word: number}, value=self.values[row].as_py())


def is_text_type(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type is one of strings."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
