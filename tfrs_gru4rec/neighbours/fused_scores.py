"""Adds a fusion's part to a model's scores, by the operations that a server has; the equation is that of `fusion`."""

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.neighbours.fusion import EPSILON, FIRST_POSITIONS, Fusion
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
        self._columns = tf.Variable(table.indices.astype(np.int32), trainable=False)
        self._values = tf.Variable(table.data.astype(np.float32), trainable=False)
        self._first = tf.Variable(table.indptr.astype(np.int32), trainable=False)

    def look_up(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Reads some rows for each of n sessions.

        Args:
          rows: int32 [n, n_rows], -1 for an empty one.

        Returns:
          All entries of these rows, each [n_entries]: int32 places in `rows` flattened, int32 columns, float32 values.
        """
        flat = tf.reshape(rows, [-1])
        row = tf.maximum(flat, 0)
        first = tf.gather(self._first, row)
        length = tf.where(flat >= 0, tf.gather(self._first, row + 1) - first, 0)
        entries = tf.cast(tf.where(tf.range(self.width) < length[:, tf.newaxis]), tf.int32)
        places = entries[:, 0]
        at = tf.gather(first, places) + entries[:, 1]
        return places, tf.gather(self._columns, at), tf.gather(self._values, at)


class FusedScores(tf.Module):
    """A fusion as TensorFlow operations."""

    def __init__(self, fusion: Fusion) -> None:
        """Copies the tables and the weights."""
        super().__init__(name="fused_scores")
        self._tables = [TableRows(table) for table in fusion.tables.values()]
        self._weights = tf.constant(fusion.weights, tf.float32)
        self._popularity = fusion.popularity if fusion.is_alone else None

    def __call__(self, scores: tf.Tensor, latest: tf.Tensor) -> tf.Tensor:
        """Adds what the neighbours say.

        Args:
          scores: [n, n_columns], the model's; n_columns is the number of items or more, and n * n_columns below 2**31.
          latest: int32 [n, N_CLICKS], rows of the sessions' last items, the latest first, -1 for none; from the
            first -1 on there are no others.

        Returns:
          The scores [n, n_columns] of the fusion; those of a session without a click mean nothing.
        """
        shape = tf.shape(scores)
        if self._popularity is not None:
            # By sizes that are known without the model's scores, so that nobody computes these.
            padding = [0, scores.shape[1] - self._popularity.size]
            shape = tf.stack([tf.shape(latest)[0], scores.shape[1]])
            scores = tf.broadcast_to(np.pad(self._popularity, padding, constant_values=-np.inf), shape)
        n_clicks = tf.math.count_nonzero(latest >= 0, axis=1, dtype=tf.int32)
        steps = tf.reduce_sum(tf.cast(n_clicks[:, tf.newaxis] >= FIRST_POSITIONS, tf.int32), axis=1) - 1
        weights = tf.gather(self._weights, tf.maximum(steps, 0))
        flat = tf.reshape(scores, [-1])
        for number, (places, values) in enumerate(self.features(latest, shape[1])):
            flat = _add_once(flat, places, values * tf.gather(weights[:, number], places // shape[1]))
        return tf.reshape(flat, shape)

    def features(self, latest: tf.Tensor, n_columns: tf.Tensor | int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Finds what the weights multiply.

        Args:
          latest: as for a call.
          n_columns: of the scores.

        Returns:
          For each weight, in their order, int32 places in the flattened scores and values there, both [n_entries]; a
          place that occurs several times has one value, and all other places have 0.
        """
        found = [_shares(latest, table, n_columns) for table in self._tables]
        # Where there is no click, the last one once more.
        columns = tf.maximum(tf.where(latest >= 0, latest, latest[:, :1]), 0)
        places = tf.range(tf.shape(latest)[0])[:, tf.newaxis] * n_columns + columns
        is_earlier = tf.cast(columns != columns[:, :1], tf.float32)
        last = (places[:, 0], tf.ones_like(is_earlier[:, 0]))
        return [*found, last, (tf.reshape(places, [-1]), tf.reshape(is_earlier, [-1]))]


def _shares(latest: tf.Tensor, table: TableRows, n_columns: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logarithms of the shares that rows of a table give, as `FusedScores.features` does."""
    rows, columns, values = table.look_up(latest)
    session = rows // N_CLICKS
    values *= tf.gather(tf.constant(CLICK_DECAY ** np.arange(N_CLICKS), tf.float32), rows % N_CLICKS)
    places, index = tf.unique(session * n_columns + columns)
    sums = tf.math.unsorted_segment_sum(values, index, tf.size(places))
    totals = tf.math.unsorted_segment_sum(values, session, tf.shape(latest)[0])
    shares = tf.math.divide_no_nan(sums, tf.gather(totals, places // n_columns))
    return places, tf.math.log1p(shares * (1 / EPSILON))


def _add_once(flat: tf.Tensor, places: tf.Tensor, gains: tf.Tensor) -> tf.Tensor:
    """Adds gains [n] at places [n]; a place that occurs several times has one gain, and gets it once."""
    return tf.tensor_scatter_nd_update(flat, places[:, tf.newaxis], tf.gather(flat, places) + gains)


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
