"""What is kept of a session: one vector, and how a click moves it on.

    known | state of layer 1 | ... | state of layer n | items seen

`known` is 1 once the session has an item of the vocabulary. `items seen` is there if seen items are excluded:
the rows of the latest known items plus 1, latest first, 0 where there are none yet. A session with no known
item is all zeros.
"""

from typing import Protocol

import tensorflow as tf


class OutputWeights(Protocol):
    """The items' weights that score a query.

    Attributes:
      output_table: [n_items, units of the last layer].
      output_bias: [n_items].
    """

    output_table: tf.Variable
    output_bias: tf.Variable


class NextItemModel(Protocol):
    """What a model must offer to be exported; `GRU4Rec` does.

    Attributes:
      embedding: an item's score is its output weights times the query, plus its bias.
    """

    embedding: OutputWeights

    def initial_state(self, batch_size: int) -> tuple[tf.Tensor, ...]:
        """Returns zeros [batch_size, units] for each layer."""

    def step(self, rows: tf.Tensor, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """Follows sessions by one item each; the query is the last layer's new state."""

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """Returns scores [batch_size, n_items]; what is exported is compared with them."""


class SessionVectors:
    """Packs, unpacks and advances session vectors [n, size].

    Attributes:
      size: floats a session.
      n_seen: how many of the latest items a vector remembers.
    """

    def __init__(self, model: NextItemModel, n_seen: int) -> None:
        """Reads the layers' units off the model.

        Args:
          model: steps the layers.
          n_seen: items to remember, 0 for none.
        """
        self._model = model
        self._units = [int(state.shape[1]) for state in model.initial_state(1)]
        self._parts = [1, *self._units, n_seen]
        self.n_seen = n_seen
        self.size = sum(self._parts)

    def advance(self, vectors: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        """Moves sessions on by one item each; a row of -1 leaves its vector as it is.

        Args:
          vectors: [n, size].
          item_rows: int32 [n].

        Returns:
          [n, size].
        """
        known, *state, seen = tf.split(vectors, self._parts, axis=1)
        is_item = item_rows >= 0
        _, next_state = self._model.step(tf.maximum(item_rows, 0), tuple(state))
        parts = [tf.ones_like(known), *next_state]
        if self.n_seen:
            parts += [tf.cast(item_rows[:, tf.newaxis] + 1, tf.float32), seen[:, :-1]]
        return tf.where(is_item[:, tf.newaxis], tf.concat(parts, axis=1), vectors)

    def fold(self, item_rows: tf.Tensor) -> tf.Tensor:
        """Follows whole sessions from their start.

        Args:
          item_rows: int32 [n, length]; -1, wherever it stands, is passed over.

        Returns:
          [n, size].
        """
        # Columns after the last item of all rows are padding.
        has_item = tf.reduce_any(item_rows >= 0, axis=0)
        n_columns = 1 + tf.reduce_max(tf.where(has_item, tf.range(tf.size(has_item)), -1))
        _, vectors = tf.while_loop(
            lambda column, _: column < n_columns,
            lambda column, vectors: (column + 1, self.advance(vectors, item_rows[:, column])),
            (tf.constant(0), tf.zeros([tf.shape(item_rows)[0], self.size])),
        )
        return vectors

    def is_known(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns bool [n], whether sessions have a known item."""
        return vectors[:, 0] > 0.0

    def query(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the queries [n, units of the last layer]."""
        end = self.size - self.n_seen
        return vectors[:, end - self._units[-1] : end]

    def seen_rows(self, vectors: tf.Tensor, n_items: int) -> tf.Tensor:
        """Returns the rows int32 [n, n_seen] of the items seen, -1 where there are none; below `n_items`."""
        seen = vectors[:, self.size - self.n_seen :]
        return tf.cast(tf.clip_by_value(seen, 0.0, float(n_items)), tf.int32) - 1
