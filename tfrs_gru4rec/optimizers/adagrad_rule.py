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

    def totals(self) -> tf.Tensor:
        """Returns the values; for a row that occurs several times the sum of its gradients, at each of its places."""
        if self.places is None:
            return self.values
        sums = tf.math.unsorted_segment_sum(self.values, self.places, tf.shape(self.values)[0])
        return tf.gather(sums, self.places)


def updated(gradient: tf.Tensor, before: Weights, learning_rate: tf.Tensor, momentum: float) -> Weights:
    """a ← a + g²;  m ← μ m − η g / sqrt(a);  w ← w + m (see `AdagradMomentum`).

    Args:
      gradient: g, of the weights' shape.
      before: the weights and slots w, a, m before the step.
      learning_rate: scalar η.
      momentum: μ.

    Returns:
      The weights and slots after it.
    """
    accumulator = before.accumulator + gradient * gradient
    change = -tf.cast(learning_rate, gradient.dtype) * gradient * tf.math.rsqrt(accumulator)
    if before.velocity is None:
        return Weights(before.value + change, accumulator, None)
    change += momentum * before.velocity
    return Weights(before.value + change, accumulator, change)


def all_updated(
    gradients: Sequence[Gradient], weights: Sequence[Weights], learning_rate: tf.Tensor, momentum: float
) -> list[Weights]:
    """Updates several variables, or the rows that were gathered from them; arguments as for `updated`."""
    return [
        updated(gradient.totals(), before, learning_rate, momentum)
        for gradient, before in zip(gradients, weights, strict=True)
    ]


all_updated_compiled = tf.function(all_updated, jit_compile=True)
