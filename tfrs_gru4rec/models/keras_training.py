"""Training and validation by Keras: what its `compile`, `fit` and `evaluate` need to know of the model."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tfrs_gru4rec._keras import keras, require_keras_2  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.models.keras_file import require_keras_file
from tfrs_gru4rec.models.lanes import LaneVariables
from tfrs_gru4rec.models.replicated_steps import ReplicatedSteps
from tfrs_gru4rec.models.training_steps import TrainedInSteps
from tfrs_gru4rec.optimizers.row_updates import row_updater_of
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch


class TrainedByKeras(TrainedInSteps):
    """The part of `GRU4Rec` that Keras calls before and around the steps."""

    _validation: SimpleNamespace
    wants_jit_compile: bool  # what `compile` was asked for
    _initial_step = 0

    def compile(self, optimizer: Any = "adagrad", jit_compile: bool = True, **kwargs: Any) -> None:
        """Prepares training.

        Args:
          optimizer: a Keras optimizer; the papers train with `AdagradMomentum`.
          jit_compile: compile a block of training steps with XLA. With an optimizer that cannot update rows inside an
            XLA program (see `row_updater_of`), the loss and the gradients of a step are compiled alone.
          **kwargs: as for any Keras model.

        Raises:
          ValueError: an object of Keras 3 is given, or the model is in the scope of a strategy of several replicas and
            the optimizer cannot update rows inside an XLA program or was made outside of the scope.
        """
        require_keras_2("compile", optimizer, *tf.nest.flatten(list(kwargs.values())))
        self.wants_jit_compile = jit_compile
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        is_compiled = jit_compile and not (self.run_eagerly or tf.config.functions_run_eagerly())
        self._updater = row_updater_of(self.optimizer, is_compiled)
        # Slots exist from now on, so that a checkpoint can be restored before the first step.
        self._updater.build(self.trainable_variables)
        self.jit_compile = self._updater.is_compiled
        self._loss_and_gradients = self._differentiate
        if is_compiled and not self._updater.is_compiled:
            self._loss_and_gradients = tf.function(self._differentiate, jit_compile=True)
        self._train_block: Callable[[SessionBatch], None] = self._train_one_by_one
        if self._replicas.count > 1:
            self.distribute_reduction_method = "first"  # all replicas report the same
            self.jit_compile = False  # but for what lies between two exchanges
            self._train_block = ReplicatedSteps(self).train

    def fit(
        self, x: tf.data.Dataset, *args: Any, initial_step: int = 0, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains on blocks of `session_parallel`; as `fit` of any Keras model, which counts a block as one batch.

        In the scope of a `tf.distribute` strategy all its replicas train, each its share of the lanes; give the same
        data, of all lanes, to each worker. A block is then what is exchanged at once: with `block_steps=1` the
        gradients of every step, which equals one process, with more the changes of so many steps.

        `initial_step` counts the blocks of the first epoch that a resumed run has done already; the data must begin
        there too.

        Raises:
          ValueError: the data are not blocks of steps, or a callback is of Keras 3 or would save to another format
            than `save` knows.
        """
        self._require_one_replica(kwargs.get("validation_data") is not None)
        callbacks = kwargs.get("callbacks") or []
        callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        require_keras_2("fit", *callbacks)
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_weights_only:
                require_keras_file(callback.filepath)
        _prepare(self.lanes, x, "fit")
        self._initial_step = initial_step
        if self._replicas.count > 1:
            kwargs["steps_per_epoch"] = kwargs.get("steps_per_epoch") or int(x.cardinality())
            x = self._replicas.same_blocks(x.repeat())
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x: tf.data.Dataset, *args: Any, **kwargs: Any) -> Any:
        """Validates; as `evaluate` of any Keras model, on blocks of `session_parallel`.

        Raises:
          ValueError: the data are not blocks of steps, or the model has several replicas.
        """
        self._require_one_replica(True)
        _prepare(self._validation.lanes, x, "evaluate")
        return super().evaluate(x, *args, **kwargs)

    def _require_one_replica(self, is_validation: bool) -> None:
        rule = "Several replicas do not validate: call tfrs_gru4rec.evaluate on one worker."
        require(not is_validation or self._replicas.count == 1, rule, replicas=self._replicas.count)

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """Returns the function of one block that `fit` calls, as for any Keras model."""
        function: Callable[..., Any] = super().make_train_function(force)
        if tf.config.functions_run_eagerly():
            self.train_tf_function = None  # it has no graph, for which TensorBoard would ask it in vain
        return function

    def _maybe_load_initial_counters_from_ckpt(
        self, steps_per_epoch: int, initial_epoch: int
    ) -> tuple[int, int]:
        # Keras asks here, when it starts to fit, at which epoch and step to begin.
        if getattr(self, "_training_state", None) is not None:  # of the callback BackupAndRestore
            found: tuple[int, int] = super()._maybe_load_initial_counters_from_ckpt(
                steps_per_epoch, initial_epoch
            )
            return found
        return initial_epoch, self._initial_step


def _prepare(lanes: LaneVariables, data: Any, caller: str) -> None:
    """Makes the lanes' variables before the step is traced; made within it, they would have it traced twice."""
    if isinstance(data, tf.data.Dataset):
        spec = data.element_spec
        is_block = isinstance(spec, SessionBatch) and spec.is_live.shape.rank == 2
        rule = f"{caller} takes blocks of steps, as session_parallel gives them."
        require(is_block, rule, element_spec=spec)
        lanes.build(spec.is_live.shape[1])
