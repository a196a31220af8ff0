"""A model fused with its neighbours: learned on validation sessions, evaluated, and asked for recommendations."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfrs_gru4rec.checks import require, require_one_of
from tfrs_gru4rec.config import FUSIONS, EvaluationConfig
from tfrs_gru4rec.evaluation.evaluate import require_vocabulary_of
from tfrs_gru4rec.metrics import TIES, RankedPairs, block_rows, ranks
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fused_scores import FusedScores, latest_of_sessions
from tfrs_gru4rec.neighbours.fusion import (
    FILE,
    FIRST_POSITIONS,
    N_REPEATS,
    SIDES,
    Fusion,
    position_steps,
    repeat_features,
    share_features,
)
from tfrs_gru4rec.neighbours.fusion_weights import DEPTH, Candidates, candidates_of_block, join, learn_weights
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, latest_clicks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

CHOICES: dict[str, tuple[str, ...]] = {"rules": ("rules",), "knn": ("knn",), "both": tuple(SIDES)}
MAX_QUESTIONS = 10_000
_MAX_BATCH = 256
_SCORE_BYTES = 16 << 20


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
    fusion = Fusion.load_if_any(folder)
    return FusedModel(model, fusion) if fusion else model


def keep_fusion(
    model: GRU4Rec, fusion: Fusion | None, log: SessionLog, folder: str | os.PathLike[str]
) -> GRU4Rec | FusedModel:
    """Counts a fusion's neighbours anew in the log of a model, and keeps it in the model's folder.

    Args:
      model: trained on `log`.
      fusion: gives the weights; None: what the folder holds of an older one is removed.
      log: the log to count in.
      folder: the model's.

    Returns:
      The fused model; the model itself without a fusion.
    """
    if fusion is None:
        (Path(folder) / FILE).unlink(missing_ok=True)
        return model
    counted = Fusion.count(log, fusion.weights, fusion.tables)
    counted.save(folder)
    return FusedModel(model, counted)


class FusedModel:
    """A model and a fusion, with the face that `recommend` and evaluation need.

    Attributes:
      model: the model.
      fusion: of its vocabulary.

    Example:
      >>> import pandas as pd
      >>> from tfrs_gru4rec import GRU4RecConfig
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": list("abab"), "Time": range(4)})
      >>> log = SessionLog.from_frame(frame)
      >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> fused = FusedModel(model, Fusion.count(log, np.ones([4, 3]), ["rules"]))
      >>> fused.evaluate(log).recall(1)  # b has always followed a
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
        self._fused = tf.function(FusedScores(fusion), reduce_retracing=True)

    def predict_step(self, inputs: tf.Tensor) -> tf.Tensor:
        """Scores all items after sessions.

        Args:
          inputs: int32 [n, length], rows of items, oldest first, -1 for pads and unknown ones.

        Returns:
          [n, n_items]; those of a session without a known item mean nothing.
        """
        return self._fused(self.model.predict_step(inputs), latest_of_sessions(inputs))

    def evaluate(
        self, log: SessionLog, tie: str = EvaluationConfig.tie, clicks: NextClicks | None = None
    ) -> RankedPairs:
        """Ranks the next clicks of a log, as `evaluate` does for the model alone, in the order of the log.

        Args:
          log: test sessions, read with the model's vocabulary.
          tie: "standard", "conservative" or "median", see `tfrs_gru4rec.metrics.ranks.tie_ranks`.
          clicks: the questions of `log` to answer; None takes all.

        Raises:
          ValueError: the tie rule is unknown, or the log was read with another vocabulary.
        """
        require_one_of(TIES, tie=tie)
        require_vocabulary_of(self.model, log)
        started = time.monotonic()
        clicks = NextClicks.of(log) if clicks is None else clicks
        found = np.zeros(len(clicks), np.float32)
        for block, scores in _blocks(self.model, log, clicks):
            asked = clicks.take(block)
            fused = self._fused(scores, latest_clicks(log.items, asked, N_CLICKS))
            found[block] = _ranks(fused, asked.targets, tie).numpy()
        return clicks.ranked(found, log, time.monotonic() - started)


@tf.function(jit_compile=True, reduce_retracing=True)
def _ranks(scores: tf.Tensor, targets: tf.Tensor, tie: str) -> tf.Tensor:
    return ranks(scores, targets, tie)  # XLA compares and counts in one pass over the scores


