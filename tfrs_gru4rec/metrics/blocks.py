"""Ranks in catalogues whose scores do not fit in memory at once."""

import sys
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfrs_gru4rec.checks import require_positive
from tfrs_gru4rec.metrics.ranks import ranks

# 256 MiB: 6 queries of 10 million items.
MAX_SCORES_BYTES = 2**28
# The C library takes blocks of up to 32 MiB from memory that it has used before. Larger ones it asks of the system,
# whose pages, cleared at the first touch, cost as much as the product. But a catalogue is read once for each block.
_KEPT_BYTES, _ENOUGH_ROWS = 3 * 2**23, 64
# The registers of a processor hold 16 numbers of float32: 145 queries take a tenth longer than 144.
_LANES = 16


def block_rows(n_items: int, max_scores_bytes: int = MAX_SCORES_BYTES) -> int:
    """Returns how many rows of float32 scores of all items to hold at a time within a budget of bytes, at least one.

    Raises:
      ValueError: a value is not above zero.

    >>> block_rows(10_000_000), block_rows(43_000)
    (6, 144)
    """
    require_positive(n_items=n_items, max_scores_bytes=max_scores_bytes)
    row_bytes = 4 * n_items
    rows = max(1, min(max_scores_bytes // row_bytes, max(_KEPT_BYTES // row_bytes, _ENOUGH_ROWS)))
    return rows if rows < _LANES else rows - rows % _LANES


def ranks_in_blocks(
    query: tf.Tensor,
    item_weights: tf.Tensor,
    item_biases: tf.Tensor,
    target_rows: tf.Tensor,
    tie: str = "standard",
    max_scores_bytes: int = MAX_SCORES_BYTES,
    rescore: Callable[..., tf.Tensor] | None = None,
    of_queries: Sequence[tf.Tensor] = (),
) -> tf.Tensor:
    """Ranks each query's target among all items by r = h · W + b, some queries at a time; float32 `[n]`, see `ranks`.

    The blocks are of queries, never of items: a target's score and those of its rivals then come from
    one and the same product, and ties are exact.

    Args:
      query: `[n, units]`, h.
      item_weights: `[n_items, units]`, W.
      item_biases: `[n_items]`, b.
      target_rows: `[n]`, integer, item rows.
      tie: see `ranks`.
      max_scores_bytes: memory for one block's scores.
      rescore: changes a block's scores `[rows, n_items]`, given those rows of `of_queries` too; None leaves them.
      of_queries: each `[n, …]`.

    Raises:
      ValueError: unknown tie rule, or a budget that is not above zero.

    Scores -1, 0 and 1; the target has the lowest.

    >>> items, biases = tf.constant([[-1.0], [0.0], [1.0]]), tf.zeros([3])
    >>> ranks_in_blocks(tf.constant([[1.0]]), items, biases, tf.constant([0])).numpy().tolist()
    [3.0]
    """
    rows = min(block_rows(item_weights.shape[0], max_scores_bytes), query.shape[0] or sys.maxsize)
    n = tf.shape(query)[0]
    n_blocks = -(-n // rows)
    blocks = tuple(_in_blocks(values, n_blocks, rows) for values in (query, target_rows, *of_queries))

    def ranks_of_block(block: tuple[tf.Tensor, ...]) -> tf.Tensor:
        query, targets, *of_query = block
        if rescore is None:
            # The larger matrix first: two thirds of the time.
            product = tf.matmul(item_weights, query, transpose_b=True)
            return _ranks_compiled(product, item_biases[:, tf.newaxis], targets, tie, items_first=True)
        scores = rescore(tf.matmul(query, item_weights, transpose_b=True) + item_biases, *of_query)
        return _ranks_compiled(scores, 0.0, targets, tie, items_first=False)

    # One block at a time: running several at once would break the budget.
    results = tf.map_fn(ranks_of_block, blocks, parallel_iterations=1, fn_output_signature=tf.float32)
    return tf.reshape(results, [-1])[:n]


@tf.function(jit_compile=True)
def _ranks_compiled(
    product: tf.Tensor, biases: tf.Tensor, target_rows: tf.Tensor, tie: str, items_first: bool
) -> tf.Tensor:
    # XLA adds and counts in one pass over the scores; the product itself is quicker outside.
    return ranks(product + biases, target_rows, tie, items_first)


def _in_blocks(values: tf.Tensor, n_blocks: tf.Tensor, rows: int) -> tf.Tensor:
    """Pads `[n, …]` by zeros to whole blocks, `[n_blocks, rows, …]`."""
    size = tf.shape(values)
    missing = tf.concat([[n_blocks * rows - size[0]], size[1:]], axis=0)
    padded = tf.concat([values, tf.zeros(missing, values.dtype)], axis=0)
    return tf.reshape(padded, tf.concat([[n_blocks, rows], size[1:]], axis=0))
