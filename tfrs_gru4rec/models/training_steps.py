"""The training steps of a block: what each reads, its loss, its gradients, and what they change."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.distribution import Replicas
from tfrs_gru4rec.layers import ItemEmbedding
from tfrs_gru4rec.models.candidates import Candidates
from tfrs_gru4rec.models.item_rows import ItemRows, differentiate, rows_to_read
from tfrs_gru4rec.models.lanes import LaneVariables
from tfrs_gru4rec.optimizers.row_updates import Gradient, RowUpdater
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.tasks import SessionRetrieval


class LossTracker(keras.metrics.Mean):
    """The mean loss, of which several replicas hold the same, so that checkpoints need no sum of theirs."""

    def add_weight(self, *args: Any, **kwargs: Any) -> tf.Variable:
        """Makes a variable that each replica writes for itself."""
        kwargs |= {
            "synchronization": tf.VariableSynchronization.AUTO,
            "aggregation": tf.VariableAggregation.NONE,
        }
        return super().add_weight(*args, **kwargs)


class TrainedInSteps(keras.Model):
    """The part of `GRU4Rec` that trains on the steps of a block."""

    embedding: ItemEmbedding
    task: Any
    has_own_sampler: bool
    lanes: LaneVariables
    train_steps: tf.Variable
    first_bad_step: tf.Variable
    loss_tracker: LossTracker
    compute_loss: Callable[..., tf.Tensor]
    _seed: Callable[..., tf.Tensor]
    _candidates: Candidates
    _replicas: Replicas
    _updater: RowUpdater
    _loss_and_gradients: Callable[[SessionBatch], tuple[tf.Tensor, list[Gradient | None]]]

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """Begins as any Keras model."""
        super().__init__(*arguments, **settings)
        # The step that is being traced, and what it has read; in a namespace, so that checkpoints leave it alone.
        self._reading = SimpleNamespace(step=None, read=None)

    def _train_one_by_one(self, block: SessionBatch) -> None:
        self.lanes.build(block.is_live.shape[1])
        block.for_each_live_step(self._train_on, *self._rows_ahead(block))

    def _reads_once(self) -> bool:
        """Whether a step may read each row once, see `item_rows`: its parts know of that, and the tables are trained.

        A task or an embedding of another class may not, and several replicas follow but a part of the inputs.
        """
        trained = {variable.ref() for variable in self.trainable_variables}
        tables = {self.embedding.output_table.ref(), self.embedding.output_bias.ref()}
        return (
            getattr(self._updater, "has_places", False)
            and (type(self.task), type(self.embedding)) == (SessionRetrieval, ItemEmbedding)
            and tables <= trained
            and self._replicas.count == 1
        )

    def _rows_ahead(self, block: SessionBatch) -> list[tf.Tensor]:
        """Returns the rows that each step will read, int32 [block_steps, n], if they can be drawn before the first.

        A sampler of the user's draws when its step comes.
        """
        if not self._reads_once() or self.has_own_sampler:
            return []
        return [self._rows(block, self._candidates.rows_of_block)]

    def _rows(self, steps: SessionBatch, draw: Callable[..., tf.Tensor]) -> tf.Tensor:
        candidate_rows = draw(steps, self._seed(training=True))
        return rows_to_read(self.embedding, candidate_rows, steps.input_rows)

    def _train_on(self, step: SessionBatch, rows: tf.Tensor | None = None) -> None:
        """Trains on a step; the rows that it reads may have been drawn before."""
        if self._reads_once():
            rows = self._rows(step, self._candidates.rows) if rows is None else rows
            loss, gradients = self._differentiate_by_rows(step, rows)
        else:
            loss, gradients = self._loss_and_gradients(step)
        self._apply(step, loss, gradients)

    def _apply(self, step: SessionBatch, loss: tf.Tensor, gradients: list[Gradient | None]) -> None:
        """Changes the weights by the gradients of a step, unless it has no negative or its loss is not finite."""
        has_negatives, is_finite = self._candidates.has_negatives(step), tf.math.is_finite(loss)
        self._updater.update(gradients, self.trainable_variables, has_negatives & is_finite)
        is_first_bad = has_negatives & ~is_finite & (self.first_bad_step < 0)
        self.first_bad_step.assign(tf.where(is_first_bad, self.train_steps, self.first_bad_step))
        self.train_steps.assign_add(tf.cast(tf.reduce_any(step.is_live), tf.int64))
        self._track(loss, step)

    def _track(self, loss: tf.Tensor, step: SessionBatch) -> None:
        """Adds a step to the reported loss: the mean over steps, each weighted by its live lanes.

        So the papers' codes report it; a step's loss is the sum over its rows divided by all lanes.
        """
        n_live = tf.math.count_nonzero(step.is_live, dtype=loss.dtype)
        self.loss_tracker.update_state(loss, tf.where(self._candidates.has_negatives(step), n_live, 0.0))

    def _differentiate(self, step: SessionBatch) -> tuple[tf.Tensor, list[Gradient | None]]:
        """Returns the loss of a step and its gradient by each trainable variable.

        The gradient stops at the previous step's state, which is read from the lanes' variables.
        """
        with tf.GradientTape() as tape:
            loss = self._loss(step)
        return loss, tape.gradient(loss, self.trainable_variables)

    def _differentiate_by_rows(
        self, step: SessionBatch, rows: tf.Tensor
    ) -> tuple[tf.Tensor, list[Gradient | None]]:
        """Returns the same as `_differentiate`, with each row read, scored and summed once; see `item_rows`."""

        def loss_of(read: ItemRows) -> tf.Tensor:
            self._reading.step, self._reading.read = step, read
            try:
                return self._loss(step)
            finally:
                self._reading.step = self._reading.read = None

        variables = self.trainable_variables
        return differentiate(loss_of, self.embedding, rows, step.input_rows, self._updater, variables)

    def _loss(self, step: SessionBatch) -> tf.Tensor:
        """Returns what a step descends."""
        loss = self.compute_loss(step, training=True)
        return loss + tf.add_n(self.losses) if self.losses else loss
