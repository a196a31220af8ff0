"""A training step that XLA compiles whole, updates of the tables included, for the optimizer that the papers use."""

from collections.abc import Sequence

import tensorflow as tf

from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.models.session_step import SessionStep, StepMasks
from tfrs_gru4rec.models.touched import Touched, by_table
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.optimizers.adagrad_rule import Weights, updated

# Rows are updated in chunks, so that a chunk's gradients and slots stay in a core's cache from read to write.
CHUNK_BYTES = 1 << 18


class FusedStep:
    """Reads the rows that a step touches, computes everything, and updates the rows and their slots in place.

    The same arithmetic as `SessionStep.gradients` and `AdagradMomentum.apply_gradients`, all of static shapes. Only XLA
    can run it: there a write to a row behind the end of a table does nothing.
    """

    def __init__(
        self,
        session_step: SessionStep,
        optimizer: AdagradMomentum,
        weights: Sequence[tf.Variable],
        tables: Sequence[tf.Variable],
    ) -> None:
        """Joins the parts.

        Args:
          session_step: computes the gradients.
          optimizer: built, and plain (`AdagradMomentum.is_plain`).
          weights: the tower's trainable variables.
          tables: the items' tables.
        """
        self._session_step = session_step
        self._optimizer = optimizer
        self._weights = list(weights)
        # They mean nothing between two steps. One for each table: XLA copies a variable that is written twice a step.
        self._last_places = {
            table.ref(): tf.Variable(
                tf.zeros([table.shape[0]], tf.int32), trainable=False, name="last_places"
            )
            for table in tables
        }

    def run(
        self, touched: Sequence[Touched], masks: StepMasks, state: State, seed: tf.Tensor, counts: tf.Tensor
    ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """Trains on one step.

        Args:
          touched: tables and the rows of them that the step reads, see `ItemEmbedding.touched`.
          masks: what counts.
          state: of each layer before this event, [lanes, units].
          seed: int64 [2] for dropout.
          counts: bool scalar, False to change no weight.

        Returns:
          Scalar loss, the state after the event, and whether the loss is finite: if it is not, no weight was changed.
        """
        rows = [tf.gather(table, table_rows) for table, table_rows in touched]
        loss, next_state, gradients = self._session_step.gradients(rows, masks, state, seed)
        is_finite = tf.math.is_finite(loss)
        is_applied = counts & is_finite
        for table, parts in by_table(touched):
            self._update_rows(
                table, [touched[i][1] for i in parts], [gradients.rows[i] for i in parts], is_applied
            )
        for weight, gradient in zip(self._weights, gradients.tower, strict=True):
            old = self._optimizer.read(weight)
            self._optimizer.write(weight, None, _choose(is_applied, self._updated(gradient, old), old))
        self._optimizer.iterations.assign_add(tf.cast(is_applied, tf.int64))
        return loss, next_state, is_finite

    def _updated(self, gradient: tf.Tensor, before: Weights) -> Weights:
        return updated(gradient, before, self._optimizer.learning_rate, self._optimizer.momentum)

    def _update_rows(
        self, table: tf.Variable, parts: list[tf.Tensor], gradients: list[tf.Tensor], is_applied: tf.Tensor
    ) -> None:
        """Updates rows of a table once each; a row that occurs several times gets the sum of its gradients."""
        rows = tf.concat(parts, axis=0)
        n_rows, n_items = rows.shape[0], table.shape[0]
        n_chunks = max(1, n_rows * (table.shape.num_elements() // n_items) * table.dtype.size // CHUNK_BYTES)
        size = -(-n_rows // n_chunks)
        places = self._places(table, rows)
        sums = _sums(gradients, tf.split(places, [part.shape[0] for part in parts]), n_chunks * size)
        is_written = is_applied & (places == tf.range(n_rows))
        written = tf.where(is_written, rows, n_items)
        if n_chunks == 1:
            self._update_chunk(table, rows, written, sums)
            return
        filling = [[0, n_chunks * size - n_rows]]
        rows, written = tf.pad(rows, filling), tf.pad(written, filling, constant_values=n_items)
        for chunk in tf.range(n_chunks):
            at = tf.range(size) + chunk * size
            self._update_chunk(table, tf.gather(rows, at), tf.gather(written, at), tf.gather(sums, at))

    def _update_chunk(
        self, table: tf.Variable, read: tf.Tensor, written: tf.Tensor, gradient: tf.Tensor
    ) -> None:
        new = self._updated(gradient, self._optimizer.read(table, read))
        self._optimizer.write(table, written, new)

    def _places(self, table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
        """Gives equal rows an equal place, one of theirs: rows [n_rows] → int32 [n_rows], each below n_rows.

        Every row notes its places in a list of all items, which keeps one of them; `tf.unique` has no static shape.
        """
        last_places = self._last_places[table.ref()]
        last_places.scatter_update(tf.IndexedSlices(tf.range(rows.shape[0]), rows))
        return tf.gather(last_places, rows)


def _sums(gradients: list[tf.Tensor], places: list[tf.Tensor], n_places: int) -> tf.Tensor:
    """Sums gradients by place: each [rows, …] → [n_places, …]. One after the other, which saves joining them."""
    sums = tf.math.unsorted_segment_sum(gradients[0], places[0], n_places)
    for gradient, place in zip(gradients[1:], places[1:], strict=True):
        sums = tf.tensor_scatter_nd_add(sums, place[:, tf.newaxis], gradient)
    return sums


def _choose(is_new: tf.Tensor, new: Weights, old: Weights) -> Weights:
    return Weights(*[None if a is None else tf.where(is_new, a, b) for a, b in zip(new, old, strict=True)])
