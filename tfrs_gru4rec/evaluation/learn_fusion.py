"""Learns on validation sessions what the neighbours of a model weigh."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from scipy import sparse

from tfrs_gru4rec.checks import require, require_one_of
from tfrs_gru4rec.config import FUSIONS
from tfrs_gru4rec.evaluation.evaluate import require_vocabulary_of
from tfrs_gru4rec.evaluation.learn_reranker import learn_reranker
from tfrs_gru4rec.evaluation.questions import blocks_of
from tfrs_gru4rec.metrics import RankedPairs
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fused_scores import FusedScores
from tfrs_gru4rec.neighbours.fusion import (
    FIRST_POSITIONS,
    FREE,
    REPEATS,
    SIDES,
    Fusion,
    popularity_of,
    position_steps,
)
from tfrs_gru4rec.neighbours.fusion_weights import DEPTH, Candidates, candidates_of_block, join, learn_weights
from tfrs_gru4rec.neighbours.item_to_item import Counted
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

# Which sides, and whether alone.
CHOICES: dict[str, tuple[tuple[str, ...], bool]] = {
    "rules": (("rules",), False),
    "knn": (("knn",), False),
    "both": (tuple(SIDES), False),
    "neighbours": (tuple(SIDES), True),
}
MAX_QUESTIONS = 10_000


def learn_fusion(
    model: GRU4Rec,
    train_log: SessionLog,
    valid_log: SessionLog,
    choice: str = "auto",
    max_questions: int = MAX_QUESTIONS,
    seed: int = 0,
    before: Mapping[str, Counted] | None = None,
    decay: float = 1.0,
    rerank: bool = True,
) -> tuple[Fusion | None, dict[str, Any]]:
    """Learns on validation sessions what a model's neighbours weigh.

    Weights are learned on every other session and compared on those between, by the sum of the gains in recall@20 and
    MRR@20 over the model alone; then they are learned again on all, and after them a network that ranks the best anew.

    Args:
      model: trained on `train_log`.
      train_log: the log to count neighbours in. Count them anew for a model that is trained on more, with the weights
        found here: `fusion.recounted(log)`.
      valid_log: later sessions, in the model's vocabulary.
      choice: of `FUSIONS`; "auto" takes what wins: a fusion, the neighbours alone, or the model alone.
      max_questions: next clicks of `valid_log` to learn the weights from, drawn at random if there are more;
        `learn_reranker` takes more of them.
      seed: of that draw, and of the network.
      before: what earlier logs gave, and
      decay: what it weighs, see `Fusion.count`.
      rerank: whether to try that network.

    Returns:
      The fusion, None for none, and a report: `chosen`, `recall` and `mrr` (at 20) of "none" and each choice tried
      on the sessions that it did not learn from, and `reranking`, the report of `learn_reranker`, if that was tried.

    Raises:
      ValueError: the choice is unknown, a log is of another vocabulary, or `valid_log` has less than two sessions to
        learn from.
    """
    require_one_of(FUSIONS, choice=choice)
    for log in (train_log, valid_log):
        require_vocabulary_of(model, log)
    if choice == "none":
        return None, {"chosen": "none"}
    names = list(CHOICES) if choice == "auto" else [choice]
    sides = sorted({side for name in names for side in CHOICES[name][0]}, key=list(SIDES).index)
    no_weights = np.zeros([len(FIRST_POSITIONS), len(sides) + len(FREE)])
    counted = Fusion.count(train_log, no_weights, sides, before, decay)
    asked = NextClicks.of(valid_log).sample(max_questions, seed)
    kinds = sorted({CHOICES[name][1] for name in names}, reverse=True)
    candidates, is_learned = _candidates(model, valid_log, asked, counted, kinds)
    found = {}
    for is_alone, everything in candidates.items():
        if not is_alone:
            found["none"] = _figures(_of_sides(everything, range(len(sides))).ranks(no_weights), ~is_learned)
        for name in (name for name in names if CHOICES[name][1] == is_alone):
            part = _of_sides(everything, [sides.index(side) for side in CHOICES[name][0]])
            found[name] = _figures(part.ranks(learn_weights(part.take(is_learned))), ~is_learned)
            logging.debug("Fusion %s: recall@20 %.4f, MRR@20 %.4f.", name, *found[name].values())
    chosen = max(found, key=lambda name: _gain(found[name], found["none"])) if choice == "auto" else choice
    report = {"chosen": chosen, **found}
    if chosen == "none":
        return None, report
    kept, is_alone = CHOICES[chosen]
    part = _of_sides(candidates[is_alone], [sides.index(side) for side in kept])
    used, weights = {side: counted.sides[side] for side in kept}, learn_weights(part).astype(np.float32)
    fusion = dataclasses.replace(counted, sides=used, weights=weights, is_alone=is_alone)
    if not rerank:
        return fusion, report
    network, report["reranking"] = learn_reranker(model, valid_log, fusion, seed=seed)
    return dataclasses.replace(fusion, network=network), report


def _figures(found: np.ndarray, is_meant: np.ndarray) -> dict[str, float]:
    pairs = RankedPairs(found[is_meant].astype(np.float64), found[is_meant])
    return {"recall": pairs.recall(DEPTH), "mrr": pairs.mrr(DEPTH)}


def _gain(figures: dict[str, float], alone: dict[str, float]) -> float:
    return sum(figures[name] / max(alone[name], 1e-9) for name in alone)


def _of_sides(candidates: Candidates, columns: Sequence[int]) -> Candidates:
    """Returns the candidates with the features of some sides: with popularity as the first of these has seen it."""
    n_features = candidates.features.shape[1]
    n_sides = (n_features - len(REPEATS)) // 2
    kept = [*columns, n_sides + columns[0], *range(n_features - len(REPEATS), n_features)]
    return dataclasses.replace(candidates, features=candidates.features[:, kept])


def _candidates(
    model: GRU4Rec, log: SessionLog, asked: NextClicks, fusion: Fusion, kinds: Sequence[bool]
) -> tuple[dict[bool, Candidates], np.ndarray]:
    """Finds the candidates of questions of a log.

    Returns:
      The candidates by kind, with popularity (True) or the scores of the model (False); and bool [n_questions], which
      questions are learned from, those of every other session.
    """
    n_items, starts = log.vocabulary.n_items, []
    parts: dict[bool, list[Candidates]] = {is_alone: [] for is_alone in kinds}
    popularity = np.stack([popularity_of(counted) for counted in fusion.sides.values()], axis=1)
    features = tf.function(FusedScores(fusion).features, reduce_retracing=True)
    for queries, questions, latest in blocks_of(model, log, asked):
        shape = (len(questions), n_items)
        found = [_sparse(each, shape) for each in features(latest, n_items)]
        steps = position_steps(questions.positions)
        for is_alone, candidates in parts.items():
            scores = tf.broadcast_to(fusion.popularity, shape) if is_alone else model.scores(queries)
            candidates.append(candidates_of_block(scores, found, popularity, questions.targets, steps))
        starts.append(questions.starts)
    is_learned = np.unique(np.concatenate(starts), return_inverse=True)[1] % 2 == 0
    rule = "A fusion needs at least two validation sessions of two known items."
    require(bool(is_learned.any() and not is_learned.all()), rule, questions=len(is_learned))
    return {is_alone: join(candidates) for is_alone, candidates in parts.items()}, is_learned


def _sparse(feature: tuple[tf.Tensor, tf.Tensor], shape: tuple[int, int]) -> sparse.csr_array:
    """Makes a matrix of values at flattened places, where a place that occurs several times has one value."""
    places, values = feature
    distinct, first = np.unique(places, return_index=True)
    return sparse.csr_array((values.numpy()[first], np.divmod(distinct, shape[1])), shape=shape)