def learn_fusion(
    model: GRU4Rec,
    train_log: SessionLog,
    valid_log: SessionLog,
    choice: str = "auto",
    max_questions: int = MAX_QUESTIONS,
    seed: int = 0,
) -> tuple[Fusion | None, dict[str, Any]]:
    """Learns on validation sessions what a model's neighbours weigh.

    Weights are learned on every other session and compared on those between, by the sum of the gains in recall@20 and
    MRR@20 over the model alone; then they are learned again on all.

    Args:
      model: trained on `train_log`.
      train_log: the log to count neighbours in. Count them anew for a model that is trained on more, with the weights
        found here: `Fusion.count(log, fusion.weights, fusion.tables)`.
      valid_log: later sessions, in the model's vocabulary.
      choice: of `FUSIONS`; "auto" takes what wins, and none of them if nothing does.
      max_questions: next clicks of `valid_log` to learn from, drawn at random if there are more.
      seed: of that draw.

    Returns:
      The fusion, None for none, and a report: `chosen`, and `recall` and `mrr` (at 20) of "none" and each choice tried
      on the sessions that it did not learn from.

    Raises:
      ValueError: the choice is unknown, a log is of another vocabulary, or `valid_log` has less than two sessions to
        learn from.
    """
    require_one_of(FUSIONS, choice=choice)
    for log in (train_log, valid_log):
        require_vocabulary_of(model, log)
    if choice == "none":
        return None, {"chosen": "none"}
    clicks = NextClicks.of(valid_log).sample(max_questions, seed)
    clicks = clicks.take(np.argsort(clicks.positions, kind="stable"))  # as `_blocks` answers them
    is_learned = np.unique(clicks.starts, return_inverse=True)[1] % 2 == 0
    rule = "A fusion needs at least two validation sessions of two known items."
    require(bool(is_learned.any() and not is_learned.all()), rule, questions=len(clicks))
    names = list(CHOICES) if choice == "auto" else [choice]
    sides = sorted({side for name in names for side in CHOICES[name]}, key=list(SIDES).index)
    models = {side: SIDES[side](train_log) for side in sides}
    everything = _candidates(model, valid_log, clicks, list(models.values()))
    found = {
        "none": _figures(
            everything.ranks(np.zeros([len(FIRST_POSITIONS), len(sides) + N_REPEATS])), ~is_learned
        )
    }
    for name in names:
        part = _of_sides(everything, [sides.index(side) for side in CHOICES[name]])
        found[name] = _figures(part.ranks(learn_weights(part.take(is_learned))), ~is_learned)
        logging.debug("Fusion %s: recall@20 %.4f, MRR@20 %.4f.", name, *found[name].values())
    chosen = max(found, key=lambda name: _gain(found[name], found["none"])) if choice == "auto" else choice
    report = {"chosen": chosen, **found}
    if chosen == "none":
        return None, report
    weights = learn_weights(_of_sides(everything, [sides.index(side) for side in CHOICES[chosen]]))
    return Fusion.of({side: models[side] for side in CHOICES[chosen]}, weights, train_log.vocabulary), report


def _figures(found: np.ndarray, is_meant: np.ndarray) -> dict[str, float]:
    pairs = RankedPairs(found[is_meant].astype(np.float64), found[is_meant])
    return {"recall": pairs.recall(DEPTH), "mrr": pairs.mrr(DEPTH)}


def _gain(figures: dict[str, float], alone: dict[str, float]) -> float:
    return sum(figures[name] / max(alone[name], 1e-9) for name in alone)


def _of_sides(candidates: Candidates, columns: Sequence[int]) -> Candidates:
    """Returns the candidates with the features of some sides, and those of repeated clicks."""
    n_features = candidates.features.shape[1]
    kept = [*columns, *range(n_features - N_REPEATS, n_features)]
    return dataclasses.replace(candidates, features=candidates.features[:, kept])


def _candidates(model: GRU4Rec, log: SessionLog, clicks: NextClicks, sides: Sequence[Any]) -> Candidates:
    parts = []
    for block, scores in _blocks(model, log, clicks):
        asked = clicks.take(block)
        features = [share_features(side, log.items, asked) for side in sides]
        features += repeat_features(log.items, asked, log.vocabulary.n_items)
        steps = position_steps(asked.positions)
        parts.append(candidates_of_block(scores, features, asked.targets, steps))
    return join(parts)


def _blocks(model: GRU4Rec, log: SessionLog, clicks: NextClicks) -> Iterator[tuple[np.ndarray, tf.Tensor]]:
    """Yields questions int [n] and the model's scores [n, n_items] for them, questions of like length together."""
    order = np.argsort(clicks.positions, kind="stable")
    size = min(_MAX_BATCH, block_rows(log.vocabulary.n_items, _SCORE_BYTES))
    score = tf.function(model.predict_step, input_signature=[tf.TensorSpec([None, None], tf.int32)])
    for first in range(0, len(order), size):
        block = order[first : first + size]
        asked = clicks.take(block)
        seen = latest_clicks(log.items, asked, int(asked.positions.max()))[:, ::-1]
        yield block, score(np.ascontiguousarray(seen))
