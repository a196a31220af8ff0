"""The arithmetic of Adagrad with momentum: pure, and what XLA compiles."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class Weights(NamedTuple):
    """A variable and its slots, or the rows of them that a sparse gradient names.

    Attributes:
      value: of any shape.
      accumulator: of the same shape, Σ g².
      velocity: of the same shape, or None without momentum.
    """

    value: tf.Tensor
    accumulator: tf.Tensor
    velocity: tf.Tensor | None


class Gradient(NamedTuple):
    """A gradient by `Weights`.

    Attributes:
      values: of the weights' shape.
      places: int32 [n_rows], equal where two rows are the same row of a table, each below n_rows; None if dense.
    """

    values: tf.Tensor
    places: tf.Tensor | None


def updated(
    gradients: Sequence[Gradient], weights: Sequence[Weights], learning_rate: tf.Tensor, momentum: float
) -> list[Weights]:
    """Updates several variables, or the rows that were gathered from them.

    Args:
      gradients: one for each of `weights`.
      weights: before the step.
      learning_rate: scalar η.
      momentum: μ.

    Returns:
      The weights after it. A row that occurs several times gets the sum of its gradients, at each of its places.
    """
    return [
        _updated(_totals(gradient), before, learning_rate, momentum)
        for gradient, before in zip(gradients, weights, strict=True)
    ]


updated_compiled = tf.function(updated, jit_compile=True)


def _totals(gradient: Gradient) -> tf.Tensor:
    if gradient.places is None:
        return gradient.values
    n_rows = tf.shape(gradient.values)[0]
    sums = tf.math.unsorted_segment_sum(gradient.values, gradient.places, n_rows)
    return tf.gather(sums, gradient.places)


def _updated(gradient: tf.Tensor, before: Weights, learning_rate: tf.Tensor, momentum: float) -> Weights:
    """a ← a + g²;  m ← μ m − η g / sqrt(a);  w ← w + m (see `AdagradMomentum`)."""
    accumulator = before.accumulator + gradient * gradient
    change = -tf.cast(learning_rate, gradient.dtype) * gradient * tf.math.rsqrt(accumulator)
    if before.velocity is None:
        return Weights(before.value + change, accumulator, None)
    change += momentum * before.velocity
    return Weights(before.value + change, accumulator, change)
