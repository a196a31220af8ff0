"""What the benchmarks share: the speed of matrix products, logs, and settings as `gru4rec-train` reads them."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrs_gru4rec.cli import train
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.pipelines.session_log import SessionLog


def device() -> str:
    """Names what computes: the first GPU, or the number of cores where there is none."""
    for gpu in tf.config.list_physical_devices("GPU"):
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return f"{os.cpu_count()} cores"


def sgemm_rate(seconds: float = 1.0) -> float:
    """Returns float32 matrix products' FLOP/s where TensorFlow places them, the best of several blocks.

    On a GPU of Ampere or later TensorFlow lets products of float32 round their factors (TF32), in training too.
    """
    size = 8192 if tf.config.list_logical_devices("GPU") else 1024

    @tf.function
    def multiply(matrix: tf.Tensor) -> tf.Tensor:
        for _ in range(8):
            matrix = tf.matmul(matrix, matrix) * (1.0 / size)
        return matrix[0, 0]

    matrix = tf.random.uniform([size, size])
    multiply(matrix).numpy()
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        multiply(matrix).numpy()
        best = max(best, 8 * 2.0 * size**3 / (time.perf_counter() - started))
    return best


def data_folder(name: str = "diginetica") -> Path | None:
    """Returns the folder of a real log, None if there is none."""
    roots = [os.environ.get("GRU4REC_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    found = [Path(root) / name for root in roots if root]
    return next((path for path in found if path.exists()), None)


def required_folder(name: str = "diginetica") -> Path:
    """Returns the folder of a real log; raises FileNotFoundError if there is none."""
    folder = data_folder(name)
    if folder is None:
        raise FileNotFoundError("The files of this log are missing; BUILD.md says where they are looked for.")
    return folder


def load_log() -> SessionLog:
    """Returns Diginetica's training sessions, or random ones of that size."""
    folder = data_folder()
    return SessionLog.from_file(folder / "train.tsv.gz") if folder else random_log(186_670, 43_097)


def log_flags(name: str, work_dir: Path) -> list[str]:
    """Returns the flags of `gru4rec-train` that name a log: diginetica, movielens, or a knob of synthetic_sessions.

    Raises:
      FileNotFoundError: its files are missing.
    """
    where = f"--data_dir={work_dir / 'tfds'}"
    if name == "diginetica":
        folder = required_folder()
        return [f"--{part}_path={folder / part}.tsv.gz" for part in ("train", "test")]
    if name == "movielens":
        folder = required_folder("ml-100k")
        return ["--dataset=movielens_sessions/100k", where, f"--manual_dir={folder}"]
    return [f"--dataset=synthetic_sessions/{name}", where]


def settings_of(*flags: str) -> tuple[GRU4RecConfig, TrainingConfig]:
    """Returns what `gru4rec-train` trains with, given some flags."""
    arguments = train.COMMAND.parse(["train", "--train_path=-", "--model_dir=-", *flags])
    return arguments["model"], arguments["training"]


def random_log(n_sessions: int, n_items: int) -> SessionLog:
    """Makes sessions of independent clicks with a popularity tail."""
    rng = np.random.default_rng(0)
    sessions = np.repeat(np.arange(n_sessions), 2 + rng.geometric(0.35, n_sessions))
    weights = 1.0 / np.arange(1, n_items + 1) ** 0.8
    items = rng.choice(n_items, len(sessions), p=weights / weights.sum())
    items[:n_items] = rng.permutation(n_items)
    return SessionLog.from_frame(
        pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": np.arange(len(items))})
    )
