"""Files of many sessions to recommend for, and of what is recommended."""

import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import ColumnConfig

if TYPE_CHECKING:
    import pandas as pd

OUTPUT_SUFFIXES = (".parquet", ".tsv", ".csv", ".jsonl")


def read_sessions(path: str | os.PathLike[str], columns: ColumnConfig) -> dict[Any, np.ndarray | list[Any]]:
    """Reads the items of sessions, oldest first: raw item ids by raw session id, in the order of their first events.

    The file is a log, as for training; or a .jsonl file, a line a session as in {"session": 17, "items": [214, 9]}.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it holds no sessions; the message names file and line.
    """
    if pathlib.Path(path).suffix == ".jsonl":
        return _read_lines(pathlib.Path(path))
    from tfrs_gru4rec.events.id_codes import id_codes
    from tfrs_gru4rec.events.log_files import read_log_columns
    from tfrs_gru4rec.events.order import session_order
    from tfrs_gru4rec.events.times import event_times

    session, item, time = read_log_columns(path, (columns.session_key, columns.item_key, columns.time_key))
    sessions, session_ids = id_codes(session)
    codes, item_ids = id_codes(item, columns.item_type)
    order, offsets = session_order(sessions, event_times(time))
    if order is not None:
        sessions, codes = sessions[order], codes[order]
    items = np.split(item_ids[codes], offsets[1:-1])
    return dict(zip(session_ids[sessions[offsets[:-1]]].tolist(), items, strict=True))


def _read_lines(path: pathlib.Path) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            place = {"file": str(path), "line": number}
            try:
                content = json.loads(line)
                session, items = content["session"], content["items"]
                is_good = isinstance(items, list) and isinstance(session, str | int)
            except (ValueError, TypeError, KeyError):
                is_good = False
            rule = 'A line must be a session, as {"session": 17, "items": [214, 9]}.'
            require(is_good, rule, **place, value=line[:80])
            require(session not in found, "A session must have one line.", **place, session=session)
            is_alike = type(session) is type(next(iter(found), session))
            require(is_alike, "Sessions must be all numbers or all strings.", **place, session=session)
            found[session] = items
    return found


def write_recommendations(found: "pd.DataFrame", path: pathlib.Path) -> None:
    """Writes a frame of recommendations, whole or not at all, in the format that the file's name ends in."""
    from tfrs_gru4rec.atomic_files import replacing

    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            found.to_parquet(temporary, index=False)
        elif path.suffix == ".jsonl":
            found.to_json(temporary, orient="records", lines=True, double_precision=9)
        else:
            found.to_csv(temporary, sep="\t" if path.suffix == ".tsv" else ",", index=False)
