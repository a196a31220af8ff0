"""A model fused with its neighbours: what is asked, evaluated and kept as the model alone is."""

from __future__ import annotations

import os
from pathlib import Path

import tensorflow as tf

from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fused_scores import FusedScores, latest_of_sessions
from tfrs_gru4rec.neighbours.fusion import FILE, Fusion


class FusedModel:
    """A model and a fusion, with the face that `recommend` and `evaluate` need.

    Attributes:
      model: the model.
      fusion: of its vocabulary.
      fused: makes the fusion's scores of the model's.

    Example:
      >>> import numpy as np
      >>> import pandas as pd
      >>> from tfrs_gru4rec import GRU4RecConfig, SessionLog, evaluate
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": list("abab"), "Time": range(4)})
      >>> log = SessionLog.from_frame(frame)
      >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> fused = FusedModel(model, Fusion.count(log, np.ones([4, 4]), ["rules"]))
      >>> evaluate(fused, log).recall(1)  # b has always followed a
      1.0
    """

    def __init__(self, model: GRU4Rec, fusion: Fusion) -> None:
        """Puts the parts together.

        Raises:
          ValueError: the fusion is of another vocabulary.
        """
        fusion.require_vocabulary(model.vocabulary)
        self.model, self.fusion = model, fusion
        self.vocabulary = model.vocabulary
        self.fused = tf.function(FusedScores(fusion), reduce_retracing=True)

    def predict_step(self, inputs: tf.Tensor) -> tf.Tensor:
        """Scores all items after sessions.

        Args:
          inputs: int32 [n, length], rows of items, oldest first, -1 for pads and unknown ones.

        Returns:
          [n, n_items]; those of a session without a known item mean nothing.
        """
        return self.fused(self.model.predict_step(inputs), latest_of_sessions(inputs))


def with_fusion(model: GRU4Rec, folder: str | os.PathLike[str]) -> GRU4Rec | FusedModel:
    """Returns a model with the fusion that its folder holds, or the model itself if there is none.

    Raises:
      ValueError: the file is damaged, or of another vocabulary.

    Example:
      >>> from tfrs_gru4rec import GRU4RecConfig, Vocabulary
      >>> model = GRU4Rec(Vocabulary.from_items([7, 8]), GRU4RecConfig(layers=(2,)))
      >>> with_fusion(model, "no/such/folder") is model
      True
    """
    fusion = Fusion.load(folder)
    return FusedModel(model, fusion) if fusion else model


def keep_fusion(
    model: GRU4Rec, fusion: Fusion | None, folder: str | os.PathLike[str]
) -> GRU4Rec | FusedModel:
    """Keeps a fusion in the folder of its model, or removes what the folder holds of an older one if there is none.

    Returns:
      As `with_fusion`.
    """
    if fusion is None:
        (Path(folder) / FILE).unlink(missing_ok=True)
        return model
    fused = FusedModel(model, fusion)
    fusion.save(folder)
    return fused
