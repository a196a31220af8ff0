"""How the gradients of one training step reach the weights: the protocol, and the way of any Keras optimizer.

Of a table of items a step touches only some rows, and its gradient is `tf.IndexedSlices`: the values, and the rows that
they belong to, a row perhaps several times; or `SummedRows`, in which those of a row are summed already. Who updates
such a table is asked of the optimizer (`row_updater_of`).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf
from absl import logging


class SummedRows(NamedTuple):
    """The gradient of rows that a step has read, by an updater that numbers them, see `RowUpdater.places`.

    That of a row which was read several times stands at the row's place, and zero at the other times.
    """

    values: tf.Tensor  # [n, ...]
    rows: tf.Tensor  # int32 [n]
    places: tf.Tensor  # int32 [n]


Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices | SummedRows


class RowUpdater(Protocol):
    """Applies the gradients of one step."""

    is_compiled: bool  # whether it runs inside an XLA program, and only there

    def build(self, variables: list[tf.Variable]) -> None:
        """Makes what is kept for each variable from step to step, the optimizer's slots included.

        Made before a step is traced: a variable that is made while a `tf.function` is traced has it traced twice.
        """

    @property
    def has_places(self) -> bool:
        """Whether it numbers rows, by `places`, and takes `SummedRows`."""

    def places(self, table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
        """Numbers the rows that a step reads of a table, int32 [n] → int32 [n], so that equal rows have one number.

        The number of a row is a place in `rows` where the row stands.
        """

    def update(
        self, gradients: Sequence[Gradient | None], variables: Sequence[tf.Variable], is_applied: tf.Tensor
    ) -> None:
        """Updates the variables by one step.

        Args:
          gradients: of each variable; None for one that the loss does not depend on, which stays as it is.
          variables: of those that it has been built for.
          is_applied: bool scalar; False changes nothing, the optimizer's slots and its count of steps included.
        """


class KerasRows:
    """Leaves it to the optimizer's own `apply_gradients`, outside XLA: Keras sums equal rows with `tf.unique`."""

    is_compiled = False
    has_places = False

    def __init__(self, optimizer: keras.optimizers.Optimizer, obstacle: str = "") -> None:
        """Says once that training is slower than it could be, and why: the obstacle, "" if nothing is to be said."""
        self._optimizer = optimizer
        if obstacle:
            logging.warning(
                "Keras updates the weights outside the compiled program, which is slower: %s.", obstacle
            )

    def build(self, variables: list[tf.Variable]) -> None:
        """Makes the optimizer's slots, see `RowUpdater`."""
        self._optimizer.build(variables)

    def places(self, table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
        """Has none, see `has_places`."""
        raise NotImplementedError

    def update(
        self, gradients: Sequence[Gradient | None], variables: Sequence[tf.Variable], is_applied: tf.Tensor
    ) -> None:
        """Updates the variables by one step, see `RowUpdater`."""
        pairs = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
        tf.cond(is_applied, lambda: tf.group(self._optimizer.apply_gradients(pairs)), tf.no_op)


def row_updater_of(optimizer: keras.optimizers.Optimizer, is_compiled: bool) -> RowUpdater:
    """Asks an optimizer how its updates are made.

    An optimizer that can update rows inside an XLA program has a method `row_updater()` that returns a `RowUpdater`;
    `AdagradMomentum` does. Every other one is Keras' business, and so are all if the training step is not compiled.
    """
    if not is_compiled:
        return KerasRows(optimizer)
    if hasattr(optimizer, "row_updater"):
        updater: RowUpdater = optimizer.row_updater()
        return updater
    return KerasRows(optimizer, f"{optimizer.name} has no row_updater")
