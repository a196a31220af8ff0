"""Which candidates are a row's target and its negatives, and sums over them.

A loss is given scores `[batch_size, n_candidates]` and works on them candidates first, `[n_candidates, batch_size]`:
a sum over the candidates then adds vectors of rows, where it would walk along each row by itself. The task's products
come in that order too, so that under XLA both transpositions vanish.

Masked columns may hold anything, infinities and NaNs included: every loss replaces them by zero before
it computes, so that neither the loss nor its gradient sees them.
"""

from typing import NamedTuple

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


class Parted(NamedTuple):
    """The candidates of all rows, each `[n_candidates, batch_size]`."""

    scores: tf.Tensor  # float32 or float64
    is_target: tf.Tensor  # bool: those given, or candidate i of row i
    is_negative: tf.Tensor  # bool: all that are neither the row's target nor masked by False

    @property
    def negatives(self) -> tf.Tensor:
        """The scores of the negatives, zero elsewhere."""
        return only(self.scores, self.is_negative)


def parted(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> Parted:
    """Turns scores `[batch_size, n_candidates]` candidates first and says what they belong to.

    Args:
      scores: of floats, see `as_scores`.
      mask: bool, broadcastable to scores, False where a column is no negative of a row; None if all are.
      targets: bool, of the scores' shape, one True a row; None: candidate i of row i.

    Raises:
      ValueError: scores are no matrix of floats, or there are known to be fewer candidates than rows and no targets
        are given.
    """
    scores = as_scores(scores)
    turned = tf.transpose(scores)
    is_target = _diagonal(turned) if targets is None else tf.transpose(tf.cast(targets, tf.bool))
    is_negative = tf.logical_not(is_target)
    if mask is not None:
        is_negative &= tf.transpose(tf.broadcast_to(tf.cast(mask, tf.bool), tf.shape(scores)))
    return Parted(turned, is_target, is_negative)


def _diagonal(turned: tf.Tensor) -> tf.Tensor:
    """Marks candidate i of row i."""
    n_candidates, batch_size = turned.shape
    require(
        batch_size is None or n_candidates is None or n_candidates >= batch_size,
        "Column i is the target of row i, so there must be at least as many candidates as rows.",
        shape=(batch_size, n_candidates),
    )
    size = tf.shape(turned)
    return tf.range(size[0])[:, tf.newaxis] == tf.range(size[1])[tf.newaxis, :]


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
    scores, _, is_negative = parted(tf.stop_gradient(scores), mask)
    low = tf.reduce_min(tf.where(is_negative, scores, scores.dtype.max), axis=0)
    high = tf.reduce_max(tf.where(is_negative, scores, scores.dtype.min), axis=0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        n_above = tf.math.count_nonzero(is_negative & (scores >= middle), axis=0, dtype=tf.int32)
        low, high = tf.where(n_above >= n, middle, low), tf.where(n_above >= n, high, middle)
    return tf.transpose(is_negative & (scores >= low))


def only(values: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Keeps `values` where they are marked, zero elsewhere; `[n_candidates, batch_size]`."""
    return tf.where(where, values, tf.zeros_like(values))


def sum_of(values: tf.Tensor) -> tf.Tensor:
    """Sum over the candidates, `[batch_size]`."""
    return tf.reduce_sum(values, axis=0)


def target_scores(scores: tf.Tensor, is_target: tf.Tensor, targets: tf.Tensor | None) -> tf.Tensor:
    """Picks the score of each row's target, `[batch_size]`: those given, or the diagonal."""
    return tf.linalg.diag_part(scores) if targets is None else sum_of(only(scores, is_target))


def exponentials(scores: tf.Tensor, where: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Exponentials of the marked scores, scaled so that the highest of each row gives 1.

    The scale takes no part in the gradient: it cancels as soon as an exponential is divided by the sum of
    its row's exponentials.

    Returns:
      exp(s_j - highest) `[n_candidates, batch_size]`, zero where it is not marked, and highest `[batch_size]`, the
      highest marked score, 0 in a row without any.
    """
    lowest = tf.fill(tf.shape(scores), scores.dtype.min)
    highest = tf.reduce_max(tf.where(where, scores, lowest), axis=0)
    highest = tf.stop_gradient(tf.where(highest > scores.dtype.min, highest, tf.zeros_like(highest)))
    return only(tf.exp(only(scores - highest, where)), where), highest


def mean_over(values: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Mean of each row's values where they are marked, `[batch_size]`; 0 where there are none."""
    return tf.math.divide_no_nan(sum_of(only(values, where)), sum_of(tf.cast(where, values.dtype)))
