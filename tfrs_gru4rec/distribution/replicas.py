"""The replicas of a model under a `tf.distribute` strategy: whose lanes are whose, and what they tell each other.

A replica is a device with weights of its own. All replicas hold the same bits whenever a block of steps ends, because
each computes the same from the same numbers: those it had, and those that all have told. Nothing else keeps variables
equal: they are written by each replica alone, as `tf.distribute` has it for variables without an aggregation.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfrs_gru4rec.checks import require
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
        return SessionBatch(*[field[..., : field.shape[-1] // self.count] for field in step])

    def same_blocks(self, blocks: tf.data.Dataset) -> tf.distribute.DistributedDataset:
        """Returns a dataset that gives each block to every replica; each worker makes it for its own replicas.

        Raises:
          ValueError: the number of lanes is no multiple of the number of replicas.
        """
        self._block_shape = blocks.element_spec.is_live.shape
        rule = "Lanes are split over replicas: batch_size must be a multiple of their number."
        require(self._block_shape[1] % self.count == 0, rule, batch_size=self._block_shape[1], replicas=self.count)
        n_here = len(self.strategy.extended.worker_devices)

        def blocks_of_worker(_: tf.distribute.InputContext) -> tf.data.Dataset:
            # A worker's replicas take elements in turn.
            return blocks.flat_map(lambda block: tf.data.Dataset.from_tensors(block).repeat(n_here))

        return self.strategy.distribute_datasets_from_function(blocks_of_worker)

    def with_own_first(self, block: SessionBatch) -> SessionBatch:
        """Returns a block, whose shape the strategy has forgotten, with this replica's lanes before the others."""
        return SessionBatch(*[self.own_first(tf.ensure_shape(field, self._block_shape), 1) for field in block])

    def _first(self, lanes: int) -> int:
        return self.number * (lanes // self.count)

    def mean(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the mean over the replicas of each of the values, which have the same shapes everywhere."""
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.MEAN, list(values)))

    def gather(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the values of all replicas one after the other, along the first axis, the only one that may differ."""
        context = tf.distribute.get_replica_context()
        return list(context.all_gather(list(values), axis=0))

    def mean_gradients(
        self, gradients: Sequence[tf.Tensor | tf.IndexedSlices | None]
    ) -> list[tf.Tensor | tf.IndexedSlices | None]:
        """Returns the mean gradients: of tables the rows of all replicas, of other weights the mean; None stays."""
        places = range(len(gradients))
        tables = [place for place in places if isinstance(gradients[place], tf.IndexedSlices)]
        others = [place for place in places if place not in tables and gradients[place] is not None]
        found: list[tf.Tensor | tf.IndexedSlices | None] = [None] * len(gradients)
        for place, value in zip(others, self.mean([gradients[place] for place in others]), strict=True):
            found[place] = value
        told = [part for place in tables for part in (gradients[place].indices, gradients[place].values)]
        everyones = iter(self.gather(told))
        for place, indices, values in zip(tables, everyones, everyones, strict=True):
            shape = gradients[place].values.shape
            n_rows = shape[0] * self.count  # XLA needs it static
            indices, values = tf.ensure_shape(indices, [n_rows]), tf.ensure_shape(values, [n_rows, *shape[1:]])
            found[place] = tf.IndexedSlices(values / self.count, indices)
        return found
