"""The scores of a fusion by the operations that a server has; the equations are those of `fusion` and `reranker`."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.neighbours.fusion import EPSILON, FIRST_POSITIONS, FREE, Fusion
from tfrs_gru4rec.neighbours.item_to_item import CLICK_DECAY, N_CLICKS
from tfrs_gru4rec.neighbours.rerank_network import N_BEST
from tfrs_gru4rec.neighbours.reranker import Reranker, Said, flat_places


class TableRows(tf.Module):
    """Rows of the tables of all sides, joined, so that they are looked up at once: 4 bytes an entry, and 4 a side."""

    def __init__(self, fusion: Fusion) -> None:
        """Copies the tables.

        Raises:
          ValueError: they have 2**31 entries or more.
        """
        super().__init__(name="table_rows")
        first, columns, values = fusion.joined
        require(columns.size < 2**31, "Tables must have fewer than 2**31 entries.", entries=columns.size)
        self.n_rows, self.width = first.size - 1, max(1, int(np.diff(first).max(initial=0)))
        self._columns = tf.Variable(columns, trainable=False)
        self._values = tf.Variable(values, trainable=False)
        # Behind the last row there is an empty one.
        self._first = tf.Variable(np.append(first, first[-1]).astype(np.int32), trainable=False)
        sums = [np.append(table.sum(axis=1), 0).astype(np.float32) for table in fusion.tables.values()]
        self._sums = tf.Variable(np.stack(sums, axis=1), trainable=False)

    def look_up(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Reads some rows for each of n sessions.

        Args:
          rows: int32 [n, n_rows], -1 for an empty one.

        Returns:
          All entries of these rows: int32 places in `rows` flattened, int32 columns, both [n_entries], and float32
          values [n_entries, n_sides]; and the sums of the rows, float32 [n, n_rows, n_sides].
        """
        rows = tf.where(rows >= 0, rows, self.n_rows)
        [first], columns = _ragged_gather(self._first, self._columns, tf.reshape(rows, [-1]))
        _, values = _ragged_gather(self._first, self._values, tf.reshape(rows, [-1]))
        length = first[1:] - first[:-1]
        entries = tf.where(tf.range(self.width) < length[:, tf.newaxis])
        return tf.cast(entries[:, 0], tf.int32), columns, values, tf.gather(self._sums, rows)


