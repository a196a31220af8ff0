"""A model in one `.keras` file: what Keras needs to know to save it and to load it again."""

import os
from typing import Any

import numpy as np

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.events.raw_ids import as_id_array
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.sampling import Sampler


class SavedByKeras(keras.Model):
    """The part of `GRU4Rec` that `save` and `keras.models.load_model` call."""

    vocabulary: Vocabulary  # raw item ids and their rows
    config: GRU4RecConfig  # the hyperparameters
    sampler: Sampler  # draws the extra negatives
    has_own_sampler: bool  # whether a user gave that sampler
    wants_jit_compile: bool  # what `compile` was asked for

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        save_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves vocabulary, config, weights and optimizer to one file `….keras`, for `keras.models.load_model`.

        Raises:
          ValueError: another format is asked for, or the model has a sampler of its own.
        """
        require_keras_file(filepath, save_format)
        super().save(filepath, overwrite=overwrite, save_format=save_format, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` makes an equal model with new weights of: items, counts and hyperparameters.

        Raises:
          ValueError: the model has a sampler of its own.
        """
        rule = "A sampler of your own cannot be saved with the model: keep its weights by save_weights."
        require(not self.has_own_sampler, rule, sampler=type(self.sampler).__name__)
        items = {"ids": self.vocabulary.ids.tolist(), "counts": self.vocabulary.counts.tolist()}
        return {"vocabulary": items, "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes the model that `get_config` describes."""
        items = config["vocabulary"]
        vocabulary = Vocabulary(as_id_array(items["ids"]), np.array(items["counts"], np.int64))
        return cls(vocabulary, GRU4RecConfig.from_dict(config["config"]))

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns how the model was compiled, for `compile_from_config`; None if it was not."""
        config: dict[str, Any] | None = super().get_compile_config()
        return None if config is None else {**config, "jit_compile": self.wants_jit_compile}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as `get_compile_config` describes."""
        self.compile(**keras.saving.deserialize_keras_object(config))


def require_keras_file(path: str | os.PathLike[str], save_format: str | None = None) -> None:
    """Checks that a model is to be saved as one `.keras` file.

    Raises:
      ValueError: it is not; the message names the calls that there are.
    """
    require(
        os.fspath(path).endswith(".keras") and save_format in (None, "keras", "keras_v3"),
        "GRU4Rec is saved as one .keras file. Call model.save('model.keras'); for serving "
        "export_saved_model(model, folder); for weights alone model.save_weights(path), or "
        "ModelCheckpoint(path, save_weights_only=True).",
        filepath=os.fspath(path),
        save_format=save_format,
    )
