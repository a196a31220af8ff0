"""Writes splits as log files, all of them or none."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from tfrs_gru4rec import atomic_files
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.offsets import positions
from tfrs_gru4rec.events.order import visiting_order

FORMATS = ("tsv.gz", "tsv", "parquet")
STATISTICS_FILE = "statistics.json"
COLUMNS = ("SessionId", "ItemId", "Time")


def split_table(
    events: Events, session_ids: np.ndarray | None, item_ids: np.ndarray, ticks_per_second: int = 1
) -> pa.Table:
    """Lays a split out as SessionId, ItemId, Time, a row an event, sessions in the order of their first event.

    Args:
      events: sorted by session, then time.
      session_ids: raw id of each session code; None if the sessions are numbers as they stand.
      item_ids: raw id of each item code.
      ticks_per_second: unit of the times.

    >>> events = Events(np.array([1, 2, 2]), np.array([0, 1, 0], np.int32), np.array([30, 10, 20]))
    >>> split_table(events, None, np.array(["lamp", "desk"], object))["ItemId"].to_pylist()
    ['desk', 'lamp', 'lamp']
    """
    order = visiting_order(events.first_times)
    rows = positions(events.offsets[:-1][order], events.lengths[order])
    sessions = events.sessions[rows]
    ids = sessions if session_ids is None else session_ids[sessions]
    times = in_seconds(events.times[rows], ticks_per_second)
    return pa.table(dict(zip(COLUMNS, (ids, item_ids[events.items[rows]], times), strict=True)))


def in_seconds(times: np.ndarray, ticks_per_second: int) -> np.ndarray:
    """Returns times in seconds, as float64 unless that is their unit.

    >>> in_seconds(np.array([1500]), 1_000).tolist()
    [1.5]
    """
    return times if ticks_per_second == 1 else times / ticks_per_second


def write_splits(
    folder: str | os.PathLike[str], tables: Mapping[str, pa.Table], file_format: str, statistics: Any
) -> list[pathlib.Path]:
    """Writes a file for each split, and the statistics; returns the paths of the former.

    The files are written aside and moved into place when all are whole. Old statistics go before the first move, and
    the new ones come after the last: a folder with statistics.json holds files that belong together.

    Args:
      folder: made if it is not there; files of the same names are replaced.
      tables: rows by split name, columns as `split_table` gives.
      file_format: one of `FORMATS`.
      statistics: what goes into statistics.json.

    Raises:
      OSError: the folder cannot be written to, or the disk is full; then it is as it was before.
    """
    target = pathlib.Path(folder)
    atomic_files.make_folder(target)
    paths = [target / f"{name}.{file_format}" for name in tables]
    with atomic_files.temporary_path(target, "splits") as aside:
        aside.mkdir()
        for path, table in zip(paths, tables.values(), strict=True):
            _write_table(aside / path.name, table, file_format)
        (aside / STATISTICS_FILE).write_text(json.dumps(statistics, indent=2) + "\n", encoding="utf-8")
        atomic_files.flush_tree_to_disk(aside)
        (target / STATISTICS_FILE).unlink(missing_ok=True)
        atomic_files.flush_to_disk(target)
        atomic_files.move_files(aside, target, [*(path.name for path in paths), STATISTICS_FILE])
    return paths


def _write_table(path: pathlib.Path, table: pa.Table, file_format: str) -> None:
    if file_format == "parquet":
        pyarrow.parquet.write_table(table, path)
        return
    compression = "gzip" if file_format.endswith(".gz") else None
    options = pyarrow.csv.WriteOptions(
        include_header=False, delimiter="\t", quoting_style="needed" if _needs_quotes(table) else "none"
    )
    with pa.output_stream(str(path), compression=compression) as stream:
        stream.write(("\t".join(table.column_names) + "\n").encode())
        pyarrow.csv.write_csv(table, stream, options)


def _needs_quotes(table: pa.Table) -> bool:
    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    return any(pc.any(pc.match_substring_regex(text, '[\t"\r\n]')).as_py() for text in texts)
