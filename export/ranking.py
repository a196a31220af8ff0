"""From session records to recommendations and scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.session_record import NextItemModel, SessionRecords
from tfrs_gru4rec.export.signatures import MAX_BATCH
from tfrs_gru4rec.export.top_k import BLOCK, top_k
from tfrs_gru4rec.models.popularity import popularity_scores
from tfrs_gru4rec.neighbours.fused_scores import FusedScores
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS

# Scores held at a time; larger batches are ranked in parts, so memory does not grow with batch times
# catalogue.
MAX_SCORES = 1 << 26


class Ranking(tf.Module):
    """Ranks the catalogue for sessions [n]."""

    def __init__(
        self,
        model: NextItemModel,
        records: SessionRecords,
        counts: np.ndarray,
        top: int,
        max_scores: int = MAX_SCORES,
        n_excluded: int = 0,
        fusion: Fusion | None = None,
    ) -> None:
        """Copies the items' output weights, and ranks the popular items for sessions that have no known item.

        TensorFlow copies a variable whole at every read once rows have been gathered from it, and a shared
        embedding is gathered at every step: 15 MB a request at 37 thousand items of 100 units. Weights that are
        only ever multiplied are not copied. Transposed, their product with a few queries takes half the time.
        They are padded to whole blocks by items that score minus infinity.

        Args:
          model: has the weights.
          records: reads the sessions' records.
          counts: [n_items] training events of each item.
          top: how many items to recommend.
          max_scores: scores held at a time; see `MAX_SCORES`.
          n_excluded: how many of a session's latest items are not recommended.
          fusion: what neighbours add to the scores.
        """
        super().__init__(name="ranking")
        self._records = records
        self._n_items = len(counts)
        self._top = top
        # A side's scores, and what they are written to, are as large as the scores.
        self._max_scores = max_scores if fusion is None else max_scores // 3
        self._n_excluded = n_excluded
        self._fused = None if fusion is None else FusedScores(fusion)
        padding = -self._n_items % BLOCK
        table, bias = model.embedding.output_table, model.embedding.output_bias
        self._weights = tf.Variable(tf.pad(tf.transpose(table), [[0, 0], [0, padding]]), trainable=False)
        self.padded_biases = tf.Variable(
            tf.pad(bias, [[0, padding]], constant_values=-np.inf), trainable=False
        )
        popularity = popularity_scores(counts)
        popular_rows = np.argsort(-popularity, kind="stable")[:top].astype(np.int32)
        self._popularity = tf.constant(popularity)
        self._popular_rows = tf.constant(popular_rows)
        self._popular_scores = tf.constant(popularity[popular_rows])

    def top(self, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Recommends items.

        Args:
          records: [n, size].

        Returns:
          Item rows int32 [n, top], best first, ties by row; their scores [n, top].
        """
        rows, scores = self._in_parts(self._top_of_known, [tf.int32, tf.float32], records)
        is_known = self._records.is_known(records)[:, tf.newaxis]
        return tf.where(is_known, rows, self._popular_rows), tf.where(is_known, scores, self._popular_scores)

    def candidates(self, records: tf.Tensor, candidate_rows: tf.Tensor) -> tf.Tensor:
        """Scores chosen items.

        Args:
          records: [n, size].
          candidate_rows: int32 [n, n_candidates], -1 for none.

        Returns:
          [n, n_candidates], minus infinity for none.
        """
        rows = tf.maximum(candidate_rows, 0)

        def score(part: tf.Tensor, part_rows: tf.Tensor) -> list[tf.Tensor]:
            return [tf.gather(self._scores(part), part_rows, batch_dims=1)]

        [scores] = self._in_parts(score, [tf.float32], records, rows)
        is_known = self._records.is_known(records)[:, tf.newaxis]
        scores = tf.where(is_known, scores, tf.gather(self._popularity, rows))
        return tf.where(candidate_rows >= 0, scores, -np.inf)

    def _scores(self, records: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(self._records.query(records), self._weights) + self.padded_biases
        return self._fused(scores, self._latest(records, N_CLICKS)) if self._fused else scores

    def _latest(self, records: tf.Tensor, n: int) -> tf.Tensor:
        return self._records.seen_rows(records, self._n_items)[:, :n]

    def _top_of_known(self, records: tf.Tensor) -> list[tf.Tensor]:
        scores = self._scores(records)
        if self._n_excluded:
            scores = _exclude(scores, self._latest(records, self._n_excluded))
        values, rows = top_k(scores, self._top)
        return [rows, values]

    def _in_parts(
        self, rank: Callable[..., list[tf.Tensor]], dtypes: list[tf.DType], *inputs: tf.Tensor
    ) -> list[tf.Tensor]:
        """Applies `rank` to inputs [n, ...], a part of the rows at a time, and joins what it returns."""
        size = max(1, self._max_scores // self._weights.shape[1])
        if size >= MAX_BATCH:
            return rank(*inputs)
        starts = tf.range(0, tf.shape(inputs[0])[0], size)
        arrays = [
            tf.TensorArray(dtype, tf.size(starts), infer_shape=False, element_shape=[None, None])
            for dtype in dtypes
        ]

        def run(index: tf.Tensor, *arrays: tf.TensorArray) -> tuple[Any, ...]:
            start = starts[index]
            results = rank(*(values[start : start + size] for values in inputs))
            return index + 1, *(array.write(index, part) for array, part in zip(arrays, results, strict=True))

        _, *arrays = tf.while_loop(lambda index, *_: index < tf.size(starts), run, (0, *arrays))
        return [array.concat() for array in arrays]


def require_finite(weights: tf.Variable | tf.Tensor) -> None:
    """Raises ValueError unless all weights are finite.

    >>> require_finite(tf.constant([0.5, -2.0]))
    """
    n_bad = int(np.sum(~np.isfinite(weights.numpy())))
    rule = "The model's weights must be finite; it may have diverged in training: lower the learning rate."
    require(n_bad == 0, rule, name=getattr(weights, "name", None), not_finite=n_bad)


def _exclude(scores: tf.Tensor, seen_rows: tf.Tensor) -> tf.Tensor:
    """Sets the scores [n, n_items] of seen rows [n, n_seen] to minus infinity; a row of -1 is none."""
    batch_index = tf.broadcast_to(tf.range(tf.shape(seen_rows)[0])[:, tf.newaxis], tf.shape(seen_rows))
    places = tf.stack([batch_index, tf.maximum(seen_rows, 0)], axis=-1)
    return tf.tensor_scatter_nd_min(scores, places, tf.where(seen_rows >= 0, -np.inf, np.inf))
