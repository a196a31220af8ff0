"""From a file to Arrow columns: TSV, CSV or Parquet, gzipped or not; or from a folder of Parquet parts."""

import functools
import gzip
import io
import os
import pathlib
import zlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.delimited import open_csv
from tfrs_gru4rec.events.reading_progress import Progress
from tfrs_gru4rec.events.text_lines import TextLines, split_header

_TEXT_SUFFIXES = (".tsv", ".csv", ".txt")
_SUFFIX_RULE = "A log file must be named .tsv, .csv, .txt or .parquet, with or without .gz after it."
_KEYS_RULE = (
    "A log must have columns of sessions, items and times: name them (session_key, item_key, time_key)."
)
_EVENTS_RULE = "A log must hold at least one event."
_BATCH_EVENTS = 1 << 20


def read_log_columns(path: str | os.PathLike[str], keys: Sequence[str]) -> list[LogColumn]:
    r"""Reads the columns of a log file.

    Args:
      path: a .tsv, .csv, .txt or .parquet file, gzipped if .gz follows. Text files start with a header line;
        the separator (tab, comma, semicolon or bar) is the one that makes sense of it. Or a folder of Parquet parts,
        as Spark writes it, read in the order of their names.
      keys: names of the session, item and time columns, and of further ones.

    Returns:
      The columns, in the order of `keys`. Session and item ids of text files are strings.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file cannot be read, has no events, or lacks a column.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     _ = path.write_text("SessionId,ItemId,Time\n1,lamp,5\n1,desk,6\n")
    ...     session, item, at = read_log_columns(path, ("SessionId", "ItemId", "Time"))
    >>> item.values.to_pylist()
    ['lamp', 'desk']
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no such log file. Received: file={str(path)!r}.")
    if path.is_dir():
        return read_parquet_columns(path, keys)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_gzip = suffixes[-1:] == [".gz"]
    suffix = "".join((suffixes[:-1] if is_gzip else suffixes)[-1:])
    require(suffix == ".parquet" or suffix in _TEXT_SUFFIXES, _SUFFIX_RULE, file=str(path))
    require(path.stat().st_size > 0, "A log file must not be empty.", file=str(path))
    try:
        return (_read_parquet if suffix == ".parquet" else _read_text)(path, keys, is_gzip)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"The log file cannot be read: {error}. Received: file={str(path)!r}.") from error


def read_parquet_columns(path: str | os.PathLike[str], keys: Sequence[str]) -> list[LogColumn]:
    """Reads the columns of a Parquet file of any name, or of a folder of Parquet parts.

    Arguments, results and errors are those of `read_log_columns`.
    """
    place = {"file": os.fspath(path)}
    try:
        data = pyarrow.dataset.dataset(os.fspath(path), format="parquet")
        require(bool(data.files), "A folder must hold Parquet parts to be a log.", **place)
        require_keys(data.schema.names, keys, **place)
        table = data.to_table(columns=list(keys))
    except pa.ArrowException as error:
        raise ValueError(f"The log cannot be read: {error}. Received: file={os.fspath(path)!r}.") from error
    require(table.num_rows > 0, _EVENTS_RULE, **place)
    return [LogColumn(table[key], {**place, "column": key}) for key in keys]


def parts_of(path: str | os.PathLike[str]) -> list[str]:
    """Lists the Parquet parts of a folder that have rows, in the order of their names; none if it is no folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pq.write_table(pa.table({"Time": [5]}), pathlib.Path(folder, "part-1.parquet"))
    ...     [pathlib.Path(part).name for part in parts_of(folder)]
    ['part-1.parquet']
    """
    if not os.path.isdir(path):
        return []
    try:
        data = pyarrow.dataset.dataset(os.fspath(path), format="parquet")
        return [file for file in sorted(data.files) if pq.read_metadata(file).num_rows]
    except pa.ArrowException:
        return []  # whoever reads it says what is wrong


def _read_parquet(path: pathlib.Path, keys: Sequence[str], is_gzip: bool) -> list[LogColumn]:
    source = io.BytesIO(gzip.decompress(path.read_bytes())) if is_gzip else str(path)
    with pq.ParquetFile(source) as file:
        require_keys(file.schema_arrow.names, keys, file=str(path))
        table = _table(file.iter_batches(_BATCH_EVENTS, columns=list(keys)), path)
    return [LogColumn(table[key], {"file": str(path), "column": key}) for key in keys]


def _read_text(path: pathlib.Path, keys: Sequence[str], is_gzip: bool) -> list[LogColumn]:
    lines = TextLines(path, is_gzip)
    header, has_events = lines.header()
    separator, present = split_header(header, tuple(keys))
    require_keys(present, keys, file=str(path))
    require(has_events, _EVENTS_RULE, file=str(path))
    types = dict.fromkeys([*keys[:2], *keys[3:]], pa.string())

    def read(newlines_in_values: bool) -> pa.Table:
        with pa.input_stream(path, compression="gzip" if is_gzip else None) as stream:
            return _table(
                open_csv(stream, separator, keys, types, newlines_in_values=newlines_in_values), path
            )

    try:
        table = read(newlines_in_values=False)
    except pa.ArrowInvalid:
        # A field with a line break in it, or a time unlike the first ones: reading with care takes longer.
        types[keys[2]] = pa.string()
        try:
            table = read(newlines_in_values=True)
        except pa.ArrowInvalid:
            lines.require_utf8()
            lines.require_full_lines(separator)
            raise
    locate = functools.partial(lines.line_of, separator=separator)
    return [LogColumn(table[key], {"file": str(path), "column": key}, True, locate) for key in keys]


def _table(batches: Iterable[pa.RecordBatch], path: pathlib.Path) -> pa.Table:
    """Collects batches, telling how far it is every now and then."""
    collected = []
    progress = Progress(str(path))
    for batch in batches:
        collected.append(batch)
        progress.add(len(batch))
    require(progress.count > 0, _EVENTS_RULE, file=str(path))
    progress.end()
    return pa.Table.from_batches(collected)


def require_keys(present: Sequence[str], keys: Sequence[str], **place: str) -> None:
    """Raises ValueError unless a log, which `place` names, has all of the columns."""
    missing = [key for key in keys if key not in present]
    require(not missing, _KEYS_RULE, **place, missing=missing, present=list(present))
