"""BPR: pairwise ranking against all negatives alike, or in BPR-max in proportion to their softmax."""

from collections.abc import Callable

import tensorflow as tf

from tfrs_gru4rec.checks import require_at_least
from tfrs_gru4rec.losses import candidates

# Keeps the logarithm finite when the target loses to every negative.
TINY = 1e-24


def bpr(scores: tf.Tensor, mask: tf.Tensor | None = None, targets: tf.Tensor | None = None) -> tf.Tensor:
    """BPR, the mean over the negatives (1511.06939, section 3.1.3).

        loss_i = mean over N of -log sigmoid(t - s_j)

    with t the target's score and N the negatives of row i. The mean, not the sum: the loss keeps its
    scale when negatives are added or masked.

    Arguments, result and errors are those of `cross_entropy`, without the smoothing.

    Against a target of 0 the negatives 0 and ln 3 lose ln 2 and ln 4:

    >>> import numpy as np
    >>> bpr(np.array([[0.0, 0.0, np.log(3.0)]])).numpy().round(4)  # 1.5 ln 2
    array([1.0397])
    """
    of_rows = candidates.parted(scores, mask, targets)
    target = candidates.target_scores(of_rows.scores, of_rows.is_target, targets)
    # softplus(x) = -log sigmoid(-x), without the logarithm of a zero.
    return candidates.mean_over(tf.nn.softplus(of_rows.negatives - target), of_rows.is_negative)


def bpr_max(
    scores: tf.Tensor, mask: tf.Tensor | None = None, bpreg: float = 1.0, targets: tf.Tensor | None = None
) -> tf.Tensor:
    """BPR-max with score regularisation (1706.03847, section 3).

        loss_i = -log( sum over N of w_j sigmoid(t - s_j) + 1e-24 ) + bpreg * sum over N of w_j s_j^2

    with t the target's score, N the negatives of row i and w the softmax of s over N alone.

    The weight of the score regularisation, bpreg, is at least 0; other arguments, result and errors are those of
    `cross_entropy`.

    The negatives 0 and ln 3 weigh 1/4 and 3/4; a target of 0 beats them with 1/2 and 1/4, in the mean 5/16:

    >>> import numpy as np
    >>> scores = np.array([[0.0, 0.0, np.log(3.0)]])
    >>> bpr_max(scores, bpreg=0.0).numpy().round(4)  # -ln 5/16
    array([1.1632])
    >>> bpr_max(scores, bpreg=1.0).numpy().round(4)  # and 3/4 (ln 3)^2 for the negatives' scores
    array([2.0684])
    """
    require_at_least(0, bpreg=bpreg)
    scores, is_target, is_negative = candidates.parted(scores, mask, targets)

    # The gradient is written out because it shares all its matrices with the loss: under XLA on a CPU
    # this takes about two thirds of the time of automatic differentiation.
    @tf.custom_gradient
    def loss_with_gradient(scores: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        target = candidates.target_scores(scores, is_target, targets)
        negatives = candidates.only(scores, is_negative)
        powers, _ = candidates.exponentials(negatives, is_negative)
        total = candidates.sum_of(powers)
        per_total = tf.math.divide_no_nan(tf.ones_like(total), total)
        beaten = tf.sigmoid(target - negatives)
        won = powers * beaten
        win = per_total * candidates.sum_of(won)
        regulariser = per_total * candidates.sum_of(powers * tf.square(negatives))
        loss = bpreg * regulariser - tf.math.log(win + TINY)
        loss = tf.where(total == 0, tf.zeros_like(loss), loss)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # With d beaten_j / d s_j = -beaten_j (1 - beaten_j) and d w_k / d s_j = w_k ([j = k] - w_j)
            # a negative gets w_j (win - beaten_j^2) / (win + 1e-24) through win, and
            # w_j (s_j^2 + 2 s_j - regulariser) through the regulariser.
            scale = upstream * per_total
            per_win = scale / (win + TINY)
            slope = per_win * (win - tf.square(beaten))
            slope += scale * bpreg * (negatives * (negatives + 2.0) - regulariser)
            to_target = -per_win * candidates.sum_of(won * (1.0 - beaten))
            return tf.where(is_target, to_target, powers * slope)

        return loss, gradient

    return loss_with_gradient(scores)
