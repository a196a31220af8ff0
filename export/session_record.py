"""A session's record: all that is kept of it, a row of floats, and how an event moves it on.

    length | known | state of layer 1 | ... | state of layer n | items seen

`length` counts the session's events, those with unknown items included, up to `MAX_SESSION_EVENTS`. `known` is 1 once
the session has an item of the vocabulary. `items seen` are the rows of the latest known
items plus 1, latest first, 0 where there are none yet. The record of a session without an event
is all zeros. A record is always finite: an item after which it would not be counts, and changes nothing else.
"""

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from tfrs_gru4rec.checks import require, require_at_least
from tfrs_gru4rec.export.signatures import MAX_SESSION_EVENTS, Status
from tfrs_gru4rec.layers.session_fold import advance_items, fold_session

EXACT_FLOATS = 2**24  # whole numbers up to this one are exact in float32


class OutputWeights(Protocol):
    """The items' weights that score a query."""

    output_table: tf.Variable  # [n_items, units of the last layer]
    output_bias: tf.Variable  # [n_items]


class NextItemModel(Protocol):
    """What a model must offer to be exported; `GRU4Rec` does."""

    embedding: OutputWeights  # an item's score is its output weights times the query, plus its bias

    def initial_state(self, batch_size: int) -> tuple[tf.Tensor, ...]:
        """Returns zeros [batch_size, units] for each layer."""

    def step(self, rows: tf.Tensor, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """Follows sessions by one item each; the query is the last layer's new state."""

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """Returns scores [batch_size, n_items]; what is exported is compared with them."""


class SessionRecords:
    """Makes, reads and moves on records [n, size].

    Attributes:
      size: floats of a record.
    """

    def __init__(self, model: NextItemModel, n_seen: int) -> None:
        """Reads the layers' units off the model, which steps them; `n_seen` latest items are remembered."""
        require_at_least(1, n_seen=n_seen)
        self._model = model
        units = [int(state.shape[1]) for state in model.initial_state(1)]
        self._parts = [1, *units, n_seen]
        self.size = 1 + sum(self._parts)
        self._query_end = self.size - n_seen
        self._query_start = self._query_end - units[-1]

    def advance(self, records: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        """Moves sessions on by one event each: records [n, size] → [n, size].

        The row of the item, int32 [n], is -1 for an unknown one, which counts and changes nothing else.
        """
        after = advance_items(self._advance_known, item_rows, records[:, 1:])
        return tf.concat([records[:, :1] + 1.0, after], axis=1)

    def fold(self, item_rows: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Makes the records [n, size] of sessions, rows int32 [n, length], oldest first, -1 for pads and unknown items.

        The lengths int32 [n] are the sessions' numbers of events.
        """
        start = tf.zeros([tf.shape(item_rows)[0], self.size - 1])
        after = fold_session(self._advance_known, item_rows, start)
        return tf.concat([tf.cast(lengths, tf.float32)[:, tf.newaxis], after], axis=1)

    def is_known(self, records: tf.Tensor) -> tf.Tensor:
        """Returns bool [n], whether sessions have a known item."""
        return records[:, 1] > 0.0

    def query(self, records: tf.Tensor) -> tf.Tensor:
        """Returns the queries [n, units of the last layer]."""
        return records[:, self._query_start : self._query_end]

    def seen_rows(self, records: tf.Tensor, n_items: int) -> tf.Tensor:
        """Returns the rows int32 [n, n_seen] of the items seen, -1 where there are none; below `n_items`."""
        seen = records[:, self._query_end :]
        return tf.cast(tf.clip_by_value(seen, 0.0, float(n_items)), tf.int32) - 1

    def _advance_known(self, parts: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        """Moves what stands behind the length, [n, size - 1], on by one known item each."""
        known, *state, seen = tf.split(parts, self._parts, axis=1)
        _, next_state = self._model.step(item_rows, tuple(state))
        newest = tf.cast(item_rows[:, tf.newaxis] + 1, tf.float32)
        after = tf.concat([tf.ones_like(known), *next_state, newest, seen[:, :-1]], axis=1)
        is_finite = tf.reduce_all(tf.math.is_finite(after), axis=1, keepdims=True)
        return tf.where(is_finite, after, parts)


def require_exact_rows(n_items: int) -> None:
    """Raises ValueError unless a record can hold the rows of seen items, which it does as floats.

    >>> require_exact_rows(n_items=10_000_000)
    """
    rule = f"A catalogue of at most {EXACT_FLOATS} items can be exported."
    require(n_items <= EXACT_FLOATS, rule, n_items=n_items)


def accept_events(
    records: tf.Tensor,
    positions: tf.Tensor,
    item_rows: tf.Tensor,
    advance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Moves those sessions on whose event is the next one, by the table of `Status`.

    The records [n, size] are of different sessions, the positions int64 [n] of their events, 0 to append; rows of items
    int32 [n] are -1 for unknown ones, and `advance` is as `SessionRecords.advance`.

    Returns:
      The records [n, size] after the events, and what became of each event, int32 [n] as in `Status`.
    """
    before = session_lengths(records)
    is_next = ((positions == 0) | (positions == before + 1)) & (before < MAX_SESSION_EVENTS)
    after = tf.where(is_next[:, tf.newaxis], advance(records, item_rows), records)
    refused = tf.where((positions > 0) & (positions <= before), int(Status.REPEATED), int(Status.GAP))
    return after, tf.where(is_next, accepted_status(item_rows), refused)


def session_lengths(records: tf.Tensor) -> tf.Tensor:
    """Returns int64 [n], the number of events of each record [n, size].

    >>> session_lengths(tf.constant([[3.0, 1.0, 0.25], [0.0, 0.0, 0.0]])).numpy().tolist()
    [3, 0]
    """
    return tf.cast(records[:, 0], tf.int64)


def accepted_status(item_rows: tf.Tensor) -> tf.Tensor:
    """Returns the `Status` int32 [n] of accepted events, by the rows [n] of their items.

    >>> accepted_status(tf.constant([5, -1])).numpy().tolist()
    [0, 1]
    """
    return tf.where(item_rows >= 0, int(Status.APPLIED), int(Status.UNKNOWN_ITEM))
