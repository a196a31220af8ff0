"""Memory and a lock that live inside a loaded SavedModel and weigh nothing in its files.

A `tf.Variable` is written into every export, zeros and all. These are resources instead: a graph that makes
them and a graph that fills them with zeros, run by whoever loads the model.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class _Unsaved(tf.saved_model.experimental.TrackableResource):
    """A resource that whoever loads the model makes by `_create_resource`, which a subclass has."""

    def __init__(self, name: str) -> None:
        """Creates the handle alone; loaders call `_initialize`. The name is for messages."""
        super().__init__()
        # Resources of one name are one resource, within a process that has several models.
        self._name = f"{name}_{uuid.uuid4().hex}"
        # Made while a function is traced, the handle would belong to that function's graph.
        with tf.init_scope():
            self.resource_handle  # noqa: B018 - a property that makes it

    def _destroy_resource(self) -> None:
        tf.raw_ops.DestroyResourceOp(resource=self.resource_handle)


class ZeroedMemory(_Unsaved):
    """An array of zeros at load, read and written under a `Lock`."""

    def __init__(self, name: str, shape: Sequence[int], dtype: tf.DType) -> None:
        """Allocates nothing yet: that happens in `_initialize`, which loaders call. The name is for messages."""
        self.shape, self.dtype = tuple(shape), dtype  # of which the handle is made
        super().__init__(name)

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=self.dtype, shape=self.shape, shared_name=self._name)

    def _initialize(self) -> None:
        # Not tf.zeros: TensorFlow would compute it ahead, and keep the result as a constant of the loaded graph.
        zeros = tf.raw_ops.Empty(shape=self.shape, dtype=self.dtype, init=True)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=zeros)

    def read(self) -> tf.Tensor:
        """Returns the whole array."""
        return tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=self.dtype)

    def assign(self, values: tf.Tensor) -> tf.Operation:
        """Replaces the whole array."""
        return tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=values)

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns [n, ...], the rows of indices [n] into the first dimension."""
        return tf.raw_ops.ResourceGather(resource=self.resource_handle, indices=rows, dtype=self.dtype)

    def gather_nd(self, places: tf.Tensor) -> tf.Tensor:
        """Returns [n, ...], the values at places [n, depth], indices into the first `depth` dimensions."""
        return tf.raw_ops.ResourceGatherNd(resource=self.resource_handle, indices=places, dtype=self.dtype)

    def scatter_nd(self, places: tf.Tensor, values: tf.Tensor) -> tf.Operation:
        """Replaces the values at places [n, depth] in one operation; of equal places any one wins. See `gather_nd`."""
        return tf.raw_ops.ResourceScatterNdUpdate(ref=self.resource_handle, indices=places, updates=values)


class Lock(_Unsaved):
    """A lock of the loaded model, exact even when calls are cancelled, as TF Serving does at a deadline.

    `MutexLock`, made for this, is not: cancelled while it waits, it marks the mutex as free though another
    call holds it (TensorFlow 2.20, mutex_ops.cc). So the lock is a gradient accumulator, whose content is a
    token. To take is to wait until there is a token; a call cancelled meanwhile takes none. To give back is
    to add one, which happens at once and cannot be cancelled.

    The rule for what stands between `take` and `give_back`: only plain operations that cannot fail, for those
    run on to the end of a cancelled call. No loop, condition, call or assertion, which would end early and
    keep the lock for good. What is left is memory that cannot be had: so nothing large, and nothing that grows
    with more than the request, is made there, and a server must watch over it (`Versions.watch`).
    """

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.ResourceConditionalAccumulator(dtype=tf.float32, shape=[], shared_name=self._name)

    def _initialize(self) -> None:
        self._add_token()

    def _add_token(self) -> tf.Operation:
        # The accumulator drops gradients of steps gone by; this step never goes by.
        return tf.raw_ops.ResourceAccumulatorApplyGradient(
            handle=self.resource_handle, local_step=tf.int64.max, gradient=tf.constant(0.0)
        )

    def take(self, prepared: Sequence[tf.Tensor]) -> tf.Tensor:
        """Waits for the lock, once `prepared` is there, which could as well be computed before.

        Returns:
          A tensor that is there once the lock is held; reads of what it guards must wait for it.
        """
        with tf.control_dependencies(prepared):
            return tf.raw_ops.ResourceAccumulatorTakeGradient(
                handle=self.resource_handle, num_required=1, dtype=tf.float32
            )

    def give_back(self, results: Any, writes: Sequence[tf.Operation]) -> Any:
        """Gives the lock back, once nested results and writes are through; returns the results, which wait for that."""
        with tf.control_dependencies([*tf.nest.flatten(results), *writes]):
            given_back = self._add_token()
        with tf.control_dependencies([given_back]):
            return tf.nest.map_structure(tf.identity, results)
