"""Gradients and update of a training step as one compiled program, for the optimizer that the papers use."""

from collections.abc import Sequence

import tensorflow as tf

from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.models.session_step import SessionStep, StepMasks
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.optimizers.adagrad_rule import Gradient, Weights, updated


class FusedStep:
    """Reads the rows that a step touches with their slots, computes everything in one program, writes the rows back.

    The same arithmetic as `SessionStep.gradients` and `AdagradMomentum.apply_gradients`, with fewer passes over the
    rows and a third of the operations.
    """

    def __init__(
        self, session_step: SessionStep, optimizer: AdagradMomentum, weights: Sequence[tf.Variable]
    ) -> None:
        """Joins the parts.

        Args:
          session_step: computes the gradients.
          optimizer: built, and plain (`AdagradMomentum.is_plain`).
          weights: the tower's trainable variables.
        """
        self._session_step = session_step
        self._optimizer = optimizer
        self._weights = list(weights)
        self._program = tf.function(self._compute, jit_compile=True)

    def run(
        self,
        touched: Sequence[tuple[tf.Variable, tf.Tensor]],
        masks: StepMasks,
        state: State,
        seed: tf.Tensor,
        counts: tf.Tensor,
    ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """Trains on one step.

        Args:
          touched: tables and the rows of them that the step reads, see `ItemEmbedding.touched`.
          masks: what counts.
          state: of each layer before this event, [lanes, units].
          seed: int64 [2] for dropout.
          counts: bool scalar, False to change no weight.

        Returns:
          Scalar loss, the state after the event, and whether the loss is finite: if it is not, no weight was changed.
        """
        optimizer = self._optimizer
        before = [optimizer.read(table, rows) for table, rows in touched]
        places = [tf.unique(rows).idx for _, rows in touched]
        loss, next_state, is_finite, after = self._program(
            before, places, masks, state, seed, counts, optimizer.learning_rate
        )
        is_applied = counts & is_finite
        for (table, rows), weights in zip(touched, after, strict=True):
            # No row at all is cheaper than rows of old values.
            end = tf.where(is_applied, rows.shape[0], 0)
            optimizer.write(
                table, rows[:end], Weights(*[part if part is None else part[:end] for part in weights])
            )
        optimizer.iterations.assign_add(tf.cast(is_applied, tf.int64))
        return loss, next_state, is_finite

    def _compute(
        self,
        before: list[Weights],
        places: list[tf.Tensor],
        masks: StepMasks,
        state: State,
        seed: tf.Tensor,
        counts: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, State, tf.Tensor, list[Weights]]:
        optimizer = self._optimizer
        loss, next_state, by = self._session_step.gradients(
            [weights.value for weights in before], masks, state, seed
        )
        is_finite = tf.math.is_finite(loss)
        dense = [optimizer.read(weight) for weight in self._weights]
        gradients = [Gradient(values, place) for values, place in zip(by.rows, places, strict=True)]
        gradients += [Gradient(values, None) for values in by.tower]
        after = updated(gradients, before + dense, learning_rate, optimizer.momentum)
        for weight, old, new in zip(self._weights, dense, after[len(before) :], strict=True):
            optimizer.write(weight, None, _choose(counts & is_finite, new, old))
        return loss, next_state, is_finite, after[: len(before)]


def _choose(is_new: tf.Tensor, new: Weights, old: Weights) -> Weights:
    return Weights(*[None if a is None else tf.where(is_new, a, b) for a, b in zip(new, old, strict=True)])
