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
# A compiled loop over the blocks of so many queries asks for the scores' memory once, so blocks may be larger.
_LOOP_ROWS, _LOOP_BYTES = 2**12, 2**26
# The registers of a processor hold 16 numbers of float32: 145 queries take a tenth longer than 144.
_REGISTER = 16


def block_rows(
    n_items: int, max_scores_bytes: int = MAX_SCORES_BYTES, enough_bytes: int = _KEPT_BYTES
) -> int:
    """Returns how many rows of float32 scores of all items to hold at a time within a budget of bytes, at least one.

    More than `enough_bytes` are taken only where these are few rows; 16 rows and more are a multiple of 16.

    Raises:
      ValueError: a value is not above zero.

    >>> block_rows(10_000_000), block_rows(43_000)
    (6, 144)
    """
    require_positive(n_items=n_items, max_scores_bytes=max_scores_bytes)
    row_bytes = 4 * n_items
    rows = max(1, min(max_scores_bytes // row_bytes, max(enough_bytes // row_bytes, _ENOUGH_ROWS)))
    return rows if rows < _REGISTER else rows - rows % _REGISTER


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
    n, is_plain = tf.shape(query)[0], rescore is None
    most = block_rows(item_weights.shape[0], max_scores_bytes, _LOOP_BYTES if is_plain else _KEPT_BYTES)
    rows = min(most, query.shape[0] or sys.maxsize)
    size = rows * max(1, _LOOP_ROWS // rows) if is_plain else rows
    n_parts = -(-n // size)
    values = (query, target_rows, *of_queries)
    parts = (tf.range(n_parts), *(_in_blocks(each, n_parts, size) for each in values))

    def ranks_of_part(part: tuple[tf.Tensor, ...]) -> tf.Tensor:
        number, query, targets, *of_query = part
        if rescore is None:
            return _ranks_of_products(query, targets, item_weights, item_biases, n - number * size, rows, tie)
        scores = tf.matmul(query, item_weights, transpose_b=True) + item_biases
        return _ranks_compiled(rescore(scores, *of_query), targets, tie)

    # One at a time: several at once would break the budget.
    results = tf.map_fn(ranks_of_part, parts, parallel_iterations=1, fn_output_signature=tf.float32)
    return tf.reshape(results, [-1])[:n]


@tf.function(jit_compile=True)
def _ranks_compiled(scores: tf.Tensor, target_rows: tf.Tensor, tie: str) -> tf.Tensor:
    return ranks(scores, target_rows, tie)


@tf.function(jit_compile=True)
def _ranks_of_products(
    query: tf.Tensor,
    target_rows: tf.Tensor,
    item_weights: tf.Tensor,
    item_biases: tf.Tensor,
    n: tf.Tensor,
    rows: int,
    tie: str,
) -> tf.Tensor:
    """Ranks the targets of the first n queries, `rows` at a time; XLA adds and counts in one pass over the scores."""
    queries = tf.reshape(query, [-1, rows, query.shape[1]])
    targets = tf.reshape(target_rows, [-1, rows])

    def rank_block(number: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The larger matrix first: two thirds of the time.
        product = tf.matmul(item_weights, queries[number], transpose_b=True)
        scores = product + item_biases[:, tf.newaxis]
        block = ranks(scores, targets[number], tie, items_first=True)
        return number + 1, tf.tensor_scatter_nd_update(found, [[number]], [block])

    start = (tf.constant(0), tf.zeros(targets.shape))
    n_blocks = tf.minimum(-(-n // rows), targets.shape[0])
    _, found = tf.while_loop(lambda number, _: number < n_blocks, rank_block, start)
    return tf.reshape(found, [-1])


def _in_blocks(values: tf.Tensor, n_blocks: tf.Tensor, rows: int) -> tf.Tensor:
    """Pads `[n, …]` by zeros to whole blocks, `[n_blocks, rows, …]`."""
    size = tf.shape(values)
    missing = tf.concat([[n_blocks * rows - size[0]], size[1:]], axis=0)
    padded = tf.concat([values, tf.zeros(missing, values.dtype)], axis=0)
    return tf.reshape(padded, tf.concat([[n_blocks, rows], size[1:]], axis=0))