def _ragged_gather(
    first: tf.Variable, dense: tf.Variable, rows: tf.Tensor
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Copies rows whole, each of which is contiguous: cheaper than gathering its entries one by one."""
    found = tf.raw_ops.RaggedGather(
        params_nested_splits=[first], params_dense_values=dense, indices=rows, OUTPUT_RAGGED_RANK=1
    )
    return found.output_nested_splits, found.output_dense_values


class FusedScores(tf.Module):
    """A fusion as TensorFlow operations.

    Attributes:
      is_alone: whether it leaves out the model's scores, see `Fusion`.
      is_reranked: whether it ranks its best items anew.
      popularity: [n_items], that of the fusion.
    """

    def __init__(self, fusion: Fusion) -> None:
        """Copies the tables and the weights."""
        super().__init__(name="fused_scores")
        self._rows = TableRows(fusion)
        self._weights = tf.constant(fusion.weights, tf.float32)
        self.is_alone, self.is_reranked = fusion.is_alone, fusion.network is not None
        self.popularity = tf.Variable(fusion.popularity, trainable=False)
        if fusion.network:
            self._reranker = Reranker(fusion.network)

    def __call__(self, scores: tf.Tensor, latest: tf.Tensor) -> tf.Tensor:
        """Adds what the neighbours say, and ranks the best anew.

        Args:
          scores: [n, n_columns], the model's; n_columns is known beforehand, the number of items or more, and
            n * n_columns below 2**31.
          latest: int32 [n, N_CLICKS], rows of the sessions' last items, the latest first, -1 for none; from the
            first -1 on there are no others.

        Returns:
          The scores [n, n_columns] of the fusion; those of a session without a click mean nothing.
        """
        said = self.said(latest, scores.shape[1])
        fused = self.before_reranking(scores, said)
        if not self.is_reranked:
            return fused
        values, rows = tf.math.top_k(fused, min(N_BEST, said.n_columns))
        return with_new(fused, rows, values, self.rerank(rows, values, said))

    def said(self, latest: tf.Tensor, n_columns: int) -> Said:
        """Looks up what the tables say after sessions, for scores of so many columns; `latest` as for a call."""
        n_clicks = tf.math.count_nonzero(latest >= 0, axis=1, dtype=tf.int32)
        steps = tf.reduce_sum(tf.cast(n_clicks[:, tf.newaxis] >= FIRST_POSITIONS, tf.int32), axis=1) - 1
        weights = tf.gather(self._weights, tf.maximum(steps, 0))
        return Said(latest, weights, *_shares(latest, self._rows, n_columns), n_columns)

    def before_reranking(self, scores: tf.Tensor, said: Said) -> tf.Tensor:
        """Adds popularity's part and the clicks' to the model's scores; shapes as for a call."""
        padding = [[0, said.n_columns - self.popularity.shape[0]]]
        if self.is_alone:  # Nobody computes the model's scores then; pads must still come last.
            scores = tf.pad(tf.zeros_like(self.popularity), padding, constant_values=-np.inf)
        scores = scores + self.popularity_weights(said)[:, tf.newaxis] * tf.pad(self.popularity, padding)
        return self.add_clicks(scores, said)

    def popularity_weights(self, said: Said) -> tf.Tensor:
        """Returns what `popularity` weighs in each session, [n]; 1 more where it stands in the model's place."""
        return said.weights[:, -len(FREE)] + (1.0 if self.is_alone else 0.0)

    def add_clicks(self, scores: tf.Tensor, said: Said) -> tf.Tensor:
        """Adds what depends on the sessions' clicks to scores that hold popularity's part; shapes as for a call."""
        of_last, of_earlier = said.weights[:, -2:-1], said.weights[:, -1:]
        places, columns = _clicks(said.latest, said.n_columns)
        gains = tf.where(tf.equal(columns, columns[:, :1]), of_last, of_earlier)
        # An item that was clicked several times gets its gain in as many parts.
        is_same = tf.equal(columns[:, tf.newaxis], columns[:, :, tf.newaxis])
        gains = tf.math.divide_no_nan(gains, tf.math.count_nonzero(is_same, axis=2, dtype=tf.float32))
        of_entry = tf.gather(said.weights[:, : -len(FREE)], said.places // said.n_columns)
        places = tf.concat([said.places, tf.reshape(places, [-1])], axis=0)
        gains = tf.concat([tf.reduce_sum(said.logs * of_entry, axis=1), tf.reshape(gains, [-1])], axis=0)
        return _add_at(scores, places, gains)

    def rerank(self, rows: tf.Tensor, fused: tf.Tensor, said: Said) -> tf.Tensor:
        """Returns the new scores [n, n_best] of the best items, of a fusion that `is_reranked`.

        Args:
          rows: int32 [n, n_best], the N_BEST items with the highest fused scores, or all items.
          fused: [n, n_best], these scores, falling; minus infinity from where on there are no more items.
          said: of the sessions.
        """
        return self._reranker(rows, fused, self.popularity_of(rows), said)

    def popularity_of(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the popularity of items, of the last one for pads behind it; of the shape of the rows."""
        return tf.gather(self.popularity, tf.minimum(rows, self.popularity.shape[0] - 1))

    def features(self, latest: tf.Tensor, n_columns: tf.Tensor | int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Finds what the weights multiply, but for popularity, which is the same in all rows.

        Args:
          latest: as for a call.
          n_columns: of the scores.

        Returns:
          For each side, the last click and earlier ones, int32 places in the flattened scores and values there, both
          [n_entries]; a place that occurs several times has one value, and all other places have 0.
        """
        named, logs = _shares(latest, self._rows, n_columns)
        found = [(named, side) for side in tf.unstack(logs, self._weights.shape[1] - len(FREE), axis=1)]
        places, columns = _clicks(latest, n_columns)
        is_earlier = tf.cast(columns != columns[:, :1], tf.float32)
        last = (places[:, 0], tf.ones_like(is_earlier[:, 0]))
        return [*found, last, (tf.reshape(places, [-1]), tf.reshape(is_earlier, [-1]))]


def with_new(scores: tf.Tensor, rows: tf.Tensor, old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Puts new scores of some items, different ones in each session, in the place of old ones.

    Args:
      scores: [n, n_columns].
      rows: int32 [n, k], the items.
      old: [n, k], their scores; what is minus infinity stays.
      new: [n, k].
    """
    places = tf.reshape(flat_places(rows, scores.shape[1]), [-1])
    gains = tf.where(old > -np.inf, new - old, 0.0)
    return _add_at(scores, places, tf.reshape(gains, [-1]))


def _add_at(scores: tf.Tensor, places: tf.Tensor, gains: tf.Tensor) -> tf.Tensor:
    """Adds gains [n_places] to scores [n, n_columns] at places of the flattened scores.

    Each call copies the scores, which costs more than the additions. TensorScatterAdd need not copy them, but takes
    three times as long.
    """
    flat = tf.reshape(scores, [-1])
    added = tf.raw_ops.SparseTensorDenseAdd(
        a_indices=places[:, tf.newaxis], a_values=gains, a_shape=[tf.size(flat)], b=flat
    )
    return tf.reshape(added, [-1, scores.shape[1]])


def _clicks(latest: tf.Tensor, n_columns: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns places in flattened scores, and columns, int32 [n, N_CLICKS]; without a click the last one once more."""
    columns = tf.maximum(tf.where(latest >= 0, latest, latest[:, :1]), 0)
    return flat_places(columns, n_columns), columns


def _shares(latest: tf.Tensor, table: TableRows, n_columns: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logarithms [n_places, n_sides] of the shares that the sides give, and different places [n_places]."""
    rows, columns, values, sums = table.look_up(latest)
    decay = tf.constant(CLICK_DECAY ** np.arange(N_CLICKS), tf.float32)[:, tf.newaxis]
    # What is one for all entries of a row is computed by row.
    factors = tf.math.divide_no_nan(decay * (1 / EPSILON), tf.reduce_sum(sums * decay, axis=1, keepdims=True))
    starts = flat_places(tf.zeros_like(latest), n_columns)
    values *= tf.gather(tf.reshape(factors, [-1, values.shape[1]]), rows)
    places, index = tf.unique(tf.gather(tf.reshape(starts, [-1]), rows) + columns)
    return places, tf.math.log1p(tf.math.unsorted_segment_sum(values, index, tf.size(places)))


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
