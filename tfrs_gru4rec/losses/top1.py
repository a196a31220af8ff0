"""TOP1: approximate rank of the target, with scores of negatives drawn to zero; in TOP1-max by their softmax."""

import tensorflow as tf

from tfrs_gru4rec.losses import candidates


def top1(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> tf.Tensor:
    """TOP1, the mean over the negatives (1511.06939, section 3.1.3).

        loss_i = mean over N of ( sigmoid(s_j - t) + sigmoid(s_j^2) )

    with t the target's score and N the negatives of row i; the target itself, whose sigmoid(t^2)
    would draw the right answer's score to zero, is not in N.

    Arguments, result and errors are those of `cross_entropy`, without the smoothing.

    A target of 0 against one negative of 0: sigmoid(0) + sigmoid(0).

    >>> top1([[0.0, 0.0]]).numpy()
    array([1.], dtype=float32)
    """
    of_rows = candidates.parted(scores, mask, targets)
    return candidates.mean_over(_values(of_rows, targets), of_rows.is_negative)


def top1_max(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> tf.Tensor:
    """TOP1-max (1706.03847, section 3).

        loss_i = sum over N of w_j ( sigmoid(s_j - t) + sigmoid(s_j^2) )

    with t the target's score, N the negatives of row i and w the softmax of s over N alone.

    Arguments, result and errors are those of `cross_entropy`, without the smoothing.

    The negatives 0 and ln 3 weigh 1/4 and 3/4; against a target of 0 they cost 1 and 0.75 + sigmoid((ln 3)^2):

    >>> import numpy as np
    >>> top1_max(np.array([[0.0, 0.0, np.log(3.0)]])).numpy().round(4)
    array([1.3898])
    """
    of_rows = candidates.parted(scores, mask, targets)
    powers, _ = candidates.exponentials(of_rows.negatives, of_rows.is_negative)
    weighted = candidates.sum_of(powers * _values(of_rows, targets))
    return tf.math.divide_no_nan(weighted, candidates.sum_of(powers))


def _values(of_rows: candidates.Parted, targets: tf.Tensor | None) -> tf.Tensor:
    """sigmoid(s_j - t) + sigmoid(s_j^2) of all negatives, `[n_candidates, batch_size]`."""
    target = candidates.target_scores(of_rows.scores, of_rows.is_target, targets)
    return tf.sigmoid(of_rows.negatives - target) + tf.sigmoid(tf.square(of_rows.negatives))
