"""Names of items, from a file, for tables that people read."""

import dataclasses
import os
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.delimited import open_csv
from tfrs_gru4rec.events.text_lines import TextLines, split_header


@dataclasses.dataclass(frozen=True, eq=False)
class ItemNames:
    r"""What items are called.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "items.csv")
    ...     _ = path.write_text("item,title,colour\n7,Lamp,red\n8,Desk,\n")
    ...     names = ItemNames.from_file(path)
    >>> [names.label(item) for item in (7, "8", 9)]
    ['7 [Lamp, red]', '8 [Desk]', '9']
    """

    columns: pd.DataFrame  # str columns, such as title and brand; the index holds item ids as text

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "ItemNames":
        """Reads a CSV or TSV file, gzipped or not, or a Parquet file.

        It has a header line, item ids in the first column, and names in the others.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: the file cannot be read, has no column of names, or names an item twice.
        """
        path = pathlib.Path(path)
        if not path.exists():
            raise FileNotFoundError(f"There is no such file of item names. Received: file={str(path)!r}.")
        require(path.is_file(), "Item names must be in a file, not a folder.", file=str(path))
        try:
            columns = _read(path)
        except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"The file of item names cannot be read: {error}. Received: file={str(path)!r}."
            ) from error
        repeated = columns.index[columns.index.duplicated()]
        require(
            not len(repeated),
            "An item may have one line of names.",
            file=str(path),
            item=repeated[:1].tolist(),
        )
        return cls(columns)

    def of(self, items: Sequence[Any]) -> pd.DataFrame:
        """Returns the rows of `columns` for item ids, empty text for items without a name."""
        return self.columns.reindex([str(item) for item in items], fill_value="")

    def label(self, item: Any) -> str:
        """Returns the id of an item and, in brackets, what it is called."""
        if str(item) not in self.columns.index:
            return str(item)
        names = ", ".join(name for name in self.columns.loc[str(item)] if name)
        return f"{item} [{names}]" if names else str(item)


def _read(path: pathlib.Path) -> pd.DataFrame:
    rule = "Item names must have a header line, the item ids in the first column, and a column of names beside it."
    if path.suffix.lower() == ".parquet":
        frame = pd.read_parquet(path).astype("string").fillna("").astype(object)
        require(frame.shape[1] > 1, rule, file=str(path), columns=list(frame.columns))
        return frame.set_index(frame.columns[0])
    lines = TextLines(path, path.suffix.lower() == ".gz")
    separator, present = split_header(lines.header()[0], ())
    require(len(set(present)) == len(present) > 1, rule, file=str(path), columns=present)
    try:
        with pa.input_stream(path, compression="gzip" if lines.is_gzip else None) as stream:
            types = dict.fromkeys(present, pa.string())
            batches = open_csv(stream, separator, present, types, newlines_in_values=True)
            table = pa.Table.from_batches(batches, batches.schema)
    except pa.ArrowInvalid:
        lines.require_utf8()
        lines.require_full_lines(separator)
        raise
    return table.to_pandas().set_index(present[0])
