"""Evaluation of a model on a test log: next item only, full catalogue, no sampled negatives."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfrs_gru4rec.checks import require, require_one_of, require_positive
from tfrs_gru4rec.config import EvaluationConfig
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.metrics import TIES, RankedPairs, ranks_in_blocks
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, latest_clicks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.lane_schedule import lane_schedule
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch, session_parallel

BLOCK_STEPS = 32
SCORE_BYTES = 64 << 20


def evaluate(
    model: GRU4Rec | FusedModel,
    log: SessionLog,
    tie: str = EvaluationConfig.tie,
    lanes: int = EvaluationConfig.lanes,
    score_bytes: int = SCORE_BYTES,
) -> RankedPairs:
    """Ranks the true next item of every pair of a log among all items.

    The state is zero at each session's start and follows it to its end, whatever the number of sessions and lanes.

    Args:
      model: the model to evaluate, alone or fused with neighbours.
      log: test sessions, read with the model's vocabulary (events of other items are then dropped and counted).
      tie: "standard", "conservative" or "median", see `tfrs_gru4rec.metrics.ranks.tie_ranks`.
      lanes: sessions followed at a time.
      score_bytes: memory for one block of scores: a catalogue is scored for as many pairs at a time as fit.

    Returns:
      The ranks, in the order of the log.

    Raises:
      ValueError: the tie rule is unknown, or the log was read with another vocabulary.

    Example:
      >>> import pandas as pd
      >>> from tfrs_gru4rec import GRU4RecConfig
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 1], "ItemId": list("aba"), "Time": range(3)})
      >>> log = SessionLog.from_frame(frame)
      >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> evaluate(model, log).recall(2)  # there are but two items
      1.0
    """
    require_one_of(TIES, tie=tie)
    require_positive(lanes=lanes, score_bytes=score_bytes)
    started = time.monotonic()
    gru, fused = (model.model, model.fused) if isinstance(model, FusedModel) else (model, None)
    require_vocabulary_of(gru, log)
    # No more than a block of the lanes' scores: what fits in the budget besides would be padding.
    score_bytes = min(score_bytes, 4 * log.vocabulary.n_items * _lanes(log, lanes) * BLOCK_STEPS)
    clicks, n_done = NextClicks.of(log), 0
    rank = gru.made_once(_rank, tie, score_bytes, fused)
    ranks = np.empty(len(clicks), np.float32)
    for queries, places in followed(gru, log, clicks, lanes):
        asked = clicks.take(places)
        latest = [latest_clicks(log.items, asked, N_CLICKS)] if fused else []
        ranks[places] = rank(queries, asked.targets, *latest).numpy()
        n_done, seconds = n_done + len(places), time.monotonic() - started
        logging.log_every_n_seconds(
            logging.INFO if seconds > 10 else logging.DEBUG,
            "Evaluated %d of %d events, %.0f events/s.",
            10,
            n_done,
            log.n_pairs,
            n_done / seconds,
        )
    return clicks.ranked(ranks, log, time.monotonic() - started)


def followed(
    model: GRU4Rec, log: SessionLog, clicks: NextClicks, lanes: int = EvaluationConfig.lanes
) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
    """Follows the sessions of a log, many at a time, each event once.

    Args:
      model: steps the sessions.
      log: in the model's vocabulary.
      clicks: `NextClicks.of(log)`.
      lanes: sessions followed at a time.

    Yields:
      Queries [n, units of the last layer], and which of the clicks they are for, int64 [n].
    """
    lanes = _lanes(log, lanes)
    follow, state = model.made_once(_follow, lanes), model.initial_state(lanes)
    order, n_done = _lane_order(log, clicks, lanes), 0
    for block in session_parallel(log, lanes, block_steps=BLOCK_STEPS):
        state, queries = follow(block, state)
        yield queries, order[n_done : n_done + len(queries)]
        n_done += len(queries)


def _lanes(log: SessionLog, lanes: int) -> int:
    # Of few sessions a power of two above their number, so that logs of like sizes share a graph.
    return min(lanes, 1 << (log.n_sessions - 1).bit_length())


def _lane_order(log: SessionLog, clicks: NextClicks, lanes: int) -> np.ndarray:
    """Returns the clicks in the order in which the lanes come to them, int64 [n_clicks]: step by step, lane by lane."""
    pairs = log.lengths[log.lengths > 1] - 1
    schedule = lane_schedule(pairs, lanes)
    steps = np.repeat(schedule.starts, pairs) + clicks.positions - 1
    return np.argsort(steps * lanes + np.repeat(schedule.lanes, pairs))


def require_vocabulary_of(model: GRU4Rec, log: SessionLog) -> None:
    """Checks that a log was read with a model's vocabulary.

    Raises:
      ValueError: it was not.
    """
    require(
        log.vocabulary is model.vocabulary or np.array_equal(log.vocabulary.ids, model.vocabulary.ids),
        "The log must be read with the model's vocabulary: SessionLog.from_file(path, vocabulary=model.vocabulary).",
        n_items=log.vocabulary.n_items,
        model_n_items=model.vocabulary.n_items,
    )


def _follow(model: GRU4Rec, lanes: int) -> Callable[..., tuple[Any, ...]]:
    """Returns a graph that follows the lanes for some steps and gives the live pairs' queries."""
    units = model.tower.units[-1]

    @tf.function(reduce_retracing=True)
    def follow(block: SessionBatch, state: State) -> tuple[State, tf.Tensor]:
        n_steps = block.n_live_steps()
        queries = tf.TensorArray(tf.float32, n_steps, element_shape=[lanes, units])
        for number in tf.range(n_steps):
            step = block.at(number)
            query, state = model.step(step.input_rows, model.tower.reset(state, step.is_start))
            queries = queries.write(number, query)
        return state, tf.boolean_mask(queries.stack(), block.is_live[:n_steps])

    return follow


def _rank(
    model: GRU4Rec, tie: str, score_bytes: int, fused: Callable[..., tf.Tensor] | None
) -> Callable[..., tf.Tensor]:
    """Returns a graph that ranks targets [n] of queries [n, units], some queries at a time."""

    @tf.function(reduce_retracing=True)
    def rank(queries: tf.Tensor, targets: tf.Tensor, *latest: tf.Tensor) -> tf.Tensor:
        # Read once: a variable that rows are gathered from is copied at every read, and blocks are many.
        weights = tf.convert_to_tensor(model.embedding.output_table)
        biases = tf.convert_to_tensor(model.embedding.output_bias)
        return ranks_in_blocks(queries, weights, biases, targets, tie, score_bytes, fused, latest)

    return rank
