"""Several events of one session in one batch: which come first, and which are repeats."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfrs_gru4rec.export.signatures import Status


class RowOrder(NamedTuple):
    """The order in which rows [n] are to be applied.

    A row that repeats the session's row before it, with the same position, needs no turn of its own: whatever
    became of that row, this one changes nothing. So a batch padded by repeating a row takes one turn.
    """

    heads: tf.Tensor  # int32 [n], the row whose turn decides over this one: itself, or the one it repeats
    turns: tf.Tensor  # int32 [n], the turn of each head: how many heads of its session come before it


def order_in_sessions(sessions: tf.Tensor, positions: tf.Tensor) -> RowOrder:
    """Finds the order of rows of sessions, int32 [n], and positions of their events, int64 [n].

    Position 0 appends and so never repeats.
    """
    index = tf.range(tf.size(sessions))
    is_earlier = (index < index[:, tf.newaxis]) & (sessions == sessions[:, tf.newaxis])
    previous = tf.reduce_max(tf.where(is_earlier, index, -1), axis=1)
    is_repeat = (previous >= 0) & (positions > 0)
    is_repeat &= tf.gather(positions, tf.maximum(previous, 0)) == positions
    is_earlier_head = is_earlier & ~is_repeat
    earlier_head = tf.reduce_max(tf.where(is_earlier_head, index, -1), axis=1)
    turns = tf.math.count_nonzero(is_earlier_head, axis=1, dtype=tf.int32)
    return RowOrder(tf.where(is_repeat, earlier_head, index), turns)


def apply_in_order(
    order: RowOrder,
    apply: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    inputs: Sequence[tf.Tensor],
    record_size: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies the rows of a batch, turn by turn; in a turn each session has at most one.

    Args:
      order: of the rows.
      apply: takes the inputs [m, ...] of rows of different sessions, and applies them; returns the sessions'
        records [m, record_size] after that, and what became of the rows, int32 [m] as in `Status`.
      inputs: [n, ...] each, of all rows.
      record_size: floats a session.

    Returns:
      The record [n, record_size] after each row, and each row's status int32 [n].
    """
    index = tf.range(tf.size(order.heads))
    is_head = order.heads == index

    def in_turns() -> tuple[tf.Tensor, tf.Tensor]:
        turn_of_head = tf.where(is_head, order.turns, -1)
        n_turns = 1 + tf.reduce_max(turn_of_head)

        def run(turn: tf.Tensor, records: tf.Tensor, statuses: tf.Tensor) -> tuple[tf.Tensor, ...]:
            rows = tf.where(turn_of_head == turn)
            turn_records, turn_statuses = apply(*(tf.gather(values, rows[:, 0]) for values in inputs))
            records = tf.tensor_scatter_nd_update(records, rows, turn_records)
            statuses = tf.tensor_scatter_nd_update(statuses, rows, turn_statuses)
            # The next turn begins when this one is through.
            with tf.control_dependencies([records, statuses]):
                return turn + 1, records, statuses

        _, records, statuses = tf.while_loop(
            lambda turn, *_: turn < n_turns,
            run,
            (tf.constant(0), tf.zeros([tf.size(index), record_size]), tf.zeros_like(index)),
            parallel_iterations=1,
        )
        records, statuses = tf.gather(records, order.heads), tf.gather(statuses, order.heads)
        was_applied = statuses < Status.REPEATED
        return records, tf.where(is_head | ~was_applied, statuses, Status.REPEATED)

    is_distinct = tf.reduce_all(is_head & (order.turns == 0))
    # A loop of one turn would cost a fifth of the operations of a whole step.
    return tf.cond(is_distinct, lambda: apply(*inputs), in_turns)
