"""Time to a good model: seconds of training until recall@20 on the test is nearly what a published recipe ends with.

    python benchmarks/time_to_recall.py --settings cross-entropy,bpr-max,fast --seeds 0,1,2

Trains on Diginetica by the two settings of BUILD.md, and by any preset that is named, and evaluates after every epoch,
while the clock stands still. The aim is `--share` of the recall@20 that the papers' code has after five epochs of the
setting of the same loss. Seconds are those from the log in memory on, first vectors included; the first block, which
waits for the compiler, is shown apart.
Each line is printed as it is found, so runs of several versions can be put beside one another. Run it on a quiet
machine.
"""

import tempfile
import time
from typing import Any

from absl import app, flags

from tfrs_gru4rec._keras import keras  # isort: skip
from measuring import required_folder, settings_of

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit

SETTINGS: dict[str, dict[str, Any]] = {
    "cross-entropy": {
        "loss": "cross-entropy",
        "layers": 100,
        "batch_size": 64,
        "dropout_p_embed": 0.1,
        "dropout_p_hidden": 0,
        "learning_rate": 0.1,
        "n_sample": 2048,
        "sample_alpha": 0.75,
        "logq": 1,
        "first_vectors": "random",
    },
    "bpr-max": {
        "loss": "bpr-max",
        "reset_after": True,
        "layers": 128,
        "batch_size": 128,
        "dropout_p_embed": 0.5,
        "dropout_p_hidden": 0.3,
        "learning_rate": 0.05,
        "momentum": 0.15,
        "n_sample": 2048,
        "sample_alpha": 0.3,
        "bpreg": 0.9,
        "final_act": "elu-1",
    },
}
REFERENCE = {
    "cross-entropy": 0.5163,
    "bpr-max": 0.5048,
}  # recall@20 of the papers' own code after five epochs
_NAMES = flags.DEFINE_list("settings", list(SETTINGS), "which settings")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "seeds")
_SHARE = flags.DEFINE_float("share", 0.99, "share of the recipe's recall@20 to reach")
_EPOCHS = flags.DEFINE_integer("epochs", 6, "most epochs")


class Clock(keras.callbacks.Callback):
    """Adds up the seconds of the steps, evaluates after each epoch, and ends the run when the aim is reached."""

    def __init__(self, name: str, test: SessionLog, aim: float) -> None:
        """Starts the clock: making the model and first vectors counts."""
        super().__init__()
        self.compiling, self.spent, self._began = 0.0, 0.0, time.perf_counter()
        self._name, self._test, self._aim = name, test, aim

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes what the preparation took."""
        self.spent = time.perf_counter() - self._began

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the first block apart, for it waits for the compiler."""
        if not self.compiling:
            now = time.perf_counter()
            self.compiling, self._began = now - self._began, now

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops the clock, evaluates, and says so."""
        self.spent += time.perf_counter() - self._began
        found = evaluate(self.model, self._test)
        recall = found.recall(20)
        is_enough = recall >= self._aim
        loss = float((logs or {})["loss"])
        print(
            f"{self._name:24} epoch {epoch + 1}, {self.spent:6.1f} s and {self.compiling:4.1f} s for the first block: "
            f"loss {loss:.4f}, recall@20 {recall:.4f}, MRR@20 {found.mrr(20):.4f}{' <- the aim' if is_enough else ''}",
            flush=True,
        )
        self.model.stop_training |= is_enough


def configs(name: str, seed: int) -> tuple[GRU4RecConfig, TrainingConfig]:
    """Returns the settings of a name."""
    values = SETTINGS.get(name)
    words = [f"--{key}={value}" for key, value in values.items()] if values else [f"--flagfile={name}"]
    return settings_of(*words, f"--seed={seed}", f"--n_epochs={_EPOCHS.value}")


def main(argv: list[str]) -> None:
    """Trains and measures."""
    folder = required_folder()
    log = SessionLog.from_file(folder / "train.tsv.gz")
    test = SessionLog.from_file(folder / "test.tsv.gz", vocabulary=log.vocabulary)
    for seed in map(int, _SEEDS.value):
        for name in _NAMES.value:
            model, training = configs(name, seed)
            clock = Clock(f"{name}, seed {seed}", test, _SHARE.value * REFERENCE[model.loss])
            with tempfile.TemporaryDirectory() as work_dir:
                fit(GRU4Rec(log.vocabulary, model), log, training, ModelFolder(work_dir), [clock])


if __name__ == "__main__":
    app.run(main)
