"""Extra negatives drawn in the graph: count ** sample_alpha, with replacement, without state."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_at_least
from tfrs_gru4rec.random_words import random_words
from tfrs_gru4rec.sampling.alias import alias_table


def sampling_weights(counts: np.ndarray, sample_alpha: float) -> np.ndarray:
    """Weight of each item as a negative, count ** sample_alpha (1706.03847, section 3.2).

    Args:
      counts: `[n_items]`, events of each item in the training log.
      sample_alpha: 0 draws uniformly, 1 by popularity; at least 0.

    Returns:
      `[n_items]`, float64. An item with count 0 has weight 0, also under sample_alpha 0: the log
      never showed it, so it is no negative.

    Raises:
      ValueError: sample_alpha is negative, or counts are no vector of numbers, not negative, with at
        least one above 0.

    Weights are relative to the largest:

    >>> sampling_weights(np.array([0, 1, 4, 16]), sample_alpha=0.5).tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    require_at_least(0, sample_alpha=sample_alpha)
    counts = np.asarray(counts, np.float64)
    require(counts.ndim == 1, "counts must be [n_items].", shape=counts.shape)
    require(
        bool(np.all(np.isfinite(counts) & (counts >= 0)) and np.any(counts > 0)),
        "counts must be finite and not negative, with at least one above 0.",
        n_items=counts.size,
    )
    # Divided by the largest: a large count to a large power may overflow.
    return np.where(counts > 0, (counts / counts.max()) ** sample_alpha, 0.0)


class NegativeSampler:
    """Draws item rows with probability proportional to count ** sample_alpha.

    Integers decide everything, so that a seed gives the same items eagerly, in a graph and under XLA: the chance to
    keep a column is a threshold among the 2**32 values of a word. The table, which follows from the counts, is no
    variable and in no checkpoint.

    >>> sampler = NegativeSampler(np.array([0, 5, 0, 0]), sample_alpha=0.75)
    >>> sampler.sample(3, seed=tf.constant([1, 2])).numpy()  # only item 1 was ever clicked
    array([1, 1, 1], dtype=int32)
    """

    def __init__(self, counts: np.ndarray, sample_alpha: float) -> None:
        """Builds the alias table.

        Args:
          counts: `[n_items]`, events of each item in the training log; items with 0 are never drawn.
          sample_alpha: 0 draws uniformly, 1 by popularity; at least 0.

        Raises:
          ValueError: see `sampling_weights`.
        """
        keep, alias = alias_table(sampling_weights(counts, sample_alpha))
        self.n_items = int(keep.size)
        # A certain keep would need the threshold 2**31, one above int32; such a column is its own alias.
        threshold = np.minimum(np.round(keep * 2.0**32) - 2.0**31, 2.0**31 - 1)
        self._table = tf.constant(np.stack([threshold.astype(np.int32), alias], axis=1))

    def sample(self, n_sample: int, seed: tf.Tensor) -> tf.Tensor:
        """Draws item rows int32 `[n_sample]` with replacement; the same seed, integers `[2]`, gives the same draw."""
        words = random_words((2, n_sample), seed)
        # A word, brought to 0 … 2**32 - 1, times n_items / 2**32, rounded down: a column.
        position = tf.cast(words[0], tf.int64) + 2**31
        columns = tf.cast(tf.bitwise.right_shift(position * self.n_items, 32), tf.int32)
        chosen = tf.gather(self._table, columns)
        return tf.where(words[1] < chosen[:, 0], columns, chosen[:, 1])
