"""Speed of training through the public path, as a share of this machine's own matrix speed in the same run.

    python benchmarks/train_speed.py [--recipe retailrocket,rsc15] [--steps 2048] [--noparts]

Trains two published recipes as `gru4rec-train` does (checkpoints, CSV and TensorBoard logs on), on
../shared/data/diginetica or, where that is absent, on random sessions of the same size, and prints for each:
steps/s, events/s, GFLOP/s and the share of the sgemm rate (1024 x 1024 x 1024; 8192 on a GPU), which is measured
before and after. Where TensorFlow finds a GPU, all of it runs there.
The first 256 steps do not count; the others are timed by 256, and both rates are of the fastest time, so that what else
the machine does is left out of both. The share of the median time stands beside it. It also times loops of a step's
products alone, and loops that do more and more of a step (--noparts leaves them out).
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable

from absl import app, flags

from tfrs_gru4rec._keras import keras  # isort: skip
import numpy as np
import tensorflow as tf
from measuring import device, load_log, settings_of, sgemm_rate

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch, session_parallel
from tfrs_gru4rec.training import ModelFolder, fit
from tfrs_gru4rec.training.fit import make_optimizer

WINDOW_STEPS = 256


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A published recipe."""

    model: GRU4RecConfig
    training: TrainingConfig

    @property
    def step_flop(self) -> float:
        """Multiplications and additions of a step's products: 3 × 2·B·D·(B + n_sample) + 3 × 2·B·D·3D·2."""
        batch, units = self.training.batch_size, self.model.layers[-1]
        return 6.0 * batch * units * (batch + self.model.n_sample) + 36.0 * batch * units * units


RECIPES = {name: Recipe(*settings_of(f"--flagfile={name}")) for name in ("retailrocket", "rsc15")}


# Of a step and the rows that it reads, see `tfrs_gru4rec.models.item_rows`.
Part = Callable[[SessionBatch, tf.Tensor], list[tf.Tensor]]


