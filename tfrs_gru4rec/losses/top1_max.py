"""TOP1-max: TOP1 against the negatives in proportion to their softmax."""

import tensorflow as tf

from tfrs_gru4rec.losses import candidates


def top1_max(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> tf.Tensor:
    """TOP1-max (1706.03847, section 3).

        loss_i = sum over N of w_j ( sigmoid(s_j - t) + sigmoid(s_j^2) )

    with t the target's score, N the negatives of row i and w the softmax of s over N alone.

    Args:
      scores: `[batch_size, n_candidates]`, the target of row i in column i.
      mask: bool, broadcastable to scores; False: the column is no negative of that row.
      targets: `[batch_size, n_candidates]`, bool, one True a row, where targets are not the diagonal.

    Returns:
      `[batch_size]`; 0 for a row without negatives.

    Raises:
      ValueError: scores are no float matrix.

    The negatives 0 and ln 3 weigh 1/4 and 3/4; against a target of 0 they cost 1 and 0.75 + sigmoid((ln 3)^2):

    >>> import numpy as np
    >>> top1_max(np.array([[0.0, 0.0, np.log(3.0)]])).numpy().round(4)
    array([1.3898])
    """
    scores = candidates.as_scores(scores)
    is_target = candidates.target_columns(scores, targets)
    is_negative = candidates.negative_columns(is_target, mask)
    target = candidates.target_scores(scores, is_target)
    negatives = candidates.only(scores, is_negative)
    powers, _ = candidates.exponentials(negatives, is_negative)
    values = tf.sigmoid(negatives - target) + tf.sigmoid(tf.square(negatives))
    return tf.math.divide_no_nan(tf.reduce_sum(powers * values, axis=1), tf.reduce_sum(powers, axis=1))
