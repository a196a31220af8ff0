"""Learns on validation sessions the network that ranks the best items of a fusion anew; its equation is in `reranker`.

    loss = mean over next clicks of -log softmax(sharpness * score)[target]      over the best items of the session

Of clicks whose item is among the best. `sharpness` makes of the fusion's scores, whatever the model's loss, some that
fall by SPREAD from the first item to the 20th, on average.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.evaluation.evaluate import followed
from tfrs_gru4rec.metrics import RankedPairs, block_rows
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fused_scores import FusedScores
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.neighbours.fusion_weights import DEPTH
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, latest_clicks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.rerank_network import N_BEST, Network
from tfrs_gru4rec.neighbours.reranker import features, session_features
from tfrs_gru4rec.pipelines.session_log import SessionLog

MAX_QUESTIONS = 80_000
MAX_SCORES = 20_000_000_000  # of all items, for all questions; so there are fewer of large catalogues
MIN_LEARNED = 1_000  # next clicks among the best, from which on something can be learned
SPREAD = 2.4
WIDTHS = (64, 32)
N_EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 12, 256, 0.003, 1e-4
_SCORE_BYTES = 16 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class Lists:
    """The best items after sessions, as `reranker` describes them.

    Attributes:
      fused: float32 [n, n_best], falling.
      items: float32 [n, n_best, n_features], x.
      sessions: float32 [n, 1 + n_features], c.
      targets: int64 [n], the place of the item clicked next, -1 if it is not among the best.
    """

    fused: np.ndarray
    items: np.ndarray
    sessions: np.ndarray
    targets: np.ndarray

    def take(self, chosen: np.ndarray) -> Lists:
        """Returns some of the lists, by bool [n]."""
        return Lists(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def figures(self, scores: np.ndarray) -> dict[str, float]:
        """Returns recall and MRR at 20 of scores [n, n_best]; a target that is not among the best is a miss."""
        own = np.take_along_axis(scores, np.maximum(self.targets, 0)[:, np.newaxis], axis=1)
        ranks = 1.0 + np.sum(scores > own, axis=1)
        pairs = RankedPairs(np.where(self.targets >= 0, ranks, np.inf), ranks)
        return {"recall": pairs.recall(DEPTH), "mrr": pairs.mrr(DEPTH)}


def learn_reranker(
    model: GRU4Rec, log: SessionLog, fusion: Fusion, max_questions: int = MAX_QUESTIONS, seed: int = 0
) -> tuple[Network | None, dict[str, Any]]:
    """Learns a network on every other session, compares it on those between, and learns it again on all if it wins.

    Args:
      model: what the fusion is of.
      log: validation sessions, in the model's vocabulary.
      fusion: its weights learned.
      max_questions: next clicks of the log to learn from, drawn at random if there are more; see also `MAX_SCORES`.
      seed: of that draw, the first weights and the order.

    Returns:
      The network, None if it does not win, or if there are too few clicks; and a report: `kept`, and `before` and
      `after`, recall and MRR at 20 on the sessions that it did not learn from.
    """
    lists, is_learned = _lists(model, log, fusion, max_questions, seed)
    if np.count_nonzero(lists.targets[is_learned] >= 0) < MIN_LEARNED:
        return None, {"kept": False}
    others = lists.take(~is_learned)
    before = others.figures(others.fused)
    network, after = _learn(lists.take(is_learned), others, seed)
    is_better = sum(after[name] / max(before[name], 1e-9) for name in before) > len(before)
    report = {"kept": is_better, "before": before, "after": after}
    logging.debug("Ranked anew: %s.", report)
    return (_learn(lists, others, seed)[0] if is_better else None), report


def _lists(
    model: GRU4Rec, log: SessionLog, fusion: Fusion, max_questions: int, seed: int
) -> tuple[Lists, np.ndarray]:
    """Returns the lists of questions of a log, and bool [n], whether one belongs to one of every other session."""
    clicks, n_items = NextClicks.of(log), log.vocabulary.n_items
    asked = clicks.sample(min(max_questions, max(1, MAX_SCORES // n_items)), seed)
    is_asked, fused = np.isin(clicks.events, asked.events), FusedScores(fusion)
    n_best, size = min(N_BEST, n_items), block_rows(n_items, _SCORE_BYTES)

    @tf.function(reduce_retracing=True)
    def collect(queries: tf.Tensor, latest: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        said = fused.said(latest, n_items)
        scores = tf.zeros([1, n_items]) if fusion.is_alone else model.scores(queries)
        scores = fused.add_popularity(scores, said)
        values, rows = tf.math.top_k(fused.add_sides(scores, said), n_best)
        found = features(fused.best(rows, values, scores, said), said, n_items)
        of_sessions = session_features(found, values > -np.inf, latest)
        is_target = rows == targets[:, tf.newaxis]
        places = tf.where(tf.reduce_any(is_target, axis=1), tf.argmax(is_target, axis=1), -1)
        return values, found, of_sessions, places

    parts, starts = [], []
    for queries, places in followed(model, log, clicks):
        chosen = np.flatnonzero(is_asked[places])
        for block in filter(len, np.split(chosen, range(size, len(chosen), size))):
            questions = clicks.take(places[block])
            latest = latest_clicks(log.items, questions, N_CLICKS)
            found = collect(tf.gather(queries, block), latest, questions.targets)
            parts.append([part.numpy() for part in found])
            starts.append(questions.starts)
    lists = Lists(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    return lists, np.unique(np.concatenate(starts), return_inverse=True)[1] % 2 == 0


def _learn(lists: Lists, others: Lists, seed: int) -> tuple[Network, dict[str, float]]:
    """Learns a network from lists, and returns its figures on others."""
    last = min(DEPTH, lists.fused.shape[1]) - 1
    falls = lists.fused[:, 0] - np.maximum(lists.fused[:, last], np.finfo(np.float32).min)
    sharpness = SPREAD / max(float(np.mean(falls)), np.finfo(np.float32).tiny)
    learned = lists.take(lists.targets >= 0)
    items, sessions = _Scaling.of(learned.items), _Scaling.of(learned.sessions)
    network, layers = _network(learned.items.shape[1:], learned.sessions.shape[1], seed)

    def inputs(part: Lists) -> tuple[np.ndarray, ...]:
        scores = np.maximum(sharpness * (part.fused - part.fused[:, :1]), -1e9)
        return scores, items(part.items), sessions(part.sessions)

    given, n = tuple(tf.constant(part) for part in inputs(learned)), len(learned.targets)

    def batch(chosen: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        return tuple(tf.gather(part, chosen) for part in given), tf.gather(learned.targets, chosen)

    order = tf.data.Dataset.range(n).shuffle(n, seed=seed)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, N_EPOCHS * -(-n // BATCH_SIZE))
    network.compile(
        keras.optimizers.AdamW(schedule, WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    network.fit(order.batch(BATCH_SIZE).map(batch), epochs=N_EPOCHS, verbose=0)
    found = others.figures(network.predict(inputs(others), 4 * BATCH_SIZE, verbose=0))
    return _plain(layers, items, sessions, sharpness), found


@dataclasses.dataclass(frozen=True, eq=False)
class _Scaling:
    """Brings features to a mean of 0 and a deviation of 1."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Scaling:
        """Finds both for values [..., n_features]."""
        flat = values.reshape(-1, values.shape[-1])
        deviation = flat.std(axis=0, dtype=np.float64)
        return cls(flat.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return ((values - self.mean) / self.deviation).astype(np.float32)


def _network(
    shape: tuple[int, ...], n_of_sessions: int, seed: int
) -> tuple[keras.Model, list[keras.layers.Layer]]:
    """Makes the network of the equation, whose outputs are scores, at first those of the fusion; and its layers."""
    scores, items, sessions = keras.Input(shape[:1]), keras.Input(shape), keras.Input([n_of_sessions])
    glorot = [keras.initializers.GlorotUniform(seed=number) for number in range(3 * seed, 3 * seed + 3)]
    layers = [
        keras.layers.Dense(WIDTHS[0], use_bias=False, kernel_initializer=glorot[0]),
        keras.layers.Dense(WIDTHS[0], kernel_initializer=glorot[1]),
        keras.layers.Dense(WIDTHS[1], "relu", kernel_initializer=glorot[2]),
        keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
    ]
    of_items, of_sessions, second, last = layers
    hidden = keras.activations.relu(of_items(items) + of_sessions(sessions)[:, tf.newaxis])
    return keras.Model((scores, items, sessions), scores + last(second(hidden))[:, :, 0]), layers


def _plain(
    layers: list[keras.layers.Layer], items: _Scaling, sessions: _Scaling, sharpness: float
) -> Network:
    """Returns the weights for features and scores as they are, in the order of the equation."""
    of_items, of_sessions, bias, second, second_bias, last = (
        weights for layer in layers for weights in layer.get_weights()
    )
    of_items = of_items / items.deviation[:, np.newaxis]
    of_sessions = of_sessions / sessions.deviation[:, np.newaxis]
    bias = bias - items.mean @ of_items - sessions.mean @ of_sessions
    plain = (of_items, of_sessions, bias, second, second_bias, last[:, 0] / sharpness)
    return Network(*(np.asarray(part, np.float32) for part in plain))