class Stopwatch(keras.callbacks.Callback):
    """Times the steps after the first window, window by window, and stops the run when it has enough."""

    def __init__(self, steps: int) -> None:
        """Counts `steps` after the first window."""
        super().__init__()
        self.rates: list[float] = []  # steps/s of each window
        self._wanted = steps // WINDOW_STEPS
        self._started: tuple[int, float] | None = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Reads the clock after each block of steps."""
        done, now = int(self.model.train_steps), time.perf_counter()
        first, since = self._started or (0, 0.0)
        if done - first < WINDOW_STEPS:
            return
        if self._started:
            self.rates.append((done - first) / (now - since))
        self._started = done, now
        self.model.stop_training = len(self.rates) >= self._wanted


def measure(recipe: Recipe, log: SessionLog, steps: int) -> list[float]:
    """Returns steps/s of each window of a run as the command makes it."""
    with tempfile.TemporaryDirectory() as name:
        folder, stopwatch = ModelFolder(name), Stopwatch(steps)
        fit(GRU4Rec(log.vocabulary, recipe.model), log, recipe.training, folder, [stopwatch], verbose=0)
    return stopwatch.rates


def measure_parts(recipe: Recipe, log: SessionLog, steps: int = 512) -> dict[str, float]:
    """Returns milliseconds a step of loops that do more and more of it, compiled as training is."""
    lanes = recipe.training.batch_size
    model = GRU4Rec(log.vocabulary, recipe.model)
    model.compile(make_optimizer(recipe.training))
    model.lanes.build(lanes)
    data = session_parallel(log, lanes, block_steps=steps)
    block = next(iter(data))
    parts = {"its products alone": _products(model, recipe), **_parts(model)}
    found = {name: _milliseconds(model, part, block, steps) for name, part in parts.items()}
    started = time.perf_counter()
    data.take(8).reduce(0, lambda total, block: total + block.input_rows[0, 0]).numpy()
    found["session-parallel data"] = (time.perf_counter() - started) / (8 * steps) * 1e3
    return found


def _parts(model: GRU4Rec) -> dict[str, Part]:
    """Returns more and more of a step."""

    def draw(step: SessionBatch, rows: tf.Tensor) -> list[tf.Tensor]:
        return [rows]

    def read(step: SessionBatch, rows: tf.Tensor) -> list[tf.Tensor]:
        return [*model.embedding.candidates(rows)]

    def differentiate(step: SessionBatch, rows: tf.Tensor) -> list[tf.Tensor]:
        loss, gradients = model._differentiate_by_rows(step, rows)
        return [loss, *(getattr(gradient, "values", gradient) for gradient in gradients)]

    def train(step: SessionBatch, rows: tf.Tensor) -> list[tf.Tensor]:
        model._train_on(step, rows)
        return [model.loss_tracker.total.read_value()]

    return {
        "draw negatives": draw,
        "… and read rows": read,
        "… and loss and gradients": differentiate,
        "… and update, the whole step": train,
    }


def _products(model: GRU4Rec, recipe: Recipe) -> Part:
    """Returns the products of a step and nothing else, on numbers that mean nothing."""
    units = recipe.model.layers[-1]
    candidates = tf.random.stateless_uniform(
        [recipe.training.batch_size + recipe.model.n_sample, units], [0, 1]
    )
    kernels = [tf.random.stateless_uniform([units, 3 * units], [0, seed]) for seed in (2, 3)]

    def multiply(step: SessionBatch, rows: tf.Tensor) -> list[tf.Tensor]:
        query = model.embedding.look_up(step.input_rows)
        scores = tf.matmul(candidates, query, transpose_b=True)
        found = [scores @ query, tf.matmul(scores, candidates, transpose_a=True)]
        for side, kernel in zip((query, query + 1.0), kernels, strict=True):
            gates = side @ kernel
            found += [tf.matmul(side, gates, transpose_a=True), tf.matmul(gates, kernel, transpose_b=True)]
        return found

    return multiply


def _milliseconds(model: GRU4Rec, part: Part, block: SessionBatch, steps: int) -> float:
    @tf.function(jit_compile=True)
    def loop(n_steps: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([])
        (rows,) = model._rows_ahead(block)
        for number in tf.range(n_steps):
            # All of it is summed, or XLA would leave out what nobody reads.
            for values in part(block.at(number), rows[number]):
                total += tf.reduce_sum(tf.cast(values, tf.float32))
        return total

    loop(tf.constant(steps))
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        loop(tf.constant(steps)).numpy()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) / steps * 1e3


def main(argv: list[str]) -> None:
    """Prints the table."""
    del argv
    log = load_log()
    print(f"{log.n_events} events, {log.vocabulary.n_items} items; TensorFlow {tf.__version__}, {device()}")
    print(f"{'recipe':14}{'steps/s':>9}{'events/s':>10}{'GFLOP/s':>9}{'sgemm':>8}{'share':>8}{'median':>9}")
    for name in flags.FLAGS.recipe:
        recipe = RECIPES[name]
        before = sgemm_rate()
        rates = measure(recipe, log, flags.FLAGS.steps)
        sgemm, rate = max(before, sgemm_rate()), max(rates)
        work = rate * recipe.step_flop
        speed = f"{rate:9.1f}{rate * recipe.training.batch_size:10.0f}{work / 1e9:9.1f}"
        shares = f"{work / sgemm:8.1%}{np.median(rates) / rate * work / sgemm:9.1%}"
        print(f"{name:14}{speed}{sgemm / 1e9:8.0f}{shares}", flush=True)
        if flags.FLAGS.parts:
            for part, milliseconds in measure_parts(recipe, log).items():
                print(f"    {part:30}{milliseconds:8.3f} ms")


if __name__ == "__main__":
    flags.DEFINE_list("recipe", list(RECIPES), "Recipes to measure.")
    flags.DEFINE_integer("steps", 2048, "Steps to time after the first 256.", lower_bound=WINDOW_STEPS)
    flags.DEFINE_bool("parts", True, "Also time the parts of a step.")
    app.run(main)
