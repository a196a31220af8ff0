"""Session-parallel mini-batches as a `tf.data` graph.

The lanes walk through the log inside the graph: each step moves every lane one event on and gives the next
sessions to the lanes that are done, in lane order, which is list scheduling (lane_schedule.py). The log's
arrays are tensors the graph refers to; no schedule and no batch is stored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_at_least
from tfrs_gru4rec.pipelines.lane_schedule import LaneState, lane_schedule, most_steps
from tfrs_gru4rec.pipelines.session_log import SessionLog

_PREFETCH_STEPS = 256
_BLOCK_STEPS = 64  # where the caller wants single steps


class SessionBatch(NamedTuple):
    """One step of all lanes.

    Attributes:
      input_rows: int32 [lanes], the item clicked now.
      target_rows: int32 [lanes], the item clicked next.
      is_start: bool [lanes], first pair of its session: the state must be zeroed before this pair.
      is_live: bool [lanes], False for an empty lane; its rows repeat those of a live lane of the same step,
        so they name no new item. A step may have no live lane at all; its rows are then 0.
    """

    input_rows: tf.Tensor
    target_rows: tf.Tensor
    is_start: tf.Tensor
    is_live: tf.Tensor


class _Track(NamedTuple):
    """What the lanes walk along.

    The last entry of firsts and lasts is what a lane gets when no session is left: it has no pair and stands
    at event n_events, which reads row 0.
    """

    items: tf.Tensor  # int32 [n_events + 2]
    firsts: tf.Tensor  # int64 [n_sessions + 1], first event of each session, in visiting order
    lasts: tf.Tensor  # int64 [n_sessions + 1], last event of each


def session_parallel(
    log: SessionLog,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    first_epoch: int = 0,
    first_step: int = 0,
    block_steps: int | None = None,
) -> tf.data.Dataset:
    """Makes one epoch of session-parallel mini-batches.

    A run that stopped in epoch e after k steps goes on with first_epoch=e, first_step=k, which gives the rest
    of that epoch batch for batch, at the cost of one lane schedule (under a second per million sessions), and
    then with first_epoch=e + 1. `skip(k)` gives the same rest but walks through the k steps.

    Args:
      log: the sessions; those of one event give no pair and are left out.
      batch_size: number of lanes; may exceed the number of sessions.
      shuffle: whether each iteration visits sessions in an order of its own, instead of by time. The epoch
        is then filled up with empty steps to a length no order exceeds, so that all epochs are equally long.
      seed: of the orders. The order of an epoch is a pure function of `seed` and the epoch's number.
      first_epoch: the number of the epoch that the first iteration gives; each later one counts one on. An
        iteration counts from when its first batch is asked for.
      first_step: the step to begin at. If it is not 0, every iteration gives the rest of `first_epoch`.
      block_steps: None gives single steps; a number gives blocks of that many, the last one smaller: each field is
        [steps, lanes]. Handing over a block costs what a step costs.

    Returns:
      A dataset of `SessionBatch`, of known cardinality.

    Raises:
      ValueError: no session has two events, batch_size or block_steps is below 1, or first_step is not within the
        epoch.
    """
    require_at_least(1, batch_size=batch_size, block_steps=1 if block_steps is None else block_steps)
    require_at_least(0, first_epoch=first_epoch, first_step=first_step)
    rule = "The log must have a session of two events or more."
    require(log.n_pairs > 0, rule, sessions=log.n_sessions, events=log.n_events)
    has_pair = log.lengths > 1
    firsts, lasts = log.offsets[:-1][has_pair], log.offsets[1:][has_pair] - 1
    pairs = lasts - firsts
    if shuffle and not first_step:
        n_steps = most_steps(pairs, batch_size)
        size = block_steps or _BLOCK_STEPS
        blocks = _shuffled(n_steps, size, _track(log, firsts, lasts), batch_size, seed, first_epoch)
        return _finish(blocks, n_steps, block_steps)
    if shuffle:
        order = epoch_order(len(pairs), seed, first_epoch).numpy()
        firsts, lasts, pairs = firsts[order], lasts[order], pairs[order]
    schedule = lane_schedule(pairs, batch_size)
    n_steps = most_steps(pairs, batch_size) if shuffle else schedule.n_steps
    rule = "first_step must be below the number of steps of the epoch."
    require(first_step < n_steps, rule, first_step=first_step, steps=n_steps)
    state = schedule.state_at(first_step, firsts, lasts)
    n_steps -= first_step
    blocks = _walk(n_steps, block_steps or _BLOCK_STEPS, _track(log, firsts, lasts), state)
    return _finish(blocks, n_steps, block_steps)


def _track(log: SessionLog, firsts: np.ndarray, lasts: np.ndarray) -> _Track:
    with tf.device("CPU"):
        return _Track(
            items=tf.constant(np.append(log.items, np.zeros(2, np.int32))),
            firsts=tf.constant(np.append(firsts, log.n_events)),
            lasts=tf.constant(np.append(lasts, log.n_events)),
        )


def _finish(blocks: tf.data.Dataset, n_steps: int, block_steps: int | None) -> tf.data.Dataset:
    options = tf.data.Options()
    # The blocks are made one after the other; more threads would only take the cores from the training.
    options.threading.private_threadpool_size = 1
    # There is nothing to tune, and the thread that tunes holds up the end of an iterator, up to a minute.
    options.autotune.enabled = False
    dataset = blocks.unbatch() if block_steps is None else blocks
    size = block_steps or 1
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(-(-n_steps // size)))
    return dataset.prefetch(max(1, _PREFETCH_STEPS // size)).with_options(options)


def epoch_order(n_sessions: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """The visiting order of an epoch.

    Args:
      n_sessions: sessions that have a pair.
      seed: of the run.
      epoch: number of the epoch.

    Returns:
      int64 [n_sessions], a permutation: which session is visited first, second, ...
    """
    seeds = tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.stateless_shuffle(tf.range(n_sessions, dtype=tf.int64), seeds)


def _shuffled(
    n_steps: int, size: int, track: _Track, n_lanes: int, seed: int, first_epoch: int
) -> tf.data.Dataset:
    """Each iteration walks in the order of the next epoch."""
    n_sessions = track.firsts.shape[0] - 1
    start = LaneState(np.zeros(n_lanes, np.int64), np.zeros(n_lanes, np.int64), np.array(-1))
    with tf.device("CPU"):
        next_epoch = tf.Variable(first_epoch, dtype=tf.int64, trainable=False)

    def one_epoch(_: tf.Tensor) -> tf.data.Dataset:
        order = epoch_order(n_sessions, seed, next_epoch.assign_add(1) - 1)
        order = tf.concat([order, [n_sessions]], axis=0)
        shuffled = _Track(track.items, tf.gather(track.firsts, order), tf.gather(track.lasts, order))
        return _walk(n_steps, size, shuffled, start)

    return tf.data.Dataset.range(1).flat_map(one_epoch)


def _walk(n_steps: int, size: int, track: _Track, state: LaneState) -> tf.data.Dataset:
    """Blocks of `size` steps from a state on.

    They are compiled by XLA: a step is some twenty tiny operations, which cost ten times as much one by one, on cores
    that the training wants.
    """

    def one_block(lanes: LaneState, number: tf.Tensor) -> tuple[LaneState, SessionBatch]:
        lanes, block = _block(lanes, track, size)
        left = n_steps - number * size
        return lanes, SessionBatch(*[field[:left] for field in block])

    return tf.data.Dataset.range(-(-n_steps // size)).scan(LaneState(*map(tf.constant, state)), one_block)


@tf.function(jit_compile=True)
def _block(lanes: LaneState, track: _Track, size: int) -> tuple[LaneState, SessionBatch]:
    """Makes the next steps, each field [size, lanes]."""
    n_lanes = lanes.position.shape[0]
    fields = [
        tf.TensorArray(dtype, size, element_shape=[n_lanes])
        for dtype in (tf.int32, tf.int32, tf.bool, tf.bool)
    ]
    for number in tf.range(size):
        lanes, batch = _step(lanes, track)
        fields = [field.write(number, values) for field, values in zip(fields, batch, strict=True)]
    return lanes, SessionBatch(*[field.stack() for field in fields])


def _step(lanes: LaneState, track: _Track) -> tuple[LaneState, SessionBatch]:
    n_sessions = track.firsts.shape[0] - 1
    is_done = lanes.position >= lanes.last
    session = tf.minimum(lanes.visited + tf.cumsum(tf.cast(is_done, tf.int64)), n_sessions)
    position = tf.where(is_done, tf.gather(track.firsts, session), lanes.position)
    last = tf.where(is_done, tf.gather(track.lasts, session), lanes.last)
    is_live = position < last
    read = tf.where(is_live, position, tf.gather(position, tf.argmax(is_live)))  # argmax: the first live lane
    batch = SessionBatch(
        input_rows=tf.gather(track.items, read),
        target_rows=tf.gather(track.items, read + 1),
        is_start=is_done & is_live,
        is_live=is_live,
    )
    return LaneState(position + 1, last, session[-1]), batch
