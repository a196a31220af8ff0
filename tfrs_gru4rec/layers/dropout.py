"""Dropout from a stateless random stream, so that a resumed run draws what an uninterrupted one would."""

import tensorflow as tf

from tfrs_gru4rec.random_words import random_words, words_below


def dropout(values: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
    """Zeroes each value with probability `rate` and divides the kept ones by 1 - rate; shape and type stay.

    Args:
      values: float tensor of any shape.
      rate: the share that is DROPPED, in [0, 1).
      seed: integer tensor [2], or None at inference: nothing is dropped.

    >>> kept = dropout(tf.ones([1000]), 0.5, tf.constant([1, 2]))
    >>> sorted(set(kept.numpy().tolist()))
    [0.0, 2.0]
    """
    if seed is None or rate == 0.0:
        return values
    kept = random_words(tf.shape(values), seed) >= words_below(rate)
    return tf.where(kept, values / (1.0 - rate), 0.0)
