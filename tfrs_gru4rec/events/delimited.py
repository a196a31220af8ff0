"""Reads columns of large delimited text files in blocks, so that the text is never in memory as a whole."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.raw_files import RawFile
from tfrs_gru4rec.events.reading_progress import Progress

Converter = Callable[[pa.Array], pa.Array]

_BLOCK_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a text file is laid out."""

    delimiter: str = ","  # one character between fields
    names: Sequence[str] | None = None  # of all columns of a file without a header line; None if there is one


def open_csv(
    stream: Any,
    delimiter: str,
    columns: Sequence[str],
    types: Mapping[str, pa.DataType],
    names: Sequence[str] | None = None,
    newlines_in_values: bool = False,
    use_threads: bool = True,
) -> pyarrow.csv.CSVStreamingReader:
    r"""Opens delimited text as a stream of record batches, text never null; only without threads are bad lines named.

    Args:
      stream: binary file of text in UTF-8.
      delimiter: between fields.
      columns: the columns to read.
      types: of some of them; Arrow guesses the others' from the first block.
      names: names of all columns of a file without a header line; None if there is one.
      newlines_in_values: whether quoted fields may hold line breaks, which takes longer to read.
      use_threads: whether to parse on several cores.

    >>> import io
    >>> batches = open_csv(io.BytesIO(b"id;name\n7;lamp\n"), ";", ["name"], {"name": pa.string()})
    >>> [batch["name"].to_pylist() for batch in batches]
    [['lamp']]
    """
    return pyarrow.csv.open_csv(
        stream,
        read_options=pyarrow.csv.ReadOptions(
            column_names=names, block_size=_BLOCK_BYTES, use_threads=use_threads
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=newlines_in_values),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=columns, strings_can_be_null=False
        ),
    )


def read_raw_columns(
    files: Sequence[RawFile],
    layout: Layout,
    converters: Mapping[str, Converter],
    keep: tuple[str, str] | None = None,
) -> dict[str, pa.ChunkedArray]:
    r"""Reads columns of text files of one layout.

    Args:
      files: the files, to be read one after the other.
      layout: their layout.
      converters: the columns to read, by name, and how to turn their text into values; a converter raises
        pyarrow.ArrowInvalid on text it cannot read.
      keep: (column, value): read only the rows where the column has this text; None reads all.

    Returns:
      The columns by name, all of the same length; rows in file order.

    Raises:
      ValueError: a file cannot be read; the message names file, column, line and value.

    >>> import pathlib, tempfile
    >>> from tfrs_gru4rec.events import converters
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = RawFile(pathlib.Path(folder, "views.csv"))
    ...     _ = file.path.write_text("id,kind\n7,view\n8,cart\n")
    ...     read_raw_columns([file], Layout(), {"id": converters.integers}, ("kind", "view"))["id"].to_pylist()
    [7]
    """
    chunks: dict[str, list[pa.Array]] = {name: [] for name in converters}
    for file in files:
        progress = Progress(str(file), "rows")
        for batch in _text_batches(file, layout, [*converters, *(keep[:1] if keep else ())]):
            for name, values in _convert(batch, layout, converters, keep, file, progress.count).items():
                chunks[name].append(values)
            progress.add(batch.num_rows)
        require(progress.count > 0, "A raw file must hold at least one row.", file=str(file))
        progress.end()
    return {name: pa.chunked_array(parts) for name, parts in chunks.items()}


def _text_batches(
    file: RawFile, layout: Layout, columns: Sequence[str], use_threads: bool = True
) -> Iterator[pa.RecordBatch]:
    """Yields blocks of rows whose columns are all text."""
    columns = list(dict.fromkeys(columns))
    types = dict.fromkeys(columns, pa.string())
    with file.open() as stream:
        try:
            yield from open_csv(
                stream, layout.delimiter, columns, types, layout.names, use_threads=use_threads
            )
        except pa.ArrowInvalid as error:
            if use_threads:  # only the reader without threads can tell the line
                for _ in _text_batches(file, layout, columns, use_threads=False):
                    pass
            raise ValueError(f"The file could not be read: {error}. Received: file={str(file)!r}.") from error
        except KeyError as error:
            raise ValueError(f"A column is missing: {error}. Received: file={str(file)!r}.") from error


def _convert(
    batch: pa.RecordBatch,
    layout: Layout,
    converters: Mapping[str, Converter],
    keep: tuple[str, str] | None,
    file: RawFile,
    first_row: int,
) -> dict[str, pa.Array]:
    rows = None
    if keep is not None:
        column, value = keep
        rows = np.flatnonzero(pc.equal(batch[column], value).to_numpy(zero_copy_only=False))
        batch = batch.take(pa.array(rows))
    converted = {}
    for name, converter in converters.items():
        try:
            converted[name] = converter(batch[name])
        except pa.ArrowInvalid as error:
            at = _first_failure(batch[name], converter)
            line = first_row + int(at if rows is None else rows[at]) + (1 if layout.names else 2)
            rule = f"A value could not be read: {error}."
            place = f"file={str(file)!r}, column={name!r}, line={line}, value={batch[name][at].as_py()!r}"
            raise ValueError(f"{rule} Received: {place}.") from error
    return converted


def _first_failure(values: pa.Array, converter: Converter) -> int:
    """Finds the first value that a converter rejects, by halving."""
    start, length = 0, len(values)
    while length > 1:
        half = length // 2
        try:
            converter(values.slice(start, half))
            start, length = start + half, length - half
        except pa.ArrowInvalid:
            length = half
    return start
