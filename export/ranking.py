"""From session records to recommendations and scores."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.cell_search import CellSearch, Found
from tfrs_gru4rec.export.filters import Availability, Filters, Groups, exclude
from tfrs_gru4rec.export.session_record import NextItemModel, SessionRecords
from tfrs_gru4rec.export.signatures import MAX_BATCH
from tfrs_gru4rec.export.top_k import BLOCK, top_k
from tfrs_gru4rec.models.popularity import popularity_scores
from tfrs_gru4rec.neighbours.fused_scores import FusedScores, with_new
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS
from tfrs_gru4rec.neighbours.rerank_network import N_BEST
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

# Scores held at a time; larger batches are ranked in parts, so memory does not grow with batch times
# catalogue.
MAX_SCORES = 1 << 26
_Rerank = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # see `FusedScores.rerank`


class Ranking(tf.Module):
    """Ranks the catalogue for sessions [n].

    Attributes:
      padded_biases: [n_columns], those of pads minus infinity.
      search: of cells; None where the plain product finds the best items.
    """

    def __init__(
        self,
        model: NextItemModel,
        records: SessionRecords,
        vocabulary: Vocabulary,
        top: int,
        max_scores: int = MAX_SCORES,
        n_excluded: int = 0,
        fusion: Fusion | None = None,
        group_of: Mapping[Any, str] | None = None,
    ) -> None:
        """Copies the items' output weights, and scores items by popularity for sessions that have no known item.

        TensorFlow copies a variable whole at every read once rows have been gathered from it, and a shared
        embedding is gathered at every step: 15 MB a request at 37 thousand items of 100 units. Weights that are
        only ever multiplied are not copied. Transposed, their product with a few queries takes half the time.
        They are padded to whole blocks by items that score minus infinity.

        Args:
          model: has the weights.
          records: reads the sessions' records.
          vocabulary: the items and their training events.
          top: how many items to recommend.
          max_scores: scores held at a time; see `MAX_SCORES`.
          n_excluded: how many of a session's latest items are not recommended, where a call does not say.
          fusion: what neighbours add to the scores.
          group_of: group by item id.
        """
        counts = vocabulary.counts
        super().__init__(name="ranking")
        self._records = records
        self._n_items = len(counts)
        self._n_top = top
        self._max_scores = max_scores
        self._n_excluded = n_excluded
        self._fused = None if fusion is None else FusedScores(fusion)
        # At least one, which pads of cells stand for.
        padding = BLOCK - self._n_items % BLOCK
        table, bias = model.embedding.output_table, model.embedding.output_bias
        weights = tf.transpose(table)
        if self._fused is not None:
            if self._fused.is_alone:
                weights, bias = weights[:0], tf.zeros_like(bias)
            # Popularity is one more unit: added to the scores, it would cost another pass over all of them.
            weights = tf.concat([weights, self._fused.popularity[tf.newaxis]], axis=0)
        self._weights = tf.Variable(tf.pad(weights, [[0, 0], [0, padding]]), trainable=False)
        self.padded_biases = tf.Variable(
            tf.pad(bias, [[0, padding]], constant_values=-np.inf), trainable=False
        )
        self._popularity = tf.constant(
            np.pad(popularity_scores(counts), [0, padding], constant_values=-np.inf)
        )
        self.availability = Availability(self._n_items + padding)
        self.groups = Groups(vocabulary, group_of or {}, self._n_items + padding)
        self.search: CellSearch | None = None
        self._most_searched = 0

    @property
    def is_fused(self) -> bool:
        """Whether neighbours add to the scores."""
        return self._fused is not None

    def search_cells(self, search: CellSearch | None, most_searched: int = 0) -> None:
        """Has calls of few sessions answered from cells of items, where that takes less than the plain product.

        Args:
          search: of the cells of this catalogue, for as many items as are recommended; None for the product alone.
          most_searched: sessions in a call, of which each is searched for by itself.
        """
        self.search, self._most_searched = search, most_searched

    def top(
        self, records: tf.Tensor, filters: Filters | None = None, *, is_fused: bool = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Recommends items.

        Args:
          records: [n, size].
          filters: of the rows; those of the export if None.
          is_fused: whether neighbours add to the scores, if there are any beside the model.

        Returns:
          Item rows int32 [n, top], best first, ties by row (by the fused scores where those were
          ranked anew); their scores [n, top], minus infinity where there are
          no more items that may be recommended.
        """
        given = self._given(records, filters)
        rank = self._top if is_fused else functools.partial(self.top_of_product, is_fused=False)
        rows, scores = self._in_parts(rank, [tf.int32, tf.float32], records, *given)
        return rows, scores

    def found(self, search: CellSearch, records: tf.Tensor) -> list[tf.Tensor]:
        """Searches cells for sessions that have a known item, with the filters of the export.

        Args:
          search: of the cells of this catalogue, for as many items as are recommended.
          records: [n, size].

        Returns:
          The parts of `Found`, each [n, ...].
        """
        return self._found(search, records, *self._given(records, None))

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
            return [tf.gather(self._of_all(part), part_rows, batch_dims=1)]

        [scores] = self._in_parts(score, [tf.float32], records, rows)
        is_known = self._records.is_known(records)[:, tf.newaxis]
        scores = tf.where(is_known, scores, tf.gather(self._popularity, rows))
        return tf.where(candidate_rows >= 0, scores, -np.inf)

    def _scores(
        self, records: tf.Tensor, penalties: tf.Tensor | float = 0.0, *, is_fused: bool = True
    ) -> tuple[tf.Tensor, _Rerank | None]:
        query, fused = self._records.query(records), self._fused
        if fused is None:
            return self._product(query, penalties), None
        if not is_fused:
            return self._product(tf.pad(query, [[0, 0], [0, 1]]), penalties), None
        said = fused.said(self._latest(records, N_CLICKS), self._weights.shape[1])
        popularity = fused.popularity_weights(said)[:, tf.newaxis]
        query = popularity if fused.is_alone else tf.concat([query, popularity], axis=1)
        product = self._product(query, penalties)
        rerank = functools.partial(fused.rerank, said=said) if fused.is_reranked else None
        return fused.add_clicks(product, said), rerank

    def _product(self, query: tf.Tensor, penalties: tf.Tensor | float) -> tf.Tensor:
        return tf.matmul(query, self._weights) + (self.padded_biases + penalties)

    def _of_all(self, records: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items, [n, n_columns]."""
        scores, rerank = self._scores(records)
        if rerank is None:
            return scores
        # Items that are withdrawn have scores, but no place among the best.
        return with_new(scores, *self._reranked(scores + self.availability.penalties(), rerank))

    def _reranked(self, scores: tf.Tensor, rerank: _Rerank) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the rows, old and new scores of the best items, N_BEST or what is recommended, if that is more."""
        values, rows = top_k(scores, min(max(self._n_top, N_BEST), scores.shape[1]))
        best = rerank(rows[:, :N_BEST], values[:, :N_BEST])
        return rows, values, tf.concat([best, values[:, N_BEST:]], axis=1)

    def _latest(self, records: tf.Tensor, n: int) -> tf.Tensor:
        return self._records.seen_rows(records, self._n_items)[:, :n]

    def _given(self, records: tf.Tensor, filters: Filters | None) -> list[tf.Tensor]:
        """Returns the filters of the rows as `_top` takes them: rows left out, and penalties by group."""
        if filters is None:
            return [self._latest(records, self._n_excluded)] if self._n_excluded else []
        seen = self._records.seen_rows(records, self._n_items)
        seen = tf.where(filters.exclude_seen[:, tf.newaxis], seen, -1)
        excluded = tf.concat([filters.excluded_rows, seen], axis=1)
        return [excluded, self.groups.penalties(filters.allow_groups)]

    def _top(self, records: tf.Tensor, *given: tf.Tensor) -> list[tf.Tensor]:
        search = self.search
        if search is None:
            return self.top_of_product(records, *given)
        is_small = tf.shape(records)[0] <= self._most_searched
        is_searched = is_small & tf.reduce_all(self._records.is_known(records))
        nothing = [tf.zeros([0, self._n_top], dtype) for dtype in (tf.int32, tf.float32)]
        rows, scores, is_proven = tf.cond(
            is_searched,
            lambda: self._found(search, records, *given)[:3],
            lambda: [*nothing, tf.constant([[False]])],
        )
        return tf.cond(
            tf.reduce_all(is_proven),
            lambda: [rows, scores],
            lambda: self.top_of_product(records, *given),
        )

    def _found(self, search: CellSearch, records: tf.Tensor, *given: tf.Tensor) -> list[tf.Tensor]:
        dtypes = [tf.int32, tf.float32, tf.bool, tf.int32]
        return self._in_parts(functools.partial(self._search_one, search), dtypes, records, *given, size=1)

    def _search_one(
        self,
        search: CellSearch,
        record: tf.Tensor,
        *given: tf.Tensor,
    ) -> Found:
        penalties = self._filtered(self.availability.penalties()[tf.newaxis], *given)[0]
        return search(self._records.query(record), tf.convert_to_tensor(self.padded_biases), penalties)

    def top_of_product(self, records: tf.Tensor, *given: tf.Tensor, is_fused: bool = True) -> list[tf.Tensor]:
        """Finds the best items by the product with all; returns rows and scores as `top` does."""
        penalties = self.availability.penalties()
        scores, rerank = self._scores(records, penalties, is_fused=is_fused)
        is_known = self._records.is_known(records)
        # Most batches have no empty session, and are spared another pass over the scores.
        scores = tf.cond(
            tf.reduce_all(is_known),
            lambda: scores,
            lambda: tf.where(is_known[:, tf.newaxis], scores, self._popularity + penalties),
        )
        scores = tf.ensure_shape(scores, [None, self._weights.shape[1]])
        if rerank:
            rows, old, new = self._reranked(scores, rerank)
            if not given:
                values, places = tf.math.top_k(new, self._n_top)
                return [tf.gather(rows, places, batch_dims=1), values]
            scores = with_new(scores, rows, old, new)
        values, rows = top_k(self._filtered(scores, *given), self._n_top)
        return [rows, values]

    def _filtered(
        self,
        scores: tf.Tensor,
        excluded_rows: tf.Tensor | None = None,
        group_penalties: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Takes filters, as `_given` returns them, out of scores [n, n_columns]."""
        if group_penalties is not None:
            scores += self.groups.of_columns(group_penalties)
        return scores if excluded_rows is None else exclude(scores, excluded_rows)

    def _in_parts(
        self,
        rank: Callable[..., Sequence[tf.Tensor]],
        dtypes: list[tf.DType],
        *inputs: tf.Tensor,
        size: int | None = None,
    ) -> list[tf.Tensor]:
        """Applies `rank` to inputs [n, ...], `size` of the rows at a time, and joins what it returns."""
        size = size or max(1, self._max_scores // self._weights.shape[1])
        if size >= MAX_BATCH:
            return [*rank(*inputs)]
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
