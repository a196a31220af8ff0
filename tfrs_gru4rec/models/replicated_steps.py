"""Training steps of several replicas: exchanged one by one, or blocks of steps of one's own between two exchanges."""

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.distribution import Replicas
from tfrs_gru4rec.optimizers.row_updates import RowUpdater
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch

if TYPE_CHECKING:
    from tfrs_gru4rec.models.gru4rec import GRU4Rec


class ReplicatedSteps:
    """Trains on blocks, each exchanged once.

    A block of one step: all replicas apply the mean of their gradients, that of the step of all lanes. A block of more
    is one XLA program on each replica, and what it changed is exchanged; see `_exchange_changes`.
    """

    def __init__(self, model: "GRU4Rec", replicas: Replicas, updater: RowUpdater) -> None:
        """Keeps a compiled model.

        Raises:
          ValueError: the optimizer cannot update rows inside an XLA program, or was made outside the strategy's scope.
        """
        optimizer = model.optimizer
        rule = "Several replicas need AdagradMomentum and jit_compile: rows are exchanged and updated by our own code."
        require(updater.is_compiled, rule, optimizer=optimizer.name)
        is_inside = isinstance(optimizer.iterations, tf.distribute.DistributedValues)
        require(is_inside, "Make the optimizer in strategy.scope() too.", optimizer=optimizer.name)
        self._model, self._replicas = model, replicas
        self._differentiate = tf.function(model._differentiate, jit_compile=True)
        self._apply = tf.function(model._apply, jit_compile=True)
        self._train_alone = tf.function(model._train_one_by_one, jit_compile=True)

    def train(self, block: SessionBatch) -> None:
        """Trains on a block of the steps of all lanes."""
        block = SessionBatch(*[self._replicas.own_first(field, axis=1) for field in block])
        if block.is_live.shape[0] == 1:
            step = block.at(0)
            loss, gradients = self._differentiate(step)
            loss, *gradients = self._replicas.mean_gradients([loss, *gradients])
            self._apply(step, loss, gradients)
        else:
            self._exchange_changes(block)
        self._model.lanes.exchange()
