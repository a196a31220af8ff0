"""The arithmetic of Adagrad with momentum: pure functions of tensors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf


class WithSlots(NamedTuple):
    """A weight and its slots: as variables, as tensors, or as rows of them."""

    value: tf.Tensor | tf.Variable  # the weight w, of any shape
    accumulator: tf.Tensor | tf.Variable  # of the same shape, the sum a of the squared gradients
    velocity: tf.Tensor | tf.Variable | None  # of the same shape, the momentum m; None without momentum

    def map(self, read: Callable[[Any], Any]) -> "WithSlots":
        """Returns what a function makes of the weight and of each slot that there is."""
        return WithSlots(*[None if part is None else read(part) for part in self])


def adagrad_rule(
    gradient: tf.Tensor, before: WithSlots, learning_rate: tf.Tensor | float, momentum: float
) -> WithSlots:
    """Computes a ← a + g²,  m ← μ m − η g / sqrt(a),  w ← w + m (Duchi et al. 2011, with classical momentum).

    >>> before = WithSlots(tf.constant(1.0), tf.constant(0.0), tf.constant(0.5))
    >>> after = adagrad_rule(tf.constant(4.0), before, learning_rate=0.1, momentum=0.2)
    >>> [round(float(part), 4) for part in after]  # m = 0.2 * 0.5 - 0.1 * 4 / sqrt(16) = 0
    [1.0, 16.0, 0.0]

    Args:
      gradient: g, of the weights' shape.
      before: w, a and m before the step; what is returned is after it.
      learning_rate: scalar η.
      momentum: μ.
    """
    accumulator = before.accumulator + gradient * gradient
    change = -tf.cast(learning_rate, gradient.dtype) * gradient * tf.math.rsqrt(accumulator)
    if before.velocity is None:
        return WithSlots(before.value + change, accumulator, None)
    change += momentum * before.velocity
    return WithSlots(before.value + change, accumulator, change)
