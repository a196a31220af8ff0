"""Accidental hits: negatives that are the row's own target."""

import tensorflow as tf


def negative_mask(target_rows: tf.Tensor, candidate_rows: tf.Tensor) -> tf.Tensor:
    """Marks which candidates are true negatives of which row: item rows `[batch_size]` and `[n_candidates]`.

    Returns:
      `[batch_size, n_candidates]`, bool; False where the candidate is the row's target. That includes
      the target's own column, which losses treat as the target whatever the mask says.

    >>> negative_mask(tf.constant([4, 7]), tf.constant([4, 7, 7, 1])).numpy()
    array([[False,  True,  True,  True],
           [ True, False, False,  True]])
    """
    return target_rows[:, tf.newaxis] != candidate_rows[tf.newaxis, :]
