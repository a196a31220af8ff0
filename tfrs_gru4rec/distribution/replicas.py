"""The replicas of a model under a `tf.distribute` strategy: whose lanes are whose, and what they tell each other.

A replica is a device with weights of its own. All replicas hold the same bits whenever a block of steps ends, because
each computes the same from the same numbers: those it had, and those that all have told. Nothing else keeps variables
equal: they are written by each replica alone, as `tf.distribute` has it for variables without an aggregation.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.optimizers.row_updates import Gradient
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch


class Replicas:
    """Those of the strategy in whose scope this is made; one without a strategy.

    Replica r of R trains lanes r·n to (r + 1)·n of n·R. What speaks with others must stand outside loops and conditions
    of the graph and outside XLA programs.

    >>> Replicas().count
    1
    """

    def __init__(self) -> None:
        """Notes the strategy."""
        self.strategy = tf.distribute.get_strategy()
        self.count = int(self.strategy.num_replicas_in_sync)
        self._block_shape: tf.TensorShape | None = None

    @property
    def number(self) -> int:
        """Which of the replicas computes here; 0 outside of a training step."""
        context = tf.distribute.get_replica_context()
        return 0 if context is None else int(tf.get_static_value(context.replica_id_in_sync_group))

    def own_first(self, values: tf.Tensor, axis: int = 0) -> tf.Tensor:
        """Rolls the lanes, the axis of the values, so that those of this replica come first."""
        return tf.roll(values, -self._first(values.shape[axis]), axis) if self.count > 1 else values

    def own_last(self, values: tf.Tensor) -> tf.Tensor:
        """Undoes `own_first`."""
        return tf.roll(values, self._first(values.shape[0]), 0) if self.count > 1 else values

    def own(self, step: SessionBatch) -> SessionBatch:
        """Returns the lanes of this replica, of a step or a block in which they come first."""
        if self.count == 1:
            return step
        return SessionBatch(*[field[..., : field.shape[-1] // self.count] for field in step])

    def same_blocks(self, blocks: tf.data.Dataset) -> tf.distribute.DistributedDataset:
        """Returns a dataset that gives each block to every replica; each worker makes it for its own replicas.

        Raises:
          ValueError: the number of lanes is no multiple of the number of replicas.
        """
        self._block_shape = blocks.element_spec.is_live.shape
        rule = "Lanes are split over replicas: batch_size must be a multiple of their number."
        require(
            self._block_shape[1] % self.count == 0, rule, batch_size=self._block_shape[1], replicas=self.count
        )
        n_here = len(self.strategy.extended.worker_devices)

        def one_for_each(block: SessionBatch) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensors(block).repeat(n_here)

        def blocks_of_worker(_: tf.distribute.InputContext) -> tf.data.Dataset:
            return blocks.flat_map(one_for_each)  # a worker's replicas take elements in turn

        return self.strategy.distribute_datasets_from_function(blocks_of_worker)

    def with_own_first(self, block: SessionBatch) -> SessionBatch:
        """Returns a block, whose shape the strategy has forgotten, with this replica's lanes before the others."""
        return SessionBatch(
            *[self.own_first(tf.ensure_shape(field, self._block_shape), 1) for field in block]
        )

    def _first(self, lanes: int) -> int:
        return self.number * (lanes // self.count)

    def mean(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the mean over the replicas of each of the values, which have the same shapes everywhere."""
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.MEAN, list(values)))

    def gather(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the values of all replicas one after the other; only their first axes may differ in size."""
        context = tf.distribute.get_replica_context()
        return list(context.all_gather(list(values), axis=0))

    def mean_gradients(self, gradients: Sequence[Gradient | None]) -> list[Gradient | None]:
        """Returns the mean gradients: of tables the rows of all replicas, of other weights the mean; None stays."""
        found = list(gradients)
        tables = {n: each for n, each in enumerate(gradients) if isinstance(each, tf.IndexedSlices)}
        others = {n: each for n, each in enumerate(gradients) if n not in tables and each is not None}
        for n, value in zip(others, self.mean(list(others.values())), strict=True):
            found[n] = value
        everyones = iter(
            self.gather([part for each in tables.values() for part in (each.indices, each.values)])
        )
        for n, each in tables.items():
            n_rows, *width = each.values.shape
            n_rows *= self.count  # XLA needs it static
            rows = tf.ensure_shape(next(everyones), [n_rows])
            found[n] = tf.IndexedSlices(tf.ensure_shape(next(everyones), [n_rows, *width]) / self.count, rows)
        return found
