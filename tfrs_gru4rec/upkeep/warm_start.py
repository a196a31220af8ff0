"""Going on from an old model with a new log: items and weights are carried over, new items get rows.

A warm start takes four calls::

    start = WarmStart("models/monday", SessionLog.from_file("tuesday.tsv"))
    model = GRU4Rec(start.log.vocabulary, config)
    fit(model, start.log, training_config, folder, prepare=start.apply)
    keep_last_seen(folder, start.log.vocabulary, start.last_seen)

and a fifth if the old model is fused with neighbours: `keep_fusion(model, start.fusion(), folder.path)`.
"""

import functools
import os
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from absl import logging

from tfrs_gru4rec.atomic_files import replacing
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.training.fit import make_optimizer
from tfrs_gru4rec.training.model_folder import ModelFolder, load_model
from tfrs_gru4rec.upkeep import carried_rows

SECONDS_PER_DAY = 86_400
_LAST_SEEN = "last_seen.parquet"
_SHAPE = ("layers", "constrained_embedding", "embedding", "reset_after")


class WarmStart:
    """An old model's weights in the rows of a vocabulary that has the new log's items too.

    Attributes:
      log: the new log, in the new rows.
      rows: the new vocabulary and where its rows come from.
      last_seen: float64 [n_items], time of each item's last event in the logs so far.
    """

    def __init__(
        self,
        old_dir: str | os.PathLike[str],
        log: SessionLog,
        options: WarmStartConfig | None = None,
    ) -> None:
        """Joins the vocabularies; weights are read when they are applied.

        Args:
          old_dir: folder of the old model.
          log: new sessions, read without a vocabulary.
          options: how to go on, `WarmStartConfig()` if None.

        Raises:
          ValueError: there is no model in the folder.
        """
        self.options = options or WarmStartConfig()
        self._folder = ModelFolder(old_dir)
        self.settings = self._folder.settings()
        old = self._folder.vocabulary()
        old_last_seen = _read_last_seen(self._folder, old)
        ticks = self.options.retire_after_days * SECONDS_PER_DAY * self.options.ticks_per_second
        is_retired = carried_rows.retired(old_last_seen, log, ticks)
        self.rows = carried_rows.map_rows(old, log.vocabulary, is_retired, self.options.count_decay)
        self.log = carried_rows.in_rows_of(log, self.rows.vocabulary)
        if not np.any(self.rows.old_rows[self.log.items] >= 0):
            logging.warning(
                "None of the %d items of the new log is known to the model in %s, so only the weights of its GRU are "
                "of use. Are item ids written in the same way in both logs?",
                log.vocabulary.n_items,
                os.fspath(old_dir),
            )
        unknown = np.full(self.rows.vocabulary.n_items, np.nan)
        before = carried_rows.carry_rows(old_last_seen, unknown, self.rows.old_rows)
        self.last_seen = np.fmax(before, carried_rows.last_seen(self.log))

    def summary(self) -> dict[str, Any]:
        """Returns what was done, for a report: the old folder, items kept, new and retired, and the options."""
        return {
            "from": os.fspath(self._folder.path),
            "kept_items": self.rows.vocabulary.n_items - self.rows.n_new,
            "new_items": self.rows.n_new,
            "retired_items": self.rows.n_retired,
            **self.options.to_dict(),
        }

    def earlier_counts(self) -> dict[str, Any]:
        """Returns what the old model's neighbours bring into counting the new log: arguments of `Fusion.count`.

        Raises:
          ValueError: the old model's fusion is damaged, or of another vocabulary.
        """
        old = self._old_fusion
        return {"before": old.moved(self.rows.old_rows), "decay": self.options.neighbour_decay} if old else {}

    def fusion(self) -> Fusion | None:
        """Returns the old model's fusion: the weights as they are, the new log added to its tables; None without one.

        Raises:
          ValueError: the old model's fusion is damaged, or of another vocabulary.
        """
        old = self._old_fusion
        return old.recounted(self.log, **self.earlier_counts()) if old else None

    @functools.cached_property
    def _old_fusion(self) -> Fusion | None:
        old = Fusion.load(self._folder.path)
        if old:
            old.require_vocabulary(self._folder.vocabulary())
        return old

    def apply(self, model: GRU4Rec) -> None:
        """Sets the weights and optimizer slots of a new model.

        Args:
          model: a compiled model of the vocabulary `log.vocabulary`.

        Raises:
          ValueError: the old model has another shape or optimizer, or none of its checkpoints can be read.
        """
        self._require_same_shape(model.config)
        optimizer = None
        if not self.options.reset_optimizer:
            optimizer = make_optimizer(TrainingConfig.from_dict(self.settings["training"]))
        old = load_model(self._folder.path, optimizer)
        for old_weight, weight in zip(old.tower.variables, model.tower.variables, strict=True):
            weight.assign(old_weight)
        for name, table in _tables(model).items():
            old_table, start = _tables(old)[name].numpy(), table.numpy()
            if self.options.new_item_rows == "neighbours":
                start = carried_rows.neighbour_means(old_table, start, self.rows.old_rows, self.log)
            table.assign(carried_rows.carry_rows(old_table, start, self.rows.old_rows))
        if not self.options.reset_optimizer:
            self._carry_slots(old, model)

    def _require_same_shape(self, config: GRU4RecConfig) -> None:
        old = GRU4RecConfig.from_dict(self.settings["model"])
        different = {
            name: (getattr(old, name), getattr(config, name))
            for name in _SHAPE
            if getattr(old, name) != getattr(config, name)
        }
        rule = "A warm start keeps the old model's shape; train from the beginning to change it (name: there, now)."
        require(not different, rule, different=different)

    def _carry_slots(self, old: GRU4Rec, model: GRU4Rec) -> None:
        """Carries the slots of the items' tables by row, all others whole; the learning rate is the new run's own."""
        old_slots, slots = _slots(old), _slots(model)
        require(
            type(old.optimizer) is type(model.optimizer) and list(old_slots) == list(slots),
            "Optimizer slots can be carried over only to the same optimizer, with momentum or without as before. "
            "Give --reset_optimizer, or the old settings.",
            old=old.optimizer.name,
            new=model.optimizer.name,
        )
        tables = tuple(_tables(model))
        for name, slot in slots.items():
            value = old_slots[name].numpy()
            if name.endswith(tables):
                value = carried_rows.carry_rows(value, slot.numpy(), self.rows.old_rows)
            slot.assign(value)


