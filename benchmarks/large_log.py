"""A log of very many events: memory, seconds to load it, and whether training it is as fast as training a small one.

    python benchmarks/large_log.py --events 500000000 --work_dir runs/large_log

Writes Parquet parts of ten million random events, as `gru4rec-prepare --engine spark` writes parts: whole sessions in
time order; those of an earlier run are used again. Then loads the folder and trains the recipe of RSC15 for some steps
on all of it, and on the first part alone. Parts take 11 bytes of disk an event.
"""

import resource
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from absl import app, flags
from train_speed import RECIPES, measure

from tfrs_gru4rec.atomic_files import replacing
from tfrs_gru4rec.pipelines.session_log import SessionLog

PART_EVENTS = 10_000_000
_EVENTS = flags.DEFINE_integer("events", 500_000_000, "events, in parts of ten million")
_ITEMS = flags.DEFINE_integer("items", 1_000_000, "items, with a popularity tail")
_STEPS = flags.DEFINE_integer("train_steps", 4096, "steps that are timed, by 256", lower_bound=256)
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/large_log", "folder of the parts")


def write_part(path: Path, number: int, n_items: int) -> None:
    """Writes ten million events of sessions of two to some twenty clicks, unless they are there."""
    if path.exists():
        return
    rng = np.random.default_rng(number)
    lengths = np.minimum(1 + rng.geometric(0.33, PART_EVENTS // 2), PART_EVENTS)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), PART_EVENTS)]
    sessions = np.repeat(np.arange(len(lengths)) + number * PART_EVENTS, lengths)
    popularity = np.cumsum(1.0 / np.arange(1, n_items + 1) ** 0.9)
    items = np.searchsorted(popularity, rng.random(len(sessions)) * popularity[-1])
    times = np.arange(len(sessions)) + number * PART_EVENTS
    table = pa.table({"SessionId": sessions, "ItemId": items, "Time": times})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def gigabytes() -> float:
    """Returns the most memory that the process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(argv: list[str]) -> None:
    """Writes, loads and trains."""
    folder = Path(_WORK_DIR.value) / f"{_EVENTS.value}-events"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(max(1, _EVENTS.value // PART_EVENTS)):
        write_part(folder / f"part-{number:05}.parquet", number, _ITEMS.value)
    print(f"Before loading: {gigabytes():.2f} GB at most.", flush=True)
    small = SessionLog.from_parquet(folder / "part-00000.parquet")
    rate = max(measure(RECIPES["rsc15"], small, _STEPS.value))
    print(f"{small.n_events:,} events: {rate:.0f} steps/s, {gigabytes():.2f} GB at most.", flush=True)
    del small
    started = time.monotonic()
    log = SessionLog.from_file(folder)
    seconds, held = time.monotonic() - started, log.items.nbytes + log.offsets.nbytes + log.times.nbytes
    print(
        f"{log.n_events:,} events of {log.n_sessions:,} sessions, {log.vocabulary.n_items:,} items: loaded in "
        f"{seconds:.0f} s, {held / log.n_events:.1f} bytes an event, {gigabytes():.2f} GB at most.",
        flush=True,
    )
    rate = max(measure(RECIPES["rsc15"], log, _STEPS.value))
    print(f"Training all of it: {rate:.0f} steps/s, {gigabytes():.2f} GB at most.", flush=True)


if __name__ == "__main__":
    app.run(main)
