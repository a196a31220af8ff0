"""logQ correction: takes out of a score how often its candidate is proposed."""

import numpy as np
import tensorflow as tf


def log_counts(counts: np.ndarray) -> np.ndarray:
    """Logarithm of each item's count `[n_items]` in the training log, float32 `[n_items]`, 0 where the count is 0.

    >>> log_counts(np.array([0, 1, 10])).round(4)
    array([0.    , 0.    , 2.3026], dtype=float32)
    """
    return np.log(np.maximum(np.asarray(counts, np.float64), 1.0)).astype(np.float32)


def log_correction(
    log_counts: tf.Tensor,
    target_rows: tf.Tensor,
    sampled_rows: tf.Tensor,
    sample_alpha: float,
    logq: float = 1.0,
) -> tf.Tensor:
    """Computes what to subtract from each candidate's scores before the softmax, `[batch_size + n_sample]`.

    In-batch targets are proposed in proportion to count, sampled negatives to count ** sample_alpha
    (Bengio and Senecal 2008), so with c the count of an item the correction is

        logq * log c                    of an in-batch target
        logq * sample_alpha * log c     of a sampled negative

    The normalising constants of the two distributions are left out, as published settings do. A constant
    cancels in the softmax only if all columns have it; here each of the two kinds has one of its own.

    Args:
      log_counts: `[n_items]`, see `log_counts`.
      target_rows: `[batch_size]`, integer, item rows of the in-batch targets.
      sampled_rows: `[n_sample]`, integer, item rows of the extra negatives.
      sample_alpha: exponent that these were drawn with.
      logq: strength of the correction; 0 corrects nothing.

    >>> logs = tf.constant(log_counts(np.array([1, 10, 100])))
    >>> log_correction(logs, target_rows=[2, 0], sampled_rows=[1], sample_alpha=0.5).numpy().round(4)
    array([4.6052, 0.    , 1.1513], dtype=float32)
    """
    rows = tf.concat([target_rows, sampled_rows], axis=0)
    sizes = tf.shape(target_rows), tf.shape(sampled_rows)
    strength = tf.concat(
        [tf.fill(sizes[0], float(logq)), tf.fill(sizes[1], float(logq * sample_alpha))], axis=0
    )
    return strength * tf.gather(log_counts, rows)
