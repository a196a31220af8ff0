"""The steps of a graph call as one loop, which XLA can compile whole."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

Logs = dict[str, tf.Tensor]


def in_blocks(
    data: tf.data.Dataset, size: int, steps_per_epoch: int | None
) -> tuple[tf.data.Dataset, int | None]:
    """Puts steps into blocks of which none reaches over the end of an epoch.

    Handing over a step costs as much as a tenth of its arithmetic, a block of steps no more than one step.

    Args:
      data: steps.
      size: the most steps in a block.
      steps_per_epoch: as for `fit` of any Keras model: None takes an epoch to be all of `data`.

    Returns:
      Blocks, and the steps in an epoch, None if unknown.
    """
    n_steps = int(data.cardinality())
    if steps_per_epoch not in (None, n_steps):
        return data.batch(math.gcd(steps_per_epoch, size)), steps_per_epoch
    return (data.batch(size).repeat(), n_steps) if n_steps > 0 else (data.batch(size), None)


def step_loop(
    model: keras.Model, train_step: Callable[[Any], Any], size: int, compiled: bool
) -> Callable[[Iterator], Logs]:
    """Makes what `keras.Model.make_train_function` makes, for blocks of steps.

    Args:
      model: of which Keras asks.
      train_step: trains it on one step.
      size: the most steps in a block.
      compiled: whether XLA compiles the loop. It then updates tables in place, and single operations cost no call;
        `train_step` must be of static shapes.

    Returns:
      A function from an iterator to the model's metrics. The iterator gives blocks, each field [steps, …], or single
      steps.
    """

    @tf.function(jit_compile=compiled or None)
    def train(block: Any, n_steps: tf.Tensor) -> Logs:
        for step in tf.range(n_steps):
            train_step(_at(block, step))
        return model.get_metrics_result()

    @tf.function(reduce_retracing=True)
    def train_on_next(iterator: Iterator) -> Logs:
        done, logs = tf.constant(0), model.get_metrics_result()
        while done < tf.cast(model._steps_per_execution, done.dtype):
            block, n_steps = _padded(iterator.get_next(), size)
            logs = train(block, n_steps)
            model._train_counter.assign_add(tf.cast(n_steps, tf.int64))
            done += n_steps
        return logs

    return train_on_next


def _at(block: Any, step: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda values: values[step], block)


def _padded(element: Any, size: int) -> tuple[Any, tf.Tensor]:
    """Fills a block up with zeros, for the sake of a static shape; returns it with the number of its steps."""
    if element.is_live.shape.rank == 1:
        element = tf.nest.map_structure(lambda values: values[tf.newaxis], element)
    n_steps = tf.shape(element.is_live)[0]

    def pad(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, [[0, size - n_steps], [0, 0]])
        padded.set_shape([size, values.shape[1]])
        return padded

    return tf.nest.map_structure(pad, element), n_steps
