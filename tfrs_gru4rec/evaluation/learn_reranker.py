"""Learns on validation sessions the network that ranks the best items of a fusion anew; its equation is in `reranker`.

    loss = mean of -log softmax(sharpness * score)[item clicked next]

The softmax is over the best items of a session, and the mean over next clicks of which the item is among them. The
sharpness is one number, by which the scores of the fusion fall by SPREAD from the first item to the 20th, on average,
whatever the loss of the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.evaluation.questions import blocks_of
from tfrs_gru4rec.metrics.figures import hits_at, reciprocal_ranks_at
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fused_scores import FusedScores
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.neighbours.fusion_weights import DEPTH
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.rerank_network import N_BEST, Network
from tfrs_gru4rec.neighbours.reranker import item_features, session_features
from tfrs_gru4rec.pipelines.session_log import SessionLog

MAX_LISTS = 80_000
# Scores of all items for all lists: of a large catalogue there are fewer lists.
MAX_COMPUTED = 20_000_000_000
MIN_LEARNED = 1_000  # next clicks among the best, from which on something can be learned
SPREAD = 2.4  # half and 1.7 times as much make a network that is a little worse, on Diginetica
WIDTHS = (64, 32)
N_EPOCHS, BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 12, 256, 0.003, 1e-4


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

    def ranks(self, scores: np.ndarray) -> np.ndarray:
        """Returns the targets' ranks [n] by scores [n, n_best], infinity for those that are not among the best."""
        own = np.take_along_axis(scores, np.maximum(self.targets, 0)[:, np.newaxis], axis=1)
        # What is not below is counted, so that scores that are no numbers make the target the last.
        return np.where(self.targets >= 0, 1.0 + np.sum(~(scores <= own), axis=1), np.inf)


def learn_reranker(
    model: GRU4Rec, log: SessionLog, fusion: Fusion, max_lists: int = MAX_LISTS, seed: int = 0
) -> tuple[Network | None, dict[str, Any]]:
    """Learns a network on the earlier half of the sessions, compares it on the later, and learns it on all if it wins.

    It wins if the sum of its gains in recall@20 and MRR@20, as shares, is more than twice the standard error over
    sessions. Later ones, since a network can learn what is in fashion.

    Args:
      model: what the fusion is of.
      log: validation sessions, in the model's vocabulary.
      fusion: its weights learned.
      max_lists: next clicks of the log to learn from, drawn at random if there are more; see also `MAX_COMPUTED`.
      seed: of that draw, the first weights and the order.

    Returns:
      The network, None if it does not win, or if there are too few clicks; and a report: `kept`, and unless there are
      too few clicks `before` and `after`, recall and MRR at 20 on the later sessions.

    Raises:
      ValueError: the log has no session of two known items.
    """
    lists, starts = _lists(model, log, fusion, max_lists, seed)
    is_earlier = starts < np.median(np.unique(starts))
    earlier, later = lists.take(is_earlier), lists.take(~is_earlier)
    if min(np.count_nonzero(half.targets >= 0) for half in (earlier, later)) < MIN_LEARNED:
        return None, {"kept": False}
    logging.info("Learning to rank the best items anew, from %d next clicks.", len(lists.targets))
    scores = _learn(earlier, seed)[1](later)
    report = _compare(later.ranks(later.fused), later.ranks(scores), starts[~is_earlier])
    logging.debug("Ranked anew: %s.", report)
    return (_learn(lists, seed)[0] if report["kept"] else None), report


def _compare(before: np.ndarray, after: np.ndarray, sessions: np.ndarray) -> dict[str, Any]:
    """Returns the report of `learn_reranker` from the ranks of the same next clicks and their sessions, each [n]."""
    figures, gains = {"recall": hits_at, "mrr": reciprocal_ranks_at}, np.zeros(len(before))
    report: dict[str, Any] = {"before": {}, "after": {}}
    for name, figure in figures.items():
        old, new = figure(before, DEPTH), figure(after, DEPTH)
        report["before"][name], report["after"][name] = float(np.mean(old)), float(np.mean(new))
        gains += (new - old) / max(np.mean(old), 1e-9)
    of_sessions = np.bincount(np.unique(sessions, return_inverse=True)[1], gains - np.mean(gains))
    standard_error = np.sqrt(np.sum(of_sessions**2)) / len(gains)
    return {"kept": bool(np.mean(gains) > 2 * standard_error), **report}


