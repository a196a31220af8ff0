"""Following whole sessions, event by event, when they come padded to one length."""

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

# A tensor [batch_size, ...], or a nest of them such as the tuple of a tower's layers.
SessionState = TypeVar("SessionState")
Advance = Callable[[SessionState, tf.Tensor], SessionState]


def advance_items(advance: Advance[SessionState], item_rows: tf.Tensor, state: SessionState) -> SessionState:
    """Moves sessions on by one item each; a session whose row is -1 stays as it is.

    Args:
      advance: takes the state and int32 [batch_size] rows of items, and returns the next state. It is given
        row 0 in place of -1, and what it makes of that is dropped.
      item_rows: int32 [batch_size], the row of each session's item, or -1 for none.
      state: of the sessions before their items; the state after them has its shape.

    >>> double_and_add = lambda state, rows: 2 * state + rows
    >>> advance_items(double_and_add, tf.constant([3, -1]), tf.constant([10, 20])).numpy().tolist()
    [23, 20]
    """
    is_item = item_rows >= 0
    moved = advance(state, tf.maximum(item_rows, 0))

    def choose(after: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(is_item, [-1] + [1] * (after.shape.rank - 1)), after, before)

    return tf.nest.map_structure(choose, moved, state)


def fold_session(advance: Advance[SessionState], item_rows: tf.Tensor, start: SessionState) -> SessionState:
    """Follows whole sessions from a common start to their last item.

    The state after item t of a session is s_t = advance(s_{t-1}, item_t), with s_0 = `start`. Rows of -1 are
    passed over wherever they stand, so sessions may be padded on either side; columns after the last item of
    all sessions are not computed.

    Args:
      advance: as for `advance_items`; the next state must have the shape and dtype of the one before.
      item_rows: int32 [batch_size, length], the rows of the sessions' items, oldest first, or -1 for none.
      start: the state before the first item.

    Returns:
      The state of each session after its last item; `start` where it has none.

    >>> sessions = tf.constant([[3, 1, -1], [-1, 5, -1]])
    >>> double_and_add = lambda state, rows: 2 * state + rows
    >>> fold_session(double_and_add, sessions, tf.zeros([2], tf.int32)).numpy().tolist()
    [7, 5]
    """
    columns = tf.range(1, 1 + tf.shape(item_rows)[1])
    n_columns = tf.reduce_max(tf.where(tf.reduce_any(item_rows >= 0, axis=0), columns, 0))
    _, state = tf.while_loop(
        lambda column, _: column < n_columns,
        lambda column, state: (column + 1, advance_items(advance, item_rows[:, column], state)),
        (tf.constant(0), start),
    )
    return state