def _tables(model: GRU4Rec) -> dict[str, tf.Variable]:
    """Returns the variables [n_items, ...] by name; a shared table is one."""
    embedding = model.embedding
    tables = (embedding.output_table, embedding.output_bias, embedding.input_table)
    return {table.name: table for table in tables}


def _slots(model: GRU4Rec) -> dict[str, tf.Variable]:
    """Returns the optimizer's variables by place and name, in an order that is the same for equal optimizers."""
    optimizer = model.optimizer
    return {
        f"{place}/{variable.name}": variable
        for place, variable in enumerate(optimizer.variables)
        if variable is not getattr(optimizer, "_learning_rate", None)
    }


def keep_last_seen(folder: ModelFolder, vocabulary: Vocabulary, last_seen: np.ndarray) -> None:
    """Writes when each item was last seen beside a model, for `retire_after_days` of a later warm start.

    Args:
      folder: the folder of the model.
      vocabulary: the vocabulary of the model.
      last_seen: float64 [n_items], time of each item's last event, as `carried_rows.last_seen` returns it.

    Raises:
      OSError: the folder cannot be written to.

    Example:
      >>> import tempfile
      >>> folder = ModelFolder(tempfile.mkdtemp())
      >>> keep_last_seen(folder, Vocabulary.from_items(list("aab")), np.array([7.0, 9.0]))
      >>> pd.read_parquet(folder.path / "last_seen.parquet")["last_seen"].tolist()
      [7.0, 9.0]
    """
    with replacing(folder.path / _LAST_SEEN) as temporary:
        pd.DataFrame({"id": vocabulary.ids, "last_seen": last_seen}).to_parquet(temporary)


def _read_last_seen(folder: ModelFolder, vocabulary: Vocabulary) -> np.ndarray:
    path = folder.path / _LAST_SEEN
    times = np.full(vocabulary.n_items, np.nan)
    if path.exists():
        try:
            frame = pd.read_parquet(path)[["id", "last_seen"]]
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{path} is damaged: {error}. Put it back from a backup, or remove it: its items then count as last "
                "seen when the new log begins."
            ) from error
        rows = vocabulary.rows(frame["id"].to_numpy(object if frame["id"].dtype != np.int64 else np.int64))
        times[rows[rows >= 0]] = frame["last_seen"].to_numpy()[rows >= 0]
    return times
