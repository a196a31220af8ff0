"""A training step as one piece that XLA can compile, tables included, for the optimizer that the papers use."""

from collections.abc import Sequence

import tensorflow as tf

from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.models.session_step import SessionStep, StepMasks
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.optimizers.adagrad_rule import Gradient, Weights, updated


class FusedStep:
    """Reads the rows that a step touches with their slots, computes everything, and writes the rows back.

    The same arithmetic as `SessionStep.gradients` and `AdagradMomentum.apply_gradients`, all of static shapes. Within
    XLA the tables are updated in place.
    """

    def __init__(
        self,
        session_step: SessionStep,
        optimizer: AdagradMomentum,
        weights: Sequence[tf.Variable],
        n_items: int,
    ) -> None:
        """Joins the parts.

        Args:
          session_step: computes the gradients.
          optimizer: built, and plain (`AdagradMomentum.is_plain`).
          weights: the tower's trainable variables.
          n_items: rows of every table.
        """
        self._session_step = session_step
        self._optimizer = optimizer
        self._weights = list(weights)
        # What it holds between two uses means nothing.
        self._last_place = tf.Variable(tf.zeros([n_items], tf.int32), trainable=False, name="last_place")

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
        variables = [*touched, *[(weight, None) for weight in self._weights]]
        before = [optimizer.read(variable, rows) for variable, rows in variables]
        loss, next_state, by = self._session_step.gradients(
            [weights.value for weights in before[: len(touched)]], masks, state, seed
        )
        gradients = [
            Gradient(values, self._places(rows)) for values, (_, rows) in zip(by.rows, touched, strict=True)
        ]
        gradients += [Gradient(values, None) for values in by.tower]
        after = updated(gradients, before, optimizer.learning_rate, optimizer.momentum)
        is_finite = tf.math.is_finite(loss)
        is_applied = counts & is_finite
        for (variable, rows), old, new in zip(variables, before, after, strict=True):
            optimizer.write(variable, rows, _choose(is_applied, new, old))
        optimizer.iterations.assign_add(tf.cast(is_applied, tf.int64))
        return loss, next_state, is_finite

    def _places(self, rows: tf.Tensor) -> tf.Tensor:
        """Gives equal rows an equal place, one of theirs: rows [n_rows] → int32 [n_rows], each below n_rows.

        Every row notes its places in a table of all items and keeps one of them; `tf.unique` has no static shape.
        """
        self._last_place.scatter_update(tf.IndexedSlices(tf.range(tf.shape(rows)[0]), rows))
        return tf.gather(self._last_place, rows)


def _choose(is_new: tf.Tensor, new: Weights, old: Weights) -> Weights:
    return Weights(*[None if a is None else tf.where(is_new, a, b) for a, b in zip(new, old, strict=True)])
