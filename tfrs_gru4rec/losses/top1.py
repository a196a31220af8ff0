"""TOP1: approximate rank of the target, with scores of negatives drawn to zero."""

import tensorflow as tf

from tfrs_gru4rec.losses import candidates


def top1(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> tf.Tensor:
    """TOP1, the mean over the negatives (1511.06939, section 3.1.3).

        loss_i = mean over N of ( sigmoid(s_j - t) + sigmoid(s_j^2) )

    with t the target's score and N the negatives of row i; the target itself, whose sigmoid(t^2)
    would draw the right answer's score to zero, is not in N.

    Args:
      scores: `[batch_size, n_candidates]`, the target of row i in column i.
      mask: bool, broadcastable to scores; False: the column is no negative of that row.
      targets: `[batch_size, n_candidates]`, bool, one True a row, where targets are not the diagonal.

    Returns:
      `[batch_size]`; 0 for a row without negatives.

    Raises:
      ValueError: scores are no float matrix.

    A target of 0 against one negative of 0: sigmoid(0) + sigmoid(0).

    >>> top1([[0.0, 0.0]]).numpy()
    array([1.], dtype=float32)
    """
    scores = candidates.as_scores(scores)
    is_target = candidates.target_columns(scores, targets)
    is_negative = candidates.negative_columns(is_target, mask)
    target = candidates.target_scores(scores, is_target)
    negatives = candidates.only(scores, is_negative)
    values = tf.sigmoid(negatives - target) + tf.sigmoid(tf.square(negatives))
    return candidates.mean_over(values, is_negative)
