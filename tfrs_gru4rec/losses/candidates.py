"""Which column of a score matrix is a row's target, and which are its negatives.

Masked columns may hold anything, infinities and NaNs included: every loss replaces them by zero before
it computes, so that neither the loss nor its gradient sees them.
"""

import tensorflow as tf

from tfrs_gru4rec.checks import require

# Halvings of the range of a row's scores: 4096th parts of it are told apart.
HALVINGS = 12


def as_scores(scores: tf.Tensor) -> tf.Tensor:
    """Checks scores `[batch_size, n_candidates]` and brings them to a precision in which the losses are safe.

    Half precisions are computed in float32: the smallest number the losses need, 1e-24, does not exist in them.

    Raises:
      ValueError: scores are no matrix of floats.
    """
    scores = tf.convert_to_tensor(scores)
    require(scores.shape.rank in (None, 2), "scores must be [batch_size, n_candidates].", shape=scores.shape)
    require(scores.dtype.is_floating, "scores must be floating point.", dtype=scores.dtype.name)
    return tf.cast(scores, tf.float32) if scores.dtype.size < 4 else scores


def target_columns(scores: tf.Tensor, targets: tf.Tensor | None = None) -> tf.Tensor:
    """Marks the target of each row, bool `[batch_size, n_candidates]`: those given, or column i of row i.

    Raises:
      ValueError: there are known to be fewer candidates than rows, and no targets are given.
    """
    if targets is not None:
        return tf.cast(targets, tf.bool)
    batch_size, n_candidates = scores.shape
    require(
        batch_size is None or n_candidates is None or n_candidates >= batch_size,
        "Column i is the target of row i, so there must be at least as many candidates as rows.",
        shape=scores.shape,
    )
    size = tf.shape(scores)
    return tf.range(size[0])[:, tf.newaxis] == tf.range(size[1])[tf.newaxis, :]


def negative_columns(is_target: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Marks the negatives of each row: all columns that are neither its target nor masked by False.

    The target and the negatives are bool `[batch_size, n_candidates]`, the mask is broadcastable to that.
    """
    others = tf.logical_not(is_target)
    return others if mask is None else tf.logical_and(others, tf.cast(mask, tf.bool))


def hardest_negatives(scores: tf.Tensor, mask: tf.Tensor | None, n: int) -> tf.Tensor:
    """Marks the n negatives of each row that have the highest scores, and any that are about as high as the n-th.

    The others take no part in a loss that is given this mask, nor in its gradient: TRON, arXiv 2307.14906. The bound is
    found by halving the range of the row's scores, which costs a tenth of what sorting them does.

    Args:
      scores: `[batch_size, n_candidates]`, the target of row i in column i.
      mask: bool, broadcastable to scores, False where a column is no negative of a row; None if all are.
      n: at least 1.

    Returns:
      Bool `[batch_size, n_candidates]`.

    >>> scores = tf.constant([[9.0, 1.0, 3.0, 2.0]])
    >>> hardest_negatives(scores, mask=None, n=2).numpy().tolist()
    [[False, False, True, True]]
    """
    is_negative = negative_columns(target_columns(scores), mask)
    scores = tf.stop_gradient(scores)
    low = tf.reduce_min(tf.where(is_negative, scores, scores.dtype.max), axis=1, keepdims=True)
    high = tf.reduce_max(tf.where(is_negative, scores, scores.dtype.min), axis=1, keepdims=True)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        n_above = tf.math.count_nonzero(
            is_negative & (scores >= middle), axis=1, keepdims=True, dtype=tf.int32
        )
        low, high = tf.where(n_above >= n, middle, low), tf.where(n_above >= n, high, middle)
    return is_negative & (scores >= low)


def only(values: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Keeps `values` at the marked columns, zero elsewhere; `[batch_size, n_candidates]`."""
    return tf.where(where, values, tf.zeros_like(values))


def row_sum(values: tf.Tensor) -> tf.Tensor:
    """Sum over the candidates, `[batch_size, 1]`."""
    return tf.reduce_sum(values, axis=1, keepdims=True)


def target_scores(scores: tf.Tensor, is_target: tf.Tensor) -> tf.Tensor:
    """Picks the score of each row's target, `[batch_size, 1]`."""
    return row_sum(only(scores, is_target))


def parted(
    scores: tf.Tensor, mask: tf.Tensor | None, targets: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the targets' scores `[batch_size, 1]`, the negatives', zero elsewhere, and where these are, bool."""
    scores = as_scores(scores)
    is_target = target_columns(scores, targets)
    is_negative = negative_columns(is_target, mask)
    return target_scores(scores, is_target), only(scores, is_negative), is_negative


def exponentials(scores: tf.Tensor, where: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Exponentials of the marked scores, scaled so that the highest of each row gives 1.

    The scale takes no part in the gradient: it cancels as soon as an exponential is divided by the sum of
    its row's exponentials.

    Returns:
      exp(s_j - highest) `[batch_size, n_candidates]`, zero at unmarked columns, and highest
      `[batch_size, 1]`, the highest marked score, 0 in a row without any.
    """
    lowest = tf.fill(tf.shape(scores), scores.dtype.min)
    highest = tf.reduce_max(tf.where(where, scores, lowest), axis=1, keepdims=True)
    highest = tf.stop_gradient(tf.where(highest > scores.dtype.min, highest, tf.zeros_like(highest)))
    return only(tf.exp(only(scores - highest, where)), where), highest


def mean_over(values: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Mean of each row's values at the marked columns, `[batch_size]`; 0 where there are none."""
    total = tf.reduce_sum(only(values, where), axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(where, values.dtype), axis=1))
