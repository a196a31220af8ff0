"""Time to load a log and to begin an epoch, and memory over an epoch.

    python benchmarks/loading.py [--events 30000000]

Writes a Parquet log of random sessions and times reading it; times, for a log of a million events in memory, the first
batch and the first steps of training; trains an epoch and prints the resident memory along it, beside the sizes of the
parameters with their slots and of the log.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from absl import app, flags

from tfrs_gru4rec._keras import keras  # isort: skip
from measuring import random_log

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel
from tfrs_gru4rec.training import ModelFolder, fit

GIGABYTE = 1e9


def resident() -> float:
    """Returns the process's resident memory in GB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / GIGABYTE


def write_log(path: Path, n_events: int) -> None:
    """Writes sessions of about four clicks on 40 thousand items, in order of time."""
    rng = np.random.default_rng(0)
    sessions = np.cumsum(rng.random(n_events) < 0.25)
    items = rng.zipf(1.3, n_events) % 40_000
    columns = {"SessionId": sessions, "ItemId": items, "Time": np.arange(n_events)}
    pq.write_table(pa.table(columns), path)


class MemoryWatch(keras.callbacks.Callback):
    """Notes when the first steps are done, and the memory after each block."""

    def __init__(self) -> None:
        """Starts the clock."""
        super().__init__()
        self.started = time.perf_counter()
        self.first_steps = 0.0
        self.readings: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Reads clock and memory."""
        self.first_steps = self.first_steps or time.perf_counter() - self.started
        self.readings.append(resident())


def load(n_events: int) -> None:
    """Times reading."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "log.parquet"
        write_log(path, n_events)
        started = time.perf_counter()
        log = SessionLog.from_file(path)
        seconds = time.perf_counter() - started
    print(f"{log.n_events:,} events from Parquet: {seconds:.1f} s, {log.n_events / seconds:,.0f} events/s")


def train_epoch() -> None:
    """Times the start and watches the memory of an epoch."""
    log = random_log(205_000, 40_000)
    started = time.perf_counter()
    next(iter(session_parallel(log, 64)))
    print(f"{log.n_events:,} events in memory: first batch after {time.perf_counter() - started:.2f} s")
    before = resident()
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(100,), logq=1.0, sample_alpha=0.75))
    watch = MemoryWatch()
    with tempfile.TemporaryDirectory() as name:
        config = TrainingConfig(batch_size=64, n_epochs=1, learning_rate=0.1, momentum=0.1)
        fit(model, log, config, ModelFolder(name), [watch])
    weights = [*model.trainable_variables, *model.optimizer.variables]
    size = sum(np.prod(variable.shape) * variable.dtype.size for variable in weights) / GIGABYTE
    arrays = (log.items, log.offsets, log.times, log.vocabulary.ids, log.vocabulary.counts)
    log_size = sum(array.nbytes for array in arrays) / GIGABYTE
    print(f"first 128 steps after {watch.first_steps:.1f} s, compiling included")
    along = ", ".join(
        f"{watch.readings[int(at * (len(watch.readings) - 1))]:.3f}" for at in (0, 0.25, 0.5, 0.75, 1)
    )
    print(f"GB along the epoch of {len(watch.readings)} blocks: {along}; before the model {before:.3f}")
    print(f"parameters and slots {size:.3f} GB, log {log_size:.3f} GB")


def main(argv: list[str]) -> None:
    """Prints the figures."""
    del argv
    train_epoch()
    load(flags.FLAGS.events)


if __name__ == "__main__":
    flags.DEFINE_integer("events", 30_000_000, "Events of the Parquet log.")
    app.run(main)
