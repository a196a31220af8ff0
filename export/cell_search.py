"""The best items of a query by the cells that may hold them, in stock operations.

Cells are read in the order of their bounds (`cells.py`), some at a time, until the best bound that is left lies below
the score of the last of the k best items. What is not read scores less than they do. That gives the answer of the plain
product, ties included, or says that it read too much to be worth it, and then the plain product is to be asked.

With bounds made shorter, `radius_share` below 1, less is read and an item may be missed: the approximate mode.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.export.cells import Cells

CELLS_A_VISIT = 64  # 4,096 items: enough that reading them takes longer than starting the operations
MOST_READ = 0.25  # of the catalogue, beyond which the plain product is not much slower


class Found(NamedTuple):
    """The best items of one query.

    Attributes:
      rows: int32 [1, k], best first, ties by row; any where the score is minus infinity.
      scores: [1, k].
      is_proven: bool [1, 1], whether these are the best; else they mean nothing.
      n_read: int32 [1, 1], cells read.
    """

    rows: tf.Tensor
    scores: tf.Tensor
    is_proven: tf.Tensor
    n_read: tf.Tensor


class CellSearch(tf.Module):
    """Cells as variables, and the search through them.

    Attributes:
      n_cells: cells there are.
      radius_share: scalar variable, 1 for exact answers.
    """

    def __init__(
        self, cells: Cells, k: int, cells_a_visit: int = CELLS_A_VISIT, most_read: float = MOST_READ
    ) -> None:
        """Copies the cells.

        Args:
          cells: of the catalogue.
          k: items to find.
          cells_a_visit: read at a time.
          most_read: share of the catalogue beyond which the search gives up.
        """
        super().__init__(name="cell_search")
        self.n_cells = len(cells.rows)
        self._k = k
        self._a_visit = min(cells_a_visit, self.n_cells)
        self._most_visits = max(1, int(most_read * self.n_cells) // self._a_visit)
        self._rows, self._weights, self._centres, self._radii, self._slack = (
            tf.Variable(part, trainable=False) for part in cells
        )
        self.radius_share = tf.Variable(1.0, trainable=False)

    def __call__(self, query: tf.Tensor, added: tf.Tensor, penalties: tf.Tensor) -> Found:
        """Finds the best items of one query.

        Args:
          query: [1, width].
          added: [n_items + 1], to the scores: the biases, and minus infinity.
          penalties: [n_items + 1], to the scores as well: at most 0 each.

        Returns:
          The items.
        """
        n_cells_read = self._a_visit * self._most_visits
        bounds = tf.concat([self._bounds(query), [-np.inf]], axis=0)
        bounds, order = tf.math.top_k(bounds, n_cells_read + 1)
        next_bounds = bounds[:: self._a_visit]
        visits = tf.reshape(order[:-1], [self._most_visits, self._a_visit])

        def is_open(number: tf.Tensor, _: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
            return (number < self._most_visits) & (next_bounds[number] >= scores[-1])

        def visit(number: tf.Tensor, rows: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, ...]:
            read_rows, products = self._read(query, visits[number])
            read = products + (tf.gather(added, read_rows) + tf.gather(penalties, read_rows))
            return number + 1, *self._best(rows, scores, read_rows, read)

        start = (tf.constant(0), tf.zeros([self._k], tf.int32), tf.fill([self._k], -np.inf))
        number, rows, scores = tf.while_loop(is_open, visit, start, parallel_iterations=1)
        is_proven = next_bounds[number] < scores[-1]
        return Found(
            *(tf.reshape(part, [1, -1]) for part in (rows, scores, is_proven, number * self._a_visit))
        )

    def _bounds(self, query: tf.Tensor) -> tf.Tensor:
        """Returns what the items of each cell score at most, [n_cells]."""
        query = tf.concat([query, [[1.0]]], axis=1)
        reach = self.radius_share * self._radii + self._slack
        bounds = tf.matmul(query, self._centres)[0] + tf.sqrt(tf.reduce_sum(query * query)) * reach
        return tf.where(tf.math.is_finite(bounds), bounds, np.inf)

    def _read(self, query: tf.Tensor, cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the rows of the items of some cells, and their products with the query, each [n]."""
        rows = tf.gather(tf.convert_to_tensor(self._rows), cells)
        products = tf.matmul(query, tf.gather(tf.convert_to_tensor(self._weights), cells))
        return tf.reshape(rows, [-1]), tf.reshape(products, [-1])

    def _best(
        self, rows: tf.Tensor, scores: tf.Tensor, read_rows: tf.Tensor, read: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best k of the k best so far and of items read."""
        least = tf.math.top_k(tf.concat([scores, read], axis=0), self._k).values[-1]
        # Few are left, with all that tie with the last.
        hits = tf.where(read >= tf.maximum(least, tf.float32.min))[:, 0]
        rows = tf.concat([rows, tf.gather(read_rows, hits)], axis=0)
        scores = tf.concat([scores, tf.gather(read, hits)], axis=0)
        # Of equal scores the first wins, so they come by row.
        by_row = tf.math.top_k(-rows, tf.size(rows)).indices
        scores, places = tf.math.top_k(tf.gather(scores, by_row), self._k)
        return tf.gather(tf.gather(rows, by_row), places), scores
