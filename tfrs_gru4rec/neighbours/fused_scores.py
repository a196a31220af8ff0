"""Adds a fusion's part to a model's scores, by the operations that a server has.

The equation is that of `fusion`. A side's scores are scattered into a row of the catalogue, where those of one item add
up, and gathered again at the items named. An item named twice is then written twice, with the same value.
"""

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.neighbours.fusion import EPSILON, FIRST_POSITIONS, N_REPEATS, Fusion
from tfrs_gru4rec.neighbours.item_to_item import CLICK_DECAY, N_CLICKS


class TableRows(tf.Module):
    """Rows of a sparse table, held as they are in memory: 8 bytes an entry."""

    def __init__(self, table: sparse.csr_array) -> None:
        """Copies a table [n_rows, n_columns].

        Raises:
          ValueError: it has 2**31 entries or more.
        """
        super().__init__(name="table_rows")
        require(table.nnz < 2**31, "A table must have fewer than 2**31 entries.", entries=table.nnz)
        self.width = max(1, int(np.diff(table.indptr).max(initial=0)))
        # One entry more, which what is outside of a row reads.
        self._columns = tf.Variable(np.append(table.indices, 0).astype(np.int32), trainable=False)
        self._values = tf.Variable(np.append(table.data, 0).astype(np.float32), trainable=False)
        self._first = tf.Variable(table.indptr.astype(np.int32), trainable=False)

    def look_up(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads rows int32 [...], -1 for an empty one.

        Returns:
          Columns int32 and values float32, both [..., width], 0 and 0 behind a row's end.
        """
        row = tf.maximum(rows, 0)
        places = tf.gather(self._first, row)[..., tf.newaxis] + tf.range(self.width)
        is_inside = (places < tf.gather(self._first, row + 1)[..., tf.newaxis]) & (rows >= 0)[..., tf.newaxis]
        places = tf.where(is_inside, places, self._columns.shape[0] - 1)
        return tf.gather(self._columns, places), tf.gather(self._values, places)


class FusedScores(tf.Module):
    """A fusion as TensorFlow operations."""

    def __init__(self, fusion: Fusion) -> None:
        """Copies the tables and the weights."""
        super().__init__(name="fused_scores")
        self._tables = [TableRows(table) for table in fusion.tables.values()]
        self._weights = tf.constant(fusion.weights, tf.float32)

    def __call__(self, scores: tf.Tensor, latest: tf.Tensor) -> tf.Tensor:
        """Adds what the neighbours say.

        Args:
          scores: [n, n_columns], the model's; n_columns is the number of items or more.
          latest: int32 [n, N_CLICKS], rows of the sessions' last items, the latest first, -1 for none; from the
            first -1 on there are no others.

        Returns:
          The scores [n, n_columns] of the fusion; those of a session without a click mean nothing.
        """
        n_clicks = tf.math.count_nonzero(latest >= 0, axis=1, dtype=tf.int32)
        steps = tf.reduce_sum(tf.cast(n_clicks[:, tf.newaxis] >= FIRST_POSITIONS, tf.int32), axis=1) - 1
        weights = tf.gather(self._weights, tf.maximum(steps, 0))
        for number, table in enumerate(self._tables):
            scores = self._add_side(scores, latest, table, weights[:, number, tf.newaxis])
        is_last = latest == latest[:, :1]
        weights = tf.where(is_last, weights[:, -N_REPEATS, tf.newaxis], weights[:, -1, tf.newaxis])
        # Where there is no click, the last one once more.
        columns = tf.maximum(tf.where(latest >= 0, latest, latest[:, :1]), 0)
        weights = tf.where(latest >= 0, weights, weights[:, :1])
        return _write(scores, columns, tf.gather(scores, columns, batch_dims=1) + weights)

    def _add_side(
        self, scores: tf.Tensor, latest: tf.Tensor, table: TableRows, weights: tf.Tensor
    ) -> tf.Tensor:
        """Adds weights [n, 1] times the logarithm of the shares that the rows of a table give."""
        decay = tf.constant(CLICK_DECAY ** np.arange(N_CLICKS)[:, np.newaxis], tf.float32)
        columns, values = table.look_up(latest)
        columns = tf.reshape(columns, [-1, N_CLICKS * table.width])
        values = tf.reshape(values * decay, [-1, N_CLICKS * table.width])
        added = tf.scatter_nd(_places(columns), values, tf.shape(scores))
        total = tf.reduce_sum(values, axis=1, keepdims=True)
        share = tf.math.divide_no_nan(tf.gather(added, columns, batch_dims=1), total)
        gain = weights * tf.math.log1p(share * (1 / EPSILON))
        return _write(scores, columns, tf.gather(scores, columns, batch_dims=1) + gain)


def latest_of_sessions(item_rows: tf.Tensor) -> tf.Tensor:
    """Returns the last known items int32 [n, N_CLICKS] of sessions, as `FusedScores` wants them.

    Args:
      item_rows: int32 [n, length], oldest first, -1 for pads and unknown items.

    >>> latest_of_sessions(tf.constant([[5, -1, 7, -1]])).numpy()[:, :3].tolist()
    [[7, 5, -1]]
    """
    backwards = item_rows[:, ::-1]
    # A stable sort brings the known ones together.
    order = tf.argsort(tf.cast(backwards < 0, tf.int32), axis=1, stable=True)
    latest = tf.gather(backwards, order, batch_dims=1)[:, :N_CLICKS]
    return tf.pad(latest, [[0, 0], [0, N_CLICKS - tf.shape(latest)[1]]], constant_values=-1)


def _places(columns: tf.Tensor) -> tf.Tensor:
    """Returns int32 [n, n_places, 2], the row and the column of each of columns [n, n_places]."""
    rows = tf.broadcast_to(tf.range(tf.shape(columns)[0])[:, tf.newaxis], tf.shape(columns))
    return tf.stack([rows, columns], axis=-1)


def _write(scores: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(scores, _places(columns), values)
