"""Adagrad with momentum, as the papers' models are trained."""

from typing import Any

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.checks import require_fraction
from tfrs_gru4rec.optimizers.adagrad_rule import Gradient, Weights, all_updated, all_updated_compiled

ACCUMULATOR_START = 1e-6


class AdagradMomentum(keras.optimizers.Optimizer):
    """Adagrad (Duchi et al. 2011) with optional classical momentum.

    For a gradient g, accumulator a, momentum μ and learning rate η:

        a ← a + g²
        m ← μ m − η g / sqrt(a)
        w ← w + m

    a starts at 1e-6, which equals a ← Σ g² under sqrt(a + 1e-6). (Keras' Adagrad starts it at 0.1 by default and puts
    epsilon outside the root: a known cause of failed reproductions.)

    A sparse gradient (`tf.IndexedSlices`, from an embedding look-up) changes only the rows that it names, momentum
    included; the gradients of a row that occurs several times are summed first.
    """

    def __init__(
        self,
        learning_rate: float = 0.05,
        momentum: float = 0.0,
        weight_decay: float | None = None,
        jit_compile: bool = True,
        name: str = "AdagradMomentum",
        **kwargs: Any,
    ) -> None:
        """Creates the optimizer.

        Args:
          learning_rate: η, a float or a Keras schedule.
          momentum: μ in [0, 1); 0 keeps no momentum slot.
          weight_decay: as for any Keras optimizer; it touches all rows of a table at every step.
          jit_compile: compile the arithmetic with XLA, in graphs and where all gradients' shapes are known. (A
            `GRU4Rec` that compiles its whole step, see its `compile`, compiles this too.)
          name: of the optimizer.
          **kwargs: what any Keras optimizer takes, such as `global_clipnorm`.

        Raises:
          ValueError: momentum is out of range.
        """
        require_fraction(momentum=momentum)
        # Keras' own default is 0, with which it would rewrite every table whole at every step.
        super().__init__(name=name, weight_decay=weight_decay or None, jit_compile=False, **kwargs)
        self._compile_rule = jit_compile
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

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Applies one gradient to one variable."""
        self._update([(gradient, variable)])

    def _deduplicate_sparse_grad(self, grads: list[Any]) -> list[Any]:
        # Rows that occur several times are summed in the rule, where XLA does it in half the time.
        return list(grads)

    def _distributed_apply_gradients_fn(
        self,
        distribution: tf.distribute.Strategy,
        grads_and_vars: list[tuple[Any, tf.Variable]],
        **kwargs: Any,
    ) -> tf.Tensor:
        # Keras goes variable by variable; all in one is one compiled call.
        is_own = type(self).update_step is AdagradMomentum.update_step
        if self.use_ema or tf.distribute.has_strategy() or not is_own:
            return super()._distributed_apply_gradients_fn(distribution, grads_and_vars, **kwargs)
        self._update(grads_and_vars)
        return self.iterations.assign_add(1)

    def _update(self, grads_and_vars: list[tuple[Any, tf.Variable]]) -> None:
        gradients = [_gradient(gradient) for gradient, _ in grads_and_vars]
        rows = [_rows(gradient) for gradient, _ in grads_and_vars]
        variables = [variable for _, variable in grads_and_vars]
        before = [self.read(variable, at) for variable, at in zip(variables, rows, strict=True)]
        # Eagerly every new number of rows would be compiled anew.
        is_static = all(gradient.values.shape.is_fully_defined() for gradient in gradients)
        is_compiled = self._compile_rule and is_static and not tf.executing_eagerly()
        rule = all_updated_compiled if is_compiled else all_updated
        after = rule(gradients, before, self.learning_rate, self.momentum)
        for variable, at, weights in zip(variables, rows, after, strict=True):
            self.write(variable, at, weights)

    @property
    def is_plain(self) -> bool:
        """Whether a step is the rule alone: no clipping, weight decay, moving average or schedule."""
        extras = (self.clipnorm, self.global_clipnorm, self.clipvalue, self.weight_decay, self.use_ema)
        return not any(extras) and isinstance(self._learning_rate, tf.Variable)

    def read(self, variable: tf.Variable, rows: tf.Tensor | None = None) -> Weights:
        """Reads a variable and its slots, or rows of them."""
        parts = self._parts(variable)
        if rows is None:
            return Weights(*[None if part is None else part.read_value() for part in parts])
        return Weights(*[None if part is None else tf.gather(part, rows) for part in parts])

    def write(self, variable: tf.Variable, rows: tf.Tensor | None, weights: Weights) -> None:
        """Writes a variable and its slots, or rows of them; rows that occur several times must hold the same values."""
        for part, values in zip(self._parts(variable), weights, strict=True):
            if part is None:
                continue
            if rows is None:
                part.assign(values)
            else:
                part.scatter_update(tf.IndexedSlices(values, rows))

    def _parts(self, variable: tf.Variable) -> tuple[tf.Variable, tf.Variable, tf.Variable | None]:
        index = self._index_dict[self._var_key(variable)]
        return variable, self._accumulators[index], self._velocities[index] if self.momentum else None

    def get_config(self) -> dict[str, Any]:
        """Returns the settings from which `from_config` rebuilds the optimizer."""
        config: dict[str, Any] = super().get_config()
        config.update(
            learning_rate=self._serialize_hyperparameter(self._learning_rate),
            momentum=self.momentum,
            jit_compile=self._compile_rule,
        )
        return config


def _rows(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | None:
    return tf.convert_to_tensor(gradient.indices) if isinstance(gradient, tf.IndexedSlices) else None


def _gradient(gradient: tf.Tensor | tf.IndexedSlices) -> Gradient:
    if not isinstance(gradient, tf.IndexedSlices):
        return Gradient(tf.convert_to_tensor(gradient), None)
    return Gradient(tf.convert_to_tensor(gradient.values), tf.unique(gradient.indices).idx)
