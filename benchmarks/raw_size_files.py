"""Writes random raw files as large as those of RSC15 and Rees46, and of users without sessions, a piece at a time."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

_PIECE_SESSIONS = 1_000_000
_POPULARITY = 0.8  # exponent of the items' popularity tail


def _piece(rng: np.random.Generator, n_sessions: int, n_items: int, mean_length: float) -> tuple[Any, ...]:
    """Returns session numbers, items, and seconds since the session's start, event by event."""
    lengths = rng.geometric(1 / mean_length, n_sessions)
    sessions = np.repeat(np.arange(n_sessions), lengths)
    items = (n_items * rng.random(len(sessions)) ** (1 / (1 - _POPULARITY))).astype(np.int64)
    pauses = rng.exponential(150, len(sessions))
    total = np.cumsum(pauses)
    starts = np.cumsum(lengths) - lengths
    return sessions, items, total - np.repeat(total[starts], lengths)


def _iso(seconds: np.ndarray, unit: str, template: str) -> pa.Array:
    per_second = {"s": 1, "ms": 1_000}[unit]
    return pc.strftime(pa.array((seconds * per_second).astype(np.int64)).cast(pa.timestamp(unit)), template)


def write_clicks(path: pathlib.Path, n_rows: int) -> None:
    """Writes a file like yoochoose-clicks.dat: half a year, 3.57 clicks a session, 52,739 items.

    Args:
      path: the file.
      n_rows: how many lines, about.
    """
    rng = np.random.default_rng(0)
    n_sessions = round(n_rows / 3.57)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        for first in range(0, n_sessions, _PIECE_SESSIONS):
            size = min(_PIECE_SESSIONS, n_sessions - first)
            sessions, items, since = _piece(rng, size, 52_739, 3.57)
            times = 1_396_310_400 + rng.random(size)[sessions] * 183 * 86_400 + since
            columns = {
                "session": first + sessions + 1,
                "time": _iso(times, "ms", "%Y-%m-%dT%H:%M:%SZ"),
                "item": items + 214_500_000,
                "category": np.zeros(len(items), np.int8),
            }
            pyarrow.csv.write_csv(pa.table(columns), file, options)


def write_months(folder: pathlib.Path, n_rows: int) -> None:
    """Writes files like 2019-Oct.csv and 2019-Nov.csv: 5.3 million users, 206,876 items, in time order.

    Args:
      folder: where the files go.
      n_rows: how many lines in both, about.
    """
    rng = np.random.default_rng(0)
    n_users = round(n_rows / 20.7)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    for name, first_day, n_days in (("2019-Oct.csv", 1_569_888_000, 31), ("2019-Nov.csv", 1_572_566_400, 30)):
        with (folder / name).open("wb") as file:
            file.write(header.encode())
            for day in range(n_days):
                users = rng.choice(n_users, round(n_users / 15), replace=False)
                sessions, items, since = _piece(rng, len(users), 206_876, n_rows / 61 / len(users))
                starts = rng.random(len(users))[sessions] * 80_000
                order = np.argsort(starts + since, kind="stable")
                times = (first_day + day * 86_400 + starts + since)[order]
                n_events = len(items)
                columns = {
                    "event_time": _iso(times, "s", "%Y-%m-%d %H:%M:%S UTC"),
                    "event_type": rng.choice(["view", "cart", "purchase"], n_events, p=[0.95, 0.03, 0.02]),
                    "product_id": items[order] + 1_000_000,
                    "category_id": np.full(n_events, 2_053_013_555_631_882_655),
                    "category_code": np.full(n_events, "electronics.smartphone"),
                    "brand": np.full(n_events, "samsung"),
                    "price": rng.integers(100, 200_000, n_events) / 100,
                    "user_id": users[sessions][order] + 512_000_000,
                    "user_session": np.full(n_events, "26dd6e6e-4dac-4778-8d2c-92e149dab885"),
                }
                pyarrow.csv.write_csv(pa.table(columns), file, options)


def write_events(folder: pathlib.Path, n_rows: int) -> None:
    """Writes Parquet parts of user, item and time (ms), 20 days of visits each: the users mixed, in time order.

    A user has 25 events in the mean, and so has an item; the most active of 4 million users has one event in 160, the
    most popular of as many items one in 20.

    Args:
      folder: for the parts.
      n_rows: how many rows in all, about.
    """
    rng = np.random.default_rng(0)
    folder.mkdir()
    n_users = n_items = max(n_rows // 25, 1)
    n_sessions = max(round(n_rows / 5), 1)
    n_parts = -(-n_sessions // _PIECE_SESSIONS)
    for part in range(n_parts):
        size = n_sessions // n_parts
        sessions, items, since = _piece(rng, size, n_items, 5)
        users = (n_users * rng.random(size) ** 3).astype(np.int64)
        times = 1_600_000_000 + (part + rng.random(size)) * 20 * 86_400
        times = ((times[sessions] + since) * 1000).astype(np.int64)
        order = np.argsort(times, kind="stable")
        columns = {"user": users[sessions], "item": items + 1_000_000, "time": times}
        table = pa.table({name: values[order] for name, values in columns.items()})
        pq.write_table(table, folder / f"part-{part:03}.parquet")
