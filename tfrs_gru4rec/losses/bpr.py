"""BPR: pairwise ranking against all negatives, each with the same weight."""

import tensorflow as tf

from tfrs_gru4rec.losses import candidates


def bpr(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> tf.Tensor:
    """BPR, the mean over the negatives (1511.06939, section 3.1.3).

        loss_i = mean over N of -log sigmoid(t - s_j)

    with t the target's score and N the negatives of row i. The mean, not the sum: the loss keeps its
    scale when negatives are added or masked.

    Args:
      scores: `[batch_size, n_candidates]`, the target of row i in column i.
      mask: bool, broadcastable to scores; False: the column is no negative of that row.
      targets: `[batch_size, n_candidates]`, bool, one True a row, where targets are not the diagonal.

    Returns:
      `[batch_size]`; 0 for a row without negatives.

    Raises:
      ValueError: scores are no float matrix.

    Against a target of 0 the negatives 0 and ln 3 lose ln 2 and ln 4:

    >>> import numpy as np
    >>> bpr(np.array([[0.0, 0.0, np.log(3.0)]])).numpy().round(4)  # 1.5 ln 2
    array([1.0397])
    """
    scores = candidates.as_scores(scores)
    is_target = candidates.target_columns(scores, targets)
    is_negative = candidates.negative_columns(is_target, mask)
    target = candidates.target_scores(scores, is_target)
    # softplus(x) = -log sigmoid(-x), without the logarithm of a zero.
    values = tf.nn.softplus(candidates.only(scores, is_negative) - target)
    return candidates.mean_over(values, is_negative)
