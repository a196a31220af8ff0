"""logQ correction: scores freed of how often a candidate is proposed."""

import numpy as np
import tensorflow as tf


def log_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each item's count, 0 where the count is 0; `[n_items]`, float32."""
    return np.log(np.maximum(np.asarray(counts, np.float64), 1.0)).astype(np.float32)


def log_correction(
    log_counts: tf.Tensor,
    target_rows: tf.Tensor,
    sampled_rows: tf.Tensor,
    sample_alpha: float,
    logq: float = 1.0,
) -> tf.Tensor:
    """What to subtract from each candidate's column of scores before the softmax.

    In-batch targets are proposed in proportion to count, sampled negatives to count ** sample_alpha,
    so the correction is logq * log(count) for the former and logq * sample_alpha * log(count) for the
    latter (Bengio and Senecal 2008). What is the same for all columns cancels in the softmax only
    within one way of proposing; as in the field, the normalising constants are left out.

    Args:
      log_counts: `[n_items]`, see `log_counts`.
      target_rows: `[batch_size]`, integer, item rows of the in-batch targets.
      sampled_rows: `[n_sample]`, integer, item rows of the extra negatives.
      sample_alpha: exponent that these were drawn with.
      logq: strength of the correction; 0 corrects nothing.

    Returns:
      `[batch_size + n_sample]`, in the order of the candidates.
    """
    rows = tf.concat([target_rows, sampled_rows], axis=0)
    sizes = tf.shape(target_rows), tf.shape(sampled_rows)
    strength = tf.concat(
        [tf.fill(sizes[0], float(logq)), tf.fill(sizes[1], float(logq * sample_alpha))], axis=0
    )
    return strength * tf.gather(log_counts, rows)
