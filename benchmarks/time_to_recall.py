"""Time to a good model: seconds of training until recall@20 on the test is nearly what a published recipe ends with.

    python benchmarks/time_to_recall.py --settings cross-entropy,cross-entropy-fast --seeds 0,1,2

Trains on Diginetica by the two settings of BUILD.md, and by what is to be faster, and evaluates after every epoch,
while the clock stands still. The aim is `--share` of the recall@20 that the papers' code has after five epochs of the
setting of the same loss. Seconds are those of the steps; the first block, which waits for the compiler, is shown apart.
Each line is printed as it is found, so runs of several versions can be put beside one another. Run it on a quiet
machine.
"""

import dataclasses
import tempfile
import time
from typing import Any

from absl import app, flags

from tfrs_gru4rec._keras import keras  # isort: skip
from measuring import data_folder

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit

_CROSS_ENTROPY = {"loss": "cross-entropy", "layers": (100,), "logq": 1.0, "sample_alpha": 0.75}
_BPR_MAX = {"loss": "bpr-max", "layers": (128,), "final_act": "elu-1", "bpreg": 0.9, "sample_alpha": 0.3}
SETTINGS: dict[str, dict[str, Any]] = {
    "cross-entropy": {**_CROSS_ENTROPY, "dropout_p_embed": 0.1, "batch_size": 64, "learning_rate": 0.1},
    "bpr-max": {
        **_BPR_MAX,
        "dropout_p_embed": 0.5,
        "dropout_p_hidden": 0.3,
        "batch_size": 128,
        "learning_rate": 0.05,
        "momentum": 0.15,
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
        """Starts with no second spent."""
        super().__init__()
        self.compiling = self.spent = self._began = 0.0
        self._name, self._test, self._aim = name, test, aim

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
        print(
            f"{self._name:28} epoch {epoch + 1}, {self.spent:6.1f} s and {self.compiling:4.1f} s for the first block: "
            f"recall@20 {recall:.4f}, MRR@20 {found.mrr(20):.4f}{', the aim is reached' if is_enough else ''}",
            flush=True,
        )
        self.model.stop_training |= is_enough


def settings_of(cls: type, settings: dict[str, Any]) -> Any:
    """Makes a config of those of the settings that are its."""
    names = {field.name for field in dataclasses.fields(cls)}
    return cls(**{name: value for name, value in settings.items() if name in names})


def main(argv: list[str]) -> None:
    """Trains and measures."""
    folder = data_folder()
    if folder is None:
        raise app.UsageError("The Diginetica logs are not there, see BUILD.md.")
    log = SessionLog.from_file(folder / "train.tsv.gz")
    test = SessionLog.from_file(folder / "test.tsv.gz", vocabulary=log.vocabulary)
    for seed in map(int, _SEEDS.value):
        for name in _NAMES.value:
            settings = {**SETTINGS[name], "seed": seed, "n_epochs": _EPOCHS.value}
            clock = Clock(f"{name}, seed {seed}", test, _SHARE.value * REFERENCE[settings["loss"]])
            model = GRU4Rec(log.vocabulary, settings_of(GRU4RecConfig, settings))
            with tempfile.TemporaryDirectory() as work_dir:
                fit(model, log, settings_of(TrainingConfig, settings), ModelFolder(work_dir), [clock])


if __name__ == "__main__":
    app.run(main)
