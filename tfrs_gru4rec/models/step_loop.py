"""The steps of a graph call as one XLA program."""

from collections.abc import Callable
from typing import Any

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.pipelines.session_parallel import SessionBatch

Logs = dict[str, tf.Tensor]


def is_block(element_spec: Any) -> bool:
    """Whether a dataset's elements are blocks of steps, each field [steps, lanes]."""
    return isinstance(element_spec, SessionBatch) and element_spec.is_live.shape.rank == 2


def in_blocks(
    data: tf.data.Dataset, size: int, steps_per_epoch: int | None
) -> tuple[tf.data.Dataset, int | None]:
    """Puts steps into blocks of which none reaches over the end of an epoch.

    Handing over a step costs as much as a tenth of its arithmetic, a block of steps no more than one step.

    Args:
      data: steps, from the beginning of an epoch.
      size: the most steps in a block.
      steps_per_epoch: as for `fit` of any Keras model: None takes an epoch to be all of `data`.

    Returns:
      Blocks and the steps in an epoch; the data as they came if that is not known.
    """
    n_steps = int(data.cardinality())
    if steps_per_epoch in (None, n_steps):
        return (data.batch(size).repeat(), n_steps) if n_steps > 0 else (data, steps_per_epoch)

    def block_size(number: tf.Tensor) -> tf.Tensor:
        return tf.minimum(tf.cast(size, tf.int64), steps_per_epoch - number * size)

    blocks = data.enumerate().group_by_window(
        lambda number, _: number % steps_per_epoch // size,
        lambda _, steps: steps.map(lambda _, step: step).batch(size),
        window_size_func=block_size,
    )
    return blocks, steps_per_epoch


def step_loop(
    model: keras.Model, train_step: Callable[[SessionBatch], Any], size: int
) -> Callable[[tf.data.Iterator], Logs]:
    """Makes what `keras.Model.make_train_function` makes, for blocks of steps.

    XLA compiles the loop over the steps: it updates tables in place, and single operations cost no call.

    Args:
      model: of which Keras asks.
      train_step: trains it on one step; of static shapes.
      size: the most steps in a block.

    Returns:
      A function from an iterator over blocks to the model's metrics.
    """

    @tf.function(jit_compile=True)
    def train(block: SessionBatch, n_steps: tf.Tensor) -> Logs:
        for step in tf.range(n_steps):
            train_step(_at(block, step))
        return model.get_metrics_result()

    @tf.function(reduce_retracing=True)
    def train_on_next(iterator: tf.data.Iterator) -> Logs:
        wanted = tf.cast(model._steps_per_execution, tf.int32)
        done, logs = tf.constant(0), model.get_metrics_result()
        while done < wanted:
            block = iterator.get_next()
            n_steps = tf.shape(block.is_live)[0]
            rule = "A block of steps must not reach over the end of a graph call."
            with tf.control_dependencies([tf.debugging.assert_less_equal(n_steps, wanted - done, rule)]):
                logs = train(_padded(block, size), n_steps)
            model._train_counter.assign_add(tf.cast(n_steps, tf.int64))
            done += n_steps
        return logs

    return train_on_next


def _at(block: SessionBatch, step: tf.Tensor) -> SessionBatch:
    return SessionBatch(*[field[step] for field in block])


def _padded(block: SessionBatch, size: int) -> SessionBatch:
    """Fills a block up with zeros, for the sake of a static shape."""

    def pad(field: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(field, [[0, size - tf.shape(field)[0]], [0, 0]])
        padded.set_shape([size, field.shape[1]])
        return padded

    return SessionBatch(*[pad(field) for field in block])