def _lists(
    model: GRU4Rec, log: SessionLog, fusion: Fusion, max_lists: int, seed: int
) -> tuple[Lists, np.ndarray]:
    """Returns the lists of questions of a log, and the first event of each one's session, int64 [n]."""
    n_items, fused = log.vocabulary.n_items, FusedScores(fusion)
    n_best = min(N_BEST, n_items)

    @tf.function(reduce_retracing=True)
    def collect(queries: tf.Tensor, latest: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        said = fused.said(latest, n_items)
        scores = tf.zeros([1, n_items]) if fusion.is_alone else model.scores(queries)
        values, rows = tf.math.top_k(fused.before_reranking(scores, said), n_best)
        items = item_features(rows, values, fused.popularity_of(rows), said)
        is_target = rows == targets[:, tf.newaxis]
        places = tf.where(tf.reduce_any(is_target, axis=1), tf.argmax(is_target, axis=1), -1)
        return values, items, session_features(items, values, latest), places

    clicks = NextClicks.of(log)
    require(len(clicks) > 0, "A network is learned from sessions of two known items.", events=log.n_events)
    asked = clicks.sample(min(max_lists, max(1, MAX_COMPUTED // n_items)), seed)
    parts, starts = [], []
    for queries, questions, latest in blocks_of(model, log, asked):
        parts.append([part.numpy() for part in collect(queries, latest, questions.targets)])
        starts.append(questions.starts)
    return Lists(*(np.concatenate(part) for part in zip(*parts, strict=True))), np.concatenate(starts)


def _learn(lists: Lists, seed: int) -> tuple[Network, Callable[[Lists], np.ndarray]]:
    """Learns a network; returns it, and what gives the new scores of lists, up to a factor."""
    falls = lists.fused[:, 0] - lists.fused[:, min(DEPTH, lists.fused.shape[1]) - 1]
    sharpness = SPREAD / max(float(np.mean(falls)), np.finfo(np.float32).tiny)
    lists = lists.take(lists.targets >= 0)
    items, sessions = _Scaling.of(lists.items), _Scaling.of(lists.sessions)
    network, layers = _network(lists.items.shape[1:], lists.sessions.shape[1], seed)

    def inputs(part: Lists) -> tuple[np.ndarray, ...]:
        return sharpness * (part.fused - part.fused[:, :1]), items(part.items), sessions(part.sessions)

    given, n = tuple(tf.constant(part) for part in inputs(lists)), len(lists.targets)

    def batch(chosen: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        return tuple(tf.gather(part, chosen) for part in given), tf.gather(lists.targets, chosen)

    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, N_EPOCHS * -(-n // BATCH_SIZE))
    network.compile(
        keras.optimizers.AdamW(schedule, WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    order = tf.data.Dataset.range(n).shuffle(n, seed=seed)
    network.fit(order.batch(BATCH_SIZE).map(batch), epochs=N_EPOCHS, verbose=0)
    found = _plain(layers, items, sessions, sharpness)
    return found, lambda others: network.predict(inputs(others), 4 * BATCH_SIZE, verbose=0)


@dataclasses.dataclass(frozen=True, eq=False)
class _Scaling:
    """Brings features to a mean of 0 and a deviation of 1, and those that are always the same to 0."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Scaling:
        """Finds both for values [..., n_features]; the deviation of what is always the same is infinite."""
        flat = values.reshape(-1, values.shape[-1])
        flat = flat[:: max(1, len(flat) // 1_000_000)]  # a million say enough
        mean, deviation = (
            each(flat, axis=0, dtype=np.float64).astype(np.float32) for each in (np.mean, np.std)
        )
        return cls(
            mean, np.where(deviation > 1e-5 * (1 + np.abs(mean)), deviation, np.inf).astype(np.float32)
        )

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean) / self.deviation


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
