"""Cross-entropy over the candidates of a step."""

import tensorflow as tf

from tfrs_gru4rec.checks import require_fraction
from tfrs_gru4rec.losses import candidates


def cross_entropy(
    scores: tf.Tensor, mask: tf.Tensor | None = None, smoothing: float = 0.0, targets: tf.Tensor | None = None
) -> tf.Tensor:
    """Negative log-probability of the target among its candidates (1511.06939, 1706.03847).

        loss_i = log sum over L of exp(s_ik) - sum over L of q_ik s_ik

    where L is the target and the unmasked others, n = |L|, and q the wanted distribution: with
    label smoothing the target has q = (1 - smoothing) + smoothing / n and every other smoothing / n.

    Args:
      scores: `[batch_size, n_candidates]`, the target of row i in column i; before any softmax.
      mask: bool, broadcastable to scores; False: the column is no negative of that row. The target
        counts whatever the mask says.
      smoothing: share of the probability spread evenly over all n live candidates, in [0, 1).
      targets: `[batch_size, n_candidates]`, bool, one True a row, where targets are not the diagonal.

    Returns:
      `[batch_size]`; 0 for a row without negatives.

    Raises:
      ValueError: scores are no float matrix, or smoothing is out of range.

    The exponentials are 1, 1 and 3, so the target has 1/5 of the probability, and half of it once the last
    candidate is masked:

    >>> import numpy as np
    >>> scores = np.array([[0.0, 0.0, np.log(3.0)]])
    >>> cross_entropy(scores).numpy().round(4)  # ln 5
    array([1.6094])
    >>> cross_entropy(scores, mask=[[True, True, False]]).numpy().round(4)  # ln 2
    array([0.6931])
    """
    require_fraction(smoothing=smoothing)
    scores, is_target, is_negative = candidates.parted(scores, mask, targets)
    is_live = tf.logical_or(is_negative, is_target)
    powers, highest = candidates.exponentials(scores, is_live)
    wanted = (1.0 - smoothing) * (candidates.target_scores(scores, is_target, targets) - highest)
    if smoothing:
        wanted += smoothing * candidates.mean_over(scores - highest, is_live)
    return tf.math.log(candidates.sum_of(powers)) - wanted
