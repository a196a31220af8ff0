"""Session-parallel mini-batches as a `tf.data` graph.

The lanes walk through the log inside the graph: each step moves every lane one event on and gives the next
sessions to the lanes that are done, in lane order, which is list scheduling (lane_schedule.py). The log's
arrays are tensors the graph refers to; no schedule and no batch is stored.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_at_least
from tfrs_gru4rec.pipelines.lane_schedule import LaneState, lane_schedule, most_steps
from tfrs_gru4rec.pipelines.session_log import SessionLog

# The hand-over of an element costs 20 to 90 µs, whatever its size: as much as a tenth of a small step's arithmetic.
BLOCK_STEPS = 128
_PREFETCH_BLOCKS = 2


class SessionBatch(NamedTuple):
    """A block of steps of all lanes, each field [block_steps, lanes]; or one step of it, each field [lanes].

    Steps that have no live lane, with which the last block of an epoch is filled up, come after all others.

    >>> rows, always = tf.constant([[5, 6]]), tf.constant([[True, True]])
    >>> block = SessionBatch(rows, rows + 1, is_start=always, is_live=always)  # one step of two lanes
    >>> block.at(0).target_rows.numpy().tolist(), int(block.n_live_steps())
    ([6, 7], 1)

    Attributes:
      input_rows: int32, the item clicked now.
      target_rows: int32, the item clicked next.
      is_start: bool, first pair of its session: the state must be zeroed before this pair.
      is_live: bool, False for an empty lane; its rows repeat those of a live lane of the same step, so they name no
        new item. In a step without a live lane they are 0.
    """

    input_rows: tf.Tensor
    target_rows: tf.Tensor
    is_start: tf.Tensor
    is_live: tf.Tensor

    def at(self, step: int | tf.Tensor) -> "SessionBatch":
        """Returns one step of a block, each field [lanes]."""
        return SessionBatch(*[field[step] for field in self])

    def n_live_steps(self) -> tf.Tensor:
        """Returns how many steps of a block have a live lane, an int32 scalar."""
        return tf.math.count_nonzero(tf.reduce_any(self.is_live, axis=1), dtype=tf.int32)

    def for_each_live_step(self, act: Callable[..., None], *more: tf.Tensor) -> None:
        """Calls a function with each live step of a block in turn, as a loop in the graph.

        Of more tensors [block_steps, ...] it is given the values of the step too.
        """
        n_steps = self.n_live_steps()

        def one_step(number: tf.Tensor) -> tuple[tf.Tensor]:
            act(self.at(number), *[each[number] for each in more])
            return (number + 1,)

        tf.while_loop(lambda number: number < n_steps, one_step, [tf.constant(0)])


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
    block_steps: int = BLOCK_STEPS,
) -> tf.data.Dataset:
    """Makes one epoch of session-parallel mini-batches, in blocks of steps.

    A run that stopped in epoch e after k steps goes on with first_epoch=e, first_step=k, which gives the rest
    of that epoch step for step, at the cost of one lane schedule (under a second per million sessions), and
    then with first_epoch=e + 1.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1, 2, 2], "ItemId": [7, 8, 9, 9, 7], "Time": range(5)})
    >>> log = SessionLog.from_frame(frame)
    >>> block = next(iter(session_parallel(log, batch_size=2, block_steps=3)))
    >>> first = block.at(0)
    >>> [log.vocabulary.ids[rows].tolist() for rows in (first.input_rows, first.target_rows)]
    [[7, 9], [8, 7]]
    >>> block.is_live.numpy().tolist()  # session 2 ends first; the third step fills up the block
    [[True, True], [True, False], [False, False]]

    Args:
      log: the sessions; those of one event give no pair and are left out.
      batch_size: number of lanes; may exceed the number of sessions.
      shuffle: whether each iteration visits sessions in an order of its own, instead of by time. The epoch
        is then filled up with empty steps to a length no order exceeds, so that all epochs are equally long.
      seed: of the orders. The order of an epoch is a pure function of `seed` and the epoch's number.
      first_epoch: the number of the epoch that the first iteration gives; each later one counts one on. An
        iteration counts from when its first block is asked for.
      first_step: the step to begin at, a multiple of `block_steps`. If it is not 0, every iteration gives the rest of
        `first_epoch`.
      block_steps: steps of a block; the last one is filled up with empty steps.

    Returns:
      A dataset of `SessionBatch`, each field [block_steps, lanes], of known cardinality.

    Raises:
      ValueError: no session has two events, batch_size or block_steps is below 1, or first_step is not within the
        epoch or no multiple of block_steps.
    """
    require_at_least(1, batch_size=batch_size, block_steps=block_steps)
    require_at_least(0, first_epoch=first_epoch, first_step=first_step)
    rule = "The log must have a session of two events or more."
    require(log.n_pairs > 0, rule, sessions=log.n_sessions, events=log.n_events)
    has_pair = log.lengths > 1
    firsts, lasts = log.offsets[:-1][has_pair], log.offsets[1:][has_pair] - 1
    pairs = lasts - firsts
    if shuffle and not first_step:
        n_blocks = -(-most_steps(pairs, batch_size) // block_steps)
        track = _track(log, firsts, lasts)
        return _finish(_shuffled(n_blocks, block_steps, track, batch_size, seed, first_epoch), n_blocks)
    if shuffle:
        order = epoch_order(len(pairs), seed, first_epoch).numpy()
        firsts, lasts, pairs = firsts[order], lasts[order], pairs[order]
    schedule = lane_schedule(pairs, batch_size)
    n_steps = most_steps(pairs, batch_size) if shuffle else schedule.n_steps
    rule = "first_step must be a multiple of block_steps, and below the number of steps of the epoch."
    is_within = first_step < n_steps and first_step % block_steps == 0
    require(is_within, rule, first_step=first_step, steps=n_steps, block_steps=block_steps)
    n_blocks = -(-(n_steps - first_step) // block_steps)
    state = schedule.state_at(first_step, firsts, lasts)
    return _finish(_walk(n_blocks, block_steps, _track(log, firsts, lasts), state), n_blocks)


def _track(log: SessionLog, firsts: np.ndarray, lasts: np.ndarray) -> _Track:
    with tf.device("CPU"):
        return _Track(
            items=tf.constant(np.append(log.items, np.zeros(2, np.int32))),
            firsts=tf.constant(np.append(firsts, log.n_events)),
            lasts=tf.constant(np.append(lasts, log.n_events)),
        )


def _finish(blocks: tf.data.Dataset, n_blocks: int) -> tf.data.Dataset:
    options = tf.data.Options()
    # The blocks are made one after the other; more threads would only take the cores from the training.
    options.threading.private_threadpool_size = 1
    # There is nothing to tune, and the thread that tunes holds up the end of an iterator, up to a minute.
    options.autotune.enabled = False
    blocks = blocks.apply(tf.data.experimental.assert_cardinality(n_blocks))
    return blocks.prefetch(_PREFETCH_BLOCKS).with_options(options)


def epoch_order(n_sessions: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """Returns which of the sessions that have a pair is visited first, second, … in an epoch, int64 [n_sessions]."""
    seeds = tf.stack([tf.cast(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.stateless_shuffle(tf.range(n_sessions, dtype=tf.int64), seeds)


def _shuffled(
    n_blocks: int, size: int, track: _Track, n_lanes: int, seed: int, first_epoch: int
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
        return _walk(n_blocks, size, shuffled, start)

    return tf.data.Dataset.range(1).flat_map(one_epoch)


def _walk(n_blocks: int, size: int, track: _Track, state: LaneState) -> tf.data.Dataset:
    """Blocks of `size` steps from a state on.

    They are compiled by XLA: a step is some twenty tiny operations, which cost ten times as much one by one, on cores
    that the training wants.
    """

    def one_block(lanes: LaneState, _: tf.Tensor) -> tuple[LaneState, SessionBatch]:
        return _block(lanes, track, size)

    return tf.data.Dataset.range(n_blocks).scan(LaneState(*map(tf.constant, state)), one_block)


@tf.function(jit_compile=True)
def _block(lanes: LaneState, track: _Track, size: int) -> tuple[LaneState, SessionBatch]:
    """Makes the next steps, each field [size, lanes]."""
    n_lanes = lanes.position.shape[0]
    fields = [
        tf.TensorArray(dtype, size, element_shape=[n_lanes])
        for dtype in (tf.int32, tf.int32, tf.bool, tf.bool)
    ]

    # Not a `for` of AutoGraph, which `tf.config.run_functions_eagerly` would leave unconverted within a dataset.
    def one_step(
        number: tf.Tensor, lanes: LaneState, fields: list[tf.TensorArray]
    ) -> tuple[tf.Tensor, LaneState, list[tf.TensorArray]]:
        lanes, step = _step(lanes, track)
        written = [field.write(number, values) for field, values in zip(fields, step, strict=True)]
        return number + 1, lanes, written

    start = (tf.constant(0), lanes, fields)
    _, lanes, fields = tf.while_loop(lambda number, *_: number < size, one_step, start)
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
