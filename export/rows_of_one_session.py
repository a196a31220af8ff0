"""Several events of one session in one batch: which come first, and which are repeats."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfrs_gru4rec.export.signatures import Status


class BatchOrder(NamedTuple):
    """The order in which rows [n] are to be applied.

    A row that repeats the session's row before it, with the same position, needs no turn of its own: whatever
    became of that row, this one changes nothing. So a batch padded by repeating a row takes one wave.

    Attributes:
      sessions: int32 [n], each row's session, as an index into the distinct ones.
      heads: int32 [n], the row whose turn decides over this one: itself, or the earlier row it repeats.
      waves: int32 [n], the turn of each head: how many heads of its session come before it.
    """

    sessions: tf.Tensor
    heads: tf.Tensor
    waves: tf.Tensor


def order_in_sessions(sessions: tf.Tensor, positions: tf.Tensor) -> BatchOrder:
    """Finds the order of rows.

    Args:
      sessions: int32 [n], index of each row's session.
      positions: int64 [n], of each row's event; 0 appends and so never repeats.

    Returns:
      The order.
    """
    index = tf.range(tf.size(sessions))
    is_earlier = (index < index[:, tf.newaxis]) & (sessions == sessions[:, tf.newaxis])
    previous = tf.reduce_max(tf.where(is_earlier, index, -1), axis=1)
    is_repeat = (previous >= 0) & (positions > 0)
    is_repeat &= tf.gather(positions, tf.maximum(previous, 0)) == positions
    is_earlier_head = is_earlier & ~is_repeat
    earlier_head = tf.reduce_max(tf.where(is_earlier_head, index, -1), axis=1)
    waves = tf.math.count_nonzero(is_earlier_head, axis=1, dtype=tf.int32)
    return BatchOrder(sessions, tf.where(is_repeat, earlier_head, index), waves)


def apply_in_order(
    order: BatchOrder, apply: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]], record_size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies the rows of a batch, wave by wave; in a wave each session has at most one.

    Args:
      order: of the rows.
      apply: takes rows int64 [m] of different sessions, and applies them; returns the sessions' records
        [m, record_size] after that, and what became of the rows, int32 [m] as in `Status`.
      record_size: floats a session.

    Returns:
      The record [n, record_size] after each row, and each row's status int32 [n].
    """
    index = tf.range(tf.size(order.heads))
    is_head = order.heads == index
    wave_of_head = tf.where(is_head, order.waves, -1)
    n_waves = 1 + tf.reduce_max(wave_of_head)

    def run(wave: tf.Tensor, records: tf.Tensor, statuses: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tf.where(wave_of_head == wave)
        wave_records, wave_statuses = apply(rows[:, 0])
        records = tf.tensor_scatter_nd_update(records, rows, wave_records)
        statuses = tf.tensor_scatter_nd_update(statuses, rows, wave_statuses)
        # The next wave begins when this one is through.
        with tf.control_dependencies([records, statuses]):
            return wave + 1, records, statuses

    _, records, statuses = tf.while_loop(
        lambda wave, *_: wave < n_waves,
        run,
        (tf.constant(0), tf.zeros([tf.size(index), record_size]), tf.zeros_like(index)),
        parallel_iterations=1,
    )
    records, statuses = tf.gather(records, order.heads), tf.gather(statuses, order.heads)
    was_applied = statuses < Status.REPEATED
    return records, tf.where(is_head | ~was_applied, statuses, Status.REPEATED)


def apply_events(
    records: tf.Tensor,
    positions: tf.Tensor,
    item_rows: tf.Tensor,
    advance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies one event to each of different sessions.

    Args:
      records: [m, 1 + state_size], each session's number of events (exact up to 2^24), then its state.
      positions: int64 [m] of the events, see `Status`.
      item_rows: int32 [m], -1 for an unknown item.
      advance: takes states [m, state_size] and item rows [m], returns the next states; an unknown item leaves
        a state as it is.

    Returns:
      The new records, and the status int32 [m] of each event.
    """
    lengths = tf.cast(records[:, 0], tf.int64)
    is_next = (positions == 0) | (positions == lengths + 1)
    moved = tf.concat([records[:, :1] + 1.0, advance(records[:, 1:], item_rows)], axis=1)
    after = tf.where(is_next[:, tf.newaxis], moved, records)
    applied = tf.where(item_rows >= 0, int(Status.APPLIED), int(Status.UNKNOWN_ITEM))
    refused = tf.where(positions <= lengths, int(Status.REPEATED), int(Status.GAP))
    return after, tf.where(is_next, applied, refused)
