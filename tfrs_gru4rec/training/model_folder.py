"""The folder of a trained model: what it is, what it was trained on, its items and its checkpoints."""

import json
import os
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation.report import describe_log
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import FILE as VOCABULARY_FILE
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.training.checkpoints import CannotGoOnError, checkpoint_numbers, restore_trained

FORMAT = 1
_REMEDY = "Put the folder back from a backup, or remove it and train the model again."
# What may differ between a run and its continuation.
_MAY_CHANGE = ("training.n_epochs", "training.exchange_steps")


def describe(log: SessionLog) -> dict[str, int]:
    """Returns what tells one log from another: events, sessions, items, and a checksum of all of them.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1], "ItemId": ["a", "b"], "Time": [0, 1]})
    >>> describe(SessionLog.from_frame(frame))["events"]
    2
    """
    checksum = zlib.crc32(log.offsets.tobytes(), zlib.crc32(log.items.tobytes()))
    return {**describe_log(log), "checksum": checksum}


def settings_of(
    model: GRU4Rec, training: TrainingConfig, log: SessionLog, validation_log: SessionLog | None
) -> dict[str, dict[str, Any]]:
    """Returns what a run is: the settings of the model and of its training, and what tells its data from others."""
    return {
        "model": model.config.to_dict(),
        "training": training.to_dict(),
        "data": describe(log),
        "validation": {} if validation_log is None else describe(validation_log),
    }


class ModelFolder:
    """Where a model lives: config.json, vocabulary.parquet, checkpoints/, logs/ and report.json.

    >>> folder = ModelFolder("models/shop")
    >>> folder.exists(), folder.report_path.as_posix()
    (False, 'models/shop/report.json')
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Names the folder; nothing is read or written yet."""
        self.path = Path(path)
        self.config_path = self.path / "config.json"
        self.vocabulary_path = self.path / VOCABULARY_FILE
        self.checkpoints_path = self.path / "checkpoints"
        self.logs_path = self.path / "logs"
        self.report_path = self.path / "report.json"

    def exists(self) -> bool:
        """Tells whether a model was begun here."""
        return self.config_path.exists()

    def begin(
        self,
        model: GRU4Rec,
        training: TrainingConfig,
        log: SessionLog,
        validation_log: SessionLog | None = None,
        allow_changed: Collection[str] = (),
    ) -> set[str]:
        """Writes what the model is, or checks that it is what the folder holds already.

        A folder without a checkpoint holds nothing yet, whatever was written there: it begins anew.

        What may differ from the folder is named as "training.learning_rate" or "data.checksum"; the items may not.

        Returns:
          The names of the settings and properties that differ.

        Raises:
          CannotGoOnError: the folder holds a model of other settings or data, or is damaged; the message names what
            differs and what to do.
        """
        settings = {"format": FORMAT, **settings_of(model, training, log, validation_log)}
        changed: set[str] = set()
        if checkpoint_numbers(self.checkpoints_path):
            try:
                changed = self._require_same(settings, model.vocabulary, allow_changed)
            except ValueError as error:
                raise CannotGoOnError(str(error)) from error
        else:
            model.vocabulary.save(self.vocabulary_path)
        write_json(self.config_path, settings)
        return changed

    def settings(self) -> dict[str, Any]:
        """Returns the content of config.json.

        Raises:
          ValueError: there is no model here, its config.json is damaged, or it was written in a format that this
            version does not know.
        """
        rule = "There is no trained model in this folder: it must hold config.json (see gru4rec-train --model_dir)."
        require(self.exists(), rule, model_dir=os.fspath(self.path))
        try:
            settings: dict[str, Any] = json.loads(self.config_path.read_text(encoding="utf-8"))
            is_known = settings["format"] == FORMAT and {"model", "training", "data"} <= settings.keys()
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.config_path} is damaged: {error}. {_REMEDY}") from error
        rule = f"The model folder must have format {FORMAT}; train the model again with this version."
        require(is_known, rule, model_dir=os.fspath(self.path), format=settings["format"])
        return settings

    def report(self) -> dict[str, Any]:
        """Returns the content of report.json, nothing if a run has not come to its end yet.

        Raises:
          ValueError: report.json is damaged.
        """
        if not self.report_path.exists():
            return {}
        try:
            report: dict[str, Any] = json.loads(self.report_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self.report_path} is damaged: {error}. Remove it to go on without."
            ) from error
        return report

    def vocabulary(self) -> Vocabulary:
        """Returns the items.

        Raises:
          ValueError: vocabulary.parquet is missing or damaged.
        """
        try:
            return Vocabulary.load(self.vocabulary_path)
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(f"{self.vocabulary_path} is missing or damaged: {error}. {_REMEDY}") from error

    def _require_same(
        self, wanted: dict[str, Any], vocabulary: Vocabulary, allow_changed: Collection[str]
    ) -> set[str]:
        found = self.settings()
        parts = ("model", "training", "data", "validation")
        there, now = (
            {f"{part}.{name}": value for part in parts for name, value in settings.get(part, {}).items()}
            for settings in (found, wanted)
        )
        different = {
            name: (there.get(name), now.get(name))
            for name in {**there, **now}
            if name not in _MAY_CHANGE and there.get(name) != now.get(name)
        }
        refused = {name: values for name, values in different.items() if name not in allow_changed}
        require(
            not refused,
            "The folder holds a model trained with other settings or data. Give another --model_dir, or go on "
            f"with what {self.config_path} says (name: there, now), or allow the change with "
            f"--allow_changed={','.join(refused)}.",
            different=refused,
        )
        require(
            np.array_equal(self.vocabulary().ids, vocabulary.ids),
            "A run can only go on with the same items; --warm_start_from trains an old model on others.",
            model_dir=os.fspath(self.path),
        )
        return set(different)


def load_model(
    model_dir: str | os.PathLike[str], optimizer: keras.optimizers.Optimizer | None = None
) -> GRU4Rec:
    """Loads a trained model with the weights of its best epoch in validation, or else of its newest checkpoint.

    Args:
      model_dir: folder of the model.
      optimizer: one like that of the training, which the model is compiled with and whose slots are loaded too.

    Raises:
      ValueError: there is no model, or none of its checkpoints can be read.

    >>> load_model("models/none")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: There is no trained model in this folder: ...
    """
    folder = ModelFolder(model_dir)
    config = GRU4RecConfig.from_dict(folder.settings()["model"])
    model = GRU4Rec(folder.vocabulary(), config)
    if optimizer is not None:
        model.compile(optimizer)
    restored = restore_trained(tf.train.Checkpoint(model=model), folder.checkpoints_path)
    rule = "The model has no checkpoint yet: run the command that trains it again."
    require(restored is not None, rule, folder=os.fspath(folder.checkpoints_path))
    return model
