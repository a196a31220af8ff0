"""Training steps of several replicas: exchanged one by one, or blocks of steps of one's own between two exchanges."""

from typing import TYPE_CHECKING

import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.models.item_rows import rows_to_read
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch

if TYPE_CHECKING:
    from tfrs_gru4rec.models.gru4rec import GRU4Rec


class ReplicatedSteps:
    """Trains on blocks, each exchanged once.

    A block of one step: all replicas apply the mean of their gradients, that of the step of all lanes. A block of more
    is one XLA program on each replica, and what it changed is exchanged; see `_train_and_exchange`.
    """

    def __init__(self, model: "GRU4Rec") -> None:
        """Keeps a compiled model.

        Raises:
          ValueError: the optimizer cannot update rows inside an XLA program, or was made outside the strategy's scope.
        """
        optimizer, embedding = model.optimizer, model.embedding
        rule = "Several replicas need AdagradMomentum and jit_compile: rows are exchanged and updated by our own code."
        require(model._updater.is_compiled, rule, optimizer=optimizer.name)
        is_inside = isinstance(optimizer.iterations, tf.distribute.DistributedValues)
        require(is_inside, "Make the optimizer in strategy.scope() too.", optimizer=optimizer.name)
        self._model, self._replicas = model, model._replicas
        self._differentiate = tf.function(model._differentiate, jit_compile=True)
        self._apply = tf.function(model._apply, jit_compile=True)
        self._train_alone = tf.function(model._train_one_by_one, jit_compile=True)
        self._candidate_rows = tf.function(
            lambda block: model._candidates.rows_of_block(block, model._seed(training=True)), jit_compile=True
        )

        def with_slots(*variables: tf.Variable) -> list[tf.Variable]:
            return [part for each in variables for part in optimizer.with_slots(each) if part is not None]

        self._scored = with_slots(embedding.output_table, embedding.output_bias)
        self._clicked = [] if embedding.is_shared else with_slots(embedding.input_table)
        tables = {id(part) for part in self._scored + self._clicked}
        weights = with_slots(*model.trainable_variables) + model.loss_tracker.variables
        self._whole = [part for part in weights if id(part) not in tables]

    def train(self, block: SessionBatch) -> None:
        """Trains on a block of the steps of all lanes."""
        block = self._replicas.with_own_first(block)
        if block.is_live.shape[0] == 1:
            step = block.at(0)
            loss, gradients = self._differentiate(step)
            loss, *gradients = self._replicas.mean_gradients([loss, *gradients])
            self._apply(step, loss, gradients)
        else:
            require_no_own_loss(self._model)
            self._train_and_exchange(block)
        self._model.lanes.exchange()

    def _train_and_exchange(self, block: SessionBatch) -> None:
        """Trains on a block by oneself, then exchanges what that changed.

        A row of a table gets the sum of the replicas' changes, and so do its slots: most rows are changed by one
        replica alone. Weights that all replicas change, those of the GRU, get the mean.
        """
        inputs = tf.reshape(self._replicas.own(block).input_rows, [-1])
        candidates = tf.reshape(self._candidate_rows(block), [-1])
        scored = tf.unique(rows_to_read(self._model.embedding, candidates, inputs)).y
        of_rows = [(scored, self._scored), (tf.unique(inputs).y, self._clicked)]
        before = [[tf.gather(part, rows) for part in parts] for rows, parts in of_rows]
        whole_before = [part.read_value() for part in self._whole]
        self._train_alone(block)
        for (rows, parts), values in zip(of_rows, before, strict=True):
            self._exchange_rows(rows, parts, values)
        changes = self._replicas.mean(
            [part - old for part, old in zip(self._whole, whole_before, strict=True)]
        )
        for part, old, change in zip(self._whole, whole_before, changes, strict=True):
            part.assign(old + change)

    def _exchange_rows(self, rows: tf.Tensor, parts: list[tf.Variable], before: list[tf.Tensor]) -> None:
        """Adds the changes of all replicas to what rows, each named once, were before, in the same order everywhere."""
        if not parts:
            return
        changes = [tf.gather(part, rows) - old for part, old in zip(parts, before, strict=True)]
        sizes, rows_of_all, *changes_of_all = self._replicas.gather([tf.shape(rows), rows, *changes])
        sizes = tf.ensure_shape(sizes, [self._replicas.count])
        by_replica = tf.split(rows_of_all, sizes)
        for part, old, everyones in zip(parts, before, changes_of_all, strict=True):
            part.scatter_update(tf.IndexedSlices(old, rows))
            for theirs, change in zip(by_replica, tf.split(everyones, sizes), strict=True):
                part.scatter_add(tf.IndexedSlices(change, theirs))


def require_no_own_loss(model: "GRU4Rec") -> None:
    """Refuses blocks that are exchanged by the rows which the model's own loss scores, where another loss is trained.

    Raises:
      ValueError: a subclass has a `compute_loss` of its own.

    >>> from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, Vocabulary
    >>> class Own(GRU4Rec):
    ...     def compute_loss(self, inputs, training=False):
    ...         return tf.reduce_sum(self.embedding.output_table)
    >>> require_no_own_loss(Own(Vocabulary.from_items([7, 8]), GRU4RecConfig(layers=(2,))))
    Traceback (most recent call last):
    ValueError: Only what the model's own loss scores is exchanged: give exchange_steps=1. Received: model='Own'.
    """
    from tfrs_gru4rec.models.gru4rec import GRU4Rec  # which is built upon this file

    rule = "Only what the model's own loss scores is exchanged: give exchange_steps=1."
    require(type(model).compute_loss is GRU4Rec.compute_loss, rule, model=type(model).__name__)
