"""Adagrad with momentum, as the papers' models are trained."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.checks import require_fraction
from tfrs_gru4rec.optimizers.in_place_rows import InPlaceRows
from tfrs_gru4rec.optimizers.row_updates import Gradient, KerasRows, RowUpdater

ACCUMULATOR_START = 1e-6


class WithSlots(NamedTuple):
    """A weight and its slots: as variables, as tensors, or as rows of them."""

    value: tf.Tensor | tf.Variable  # the weight w, of any shape
    accumulator: tf.Tensor | tf.Variable  # of the same shape, the sum a of the squared gradients
    velocity: tf.Tensor | tf.Variable | None  # of the same shape, the momentum m; None without momentum

    def map(self, read: Callable[[Any], Any]) -> "WithSlots":
        """Returns what a function makes of the weight and of each slot that there is."""
        return WithSlots(*[None if part is None else read(part) for part in self])


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class AdagradMomentum(keras.optimizers.Optimizer):
    """Adagrad (Duchi et al. 2011) with optional classical momentum, for any Keras model.

    For a gradient g, accumulator a, momentum μ and learning rate η:

        a ← a + g²
        m ← μ m − η g / sqrt(a)
        w ← w + m

    a starts at 1e-6, which equals a ← Σ g² under sqrt(a + 1e-6). (Keras' Adagrad starts it at 0.1 by default and puts
    epsilon outside the root: a known cause of failed reproductions.)

    A sparse gradient (`tf.IndexedSlices`, from an embedding look-up) changes only the rows that it names, momentum
    included; the gradients of a row that occurs several times are summed first.

    >>> weight = tf.Variable([1.0, 2.0])
    >>> optimizer = AdagradMomentum(learning_rate=0.1)
    >>> _ = optimizer.apply_gradients([(tf.constant([3.0, 0.0]), weight)])  # the first step is η long, whatever g is
    >>> weight.numpy().round(4)
    array([0.9, 2. ], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float = 0.05,
        momentum: float = 0.0,
        weight_decay: float | None = None,
        name: str = "AdagradMomentum",
        **kwargs: Any,
    ) -> None:
        """Creates the optimizer.

        Args:
          learning_rate: η, a float or a Keras schedule.
          momentum: μ in [0, 1); 0 keeps no momentum slot.
          weight_decay: as for any Keras optimizer; it touches all rows of a table at every step.
          name: of the optimizer.
          **kwargs: what any Keras optimizer takes, such as `global_clipnorm`.

        Raises:
          ValueError: momentum is out of range.
        """
        require_fraction(momentum=momentum)
        # Keras would compile each update by itself, and sparse ones anew for every number of different rows.
        kwargs.setdefault("jit_compile", False)
        # Keras' own default of the weight decay is 0, with which it would rewrite every table whole at every step.
        super().__init__(name=name, weight_decay=weight_decay or None, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum = momentum

    def build(self, var_list: list[tf.Variable]) -> None:
        """Creates an accumulator, and with momentum a velocity, for every variable."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._accumulators = [
            self.add_variable_from_reference(
                variable, "accumulator", initial_value=tf.fill(variable.shape, ACCUMULATOR_START)
            )
            for variable in var_list
        ]
        self._velocities = [
            self.add_variable_from_reference(variable, "velocity") for variable in var_list if self.momentum
        ]

    def update_step(self, gradient: Gradient, variable: tf.Variable) -> None:
        """Applies one gradient to one variable; Keras has summed the gradients of a sparse one's rows."""
        if isinstance(gradient, tf.IndexedSlices):
            self.update_rows(variable, gradient.indices, gradient.indices, gradient.values)
        else:
            self.update_whole(variable, gradient)

    def update_rows(
        self, table: tf.Variable, rows: tf.Tensor, written: tf.Tensor, gradient: tf.Tensor
    ) -> None:
        """Updates rows [n] of a table and of its slots by gradients [n, ...], and writes them to the rows `written`."""
        parts = self.with_slots(table)
        after = self.rule(gradient, parts.map(lambda part: tf.gather(part, rows)))
        for part, values in zip(parts, after, strict=True):
            if part is not None:
                part.scatter_update(tf.IndexedSlices(values, written))

    def update_whole(
        self, variable: tf.Variable, gradient: tf.Tensor, is_applied: tf.Tensor | bool = True
    ) -> None:
        """Updates a weight and its slots by a gradient of its shape, if `is_applied`."""
        parts = self.with_slots(variable)
        before = parts.map(lambda part: part.read_value())
        for part, old, new in zip(parts, before, self.rule(gradient, before), strict=True):
            if part is not None:
                part.assign(new if is_applied is True else tf.where(is_applied, new, old))

    def rule(self, gradient: tf.Tensor, before: WithSlots) -> WithSlots:
        """Returns a weight and its slots after a gradient of its shape, by the equations of the class."""
        accumulator = before.accumulator + gradient * gradient
        change = -tf.cast(self.learning_rate, gradient.dtype) * gradient * tf.math.rsqrt(accumulator)
        if before.velocity is None:
            return WithSlots(before.value + change, accumulator, None)
        change += self.momentum * before.velocity
        return WithSlots(before.value + change, accumulator, change)

    def with_slots(self, variable: tf.Variable) -> WithSlots:
        """Returns a variable beside its slots, which `build` has made."""
        index = self._index_dict[self._var_key(variable)]
        velocity = self._velocities[index] if self.momentum else None
        return WithSlots(variable, self._accumulators[index], velocity)

    def prepare_step(self, gradients: list[Gradient]) -> list[Gradient]:
        """Returns the gradients clipped, as Keras clips them, and moves a learning rate schedule on."""
        self._compute_current_learning_rate()
        clipped: list[Gradient] = self._clip_gradients(gradients)
        return clipped

    def row_updater(self) -> RowUpdater:
        """Returns what updates a model's tables; see `row_updates.row_updater_of`."""
        obstacle = self._obstacle_to_in_place_updates()
        return KerasRows(self, obstacle) if obstacle else InPlaceRows(self)

    def _obstacle_to_in_place_updates(self) -> str:
        """Names the setting for which only Keras has the code, "" if there is none."""
        if type(self).update_step is not AdagradMomentum.update_step:
            return f"{type(self).__name__} has an update_step of its own"
        settings = {"weight_decay": self.weight_decay, "use_ema": self.use_ema}
        return ", ".join(f"{name}={value}" for name, value in settings.items() if value)

    def get_config(self) -> dict[str, Any]:
        """Returns the settings from which `from_config` rebuilds the optimizer."""
        config: dict[str, Any] = super().get_config()
        config.update(
            learning_rate=self._serialize_hyperparameter(self._learning_rate), momentum=self.momentum
        )
        return config
