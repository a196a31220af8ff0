"""Adagrad's updates of whole weights and of tables' rows, in place, inside an XLA program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from tfrs_gru4rec.optimizers.row_updates import Gradient, SummedRows

if TYPE_CHECKING:
    from tfrs_gru4rec.optimizers.adagrad_momentum import AdagradMomentum

# Rows are updated in chunks, so that a chunk's gradients and slots stay in a core's cache from read to write.
CHUNK_BYTES = 1 << 18
# A GPU takes all at once.
GPU_CHUNK_BYTES = 1 << 40


class InPlaceRows:
    """A `RowUpdater` of static shapes, and without a copy of any table.

    What keeps XLA from copying a table whole: the table is written once a step, what was read of it before is needed
    for what is written, and rows to leave alone get an index behind the end of the table, which XLA ignores. Nothing
    else than XLA ignores such an index, so nothing else can run this.
    """

    is_compiled = True

    def __init__(self, optimizer: "AdagradMomentum", chunk_bytes: int | None = None) -> None:
        """Keeps the optimizer, whose rule and slots are used; so many bytes of gradients are updated at a time.

        None: what suits the processor, or the GPU if there is one.
        """
        self._optimizer = optimizer
        default = GPU_CHUNK_BYTES if tf.config.list_logical_devices("GPU") else CHUNK_BYTES
        self._chunk_bytes = default if chunk_bytes is None else chunk_bytes

    def build(self, variables: list[tf.Variable]) -> None:
        """Makes what is kept for each variable, see `RowUpdater`."""
        self._optimizer.build(variables)
        # Their values mean nothing between two steps. One for each table: XLA copies what a step writes twice, as it
        # does where an override adds `tf.IndexedSlices` to what a step has read. Of int64: beside a GPU variables of
        # int32 stay with the host, where no compiled program reaches them.
        self._last_places = {
            table.ref(): tf.Variable(tf.zeros(table.shape[:1], tf.int64), trainable=False, name="last_places")
            for table in variables
        }

    @property
    def has_places(self) -> bool:
        """Whether it takes `SummedRows`: unless gradients are clipped, for Keras clips them before it sums rows."""
        optimizer = self._optimizer
        return not (optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue)

    def update(
        self, gradients: Sequence[Gradient | None], variables: Sequence[tf.Variable], is_applied: tf.Tensor
    ) -> None:
        """Updates the variables by one step, see `RowUpdater`."""
        used = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
        prepared = self._optimizer.prepare_step([gradient for gradient, _ in used])
        for gradient, (_, variable) in zip(prepared, used, strict=True):
            if isinstance(gradient, tf.IndexedSlices):
                gradient = self._summed(gradient, variable)
            if isinstance(gradient, SummedRows):
                self._update_rows(gradient, variable, is_applied)
            elif variable.shape.rank:
                # As a table of which every row is read. Read whole, the weight would be overwritten by the very loop
                # that reads it, which XLA does not vectorise: a fifth of a small model's step.
                every = tf.range(variable.shape[0])
                self._update_rows(SummedRows(gradient, every, every), variable, is_applied)
            else:
                self._optimizer.update_whole(variable, gradient, is_applied)
        self._optimizer.iterations.assign_add(tf.cast(is_applied, tf.int64))

    def _summed(self, gradient: tf.IndexedSlices, table: tf.Variable) -> SummedRows:
        """Sums the gradients of a row that occurs several times."""
        rows = tf.cast(gradient.indices, tf.int32)
        places = self.places(table, rows)
        return SummedRows(tf.math.unsorted_segment_sum(gradient.values, places, rows.shape[0]), rows, places)

    def _update_rows(self, gradient: SummedRows, table: tf.Variable, is_applied: tf.Tensor) -> None:
        """Updates each row once, chunk by chunk."""
        values, rows, places = gradient
        n_rows, n_items = rows.shape[0], table.shape[0]
        written = tf.where(is_applied & (places == tf.range(n_rows)), rows, n_items)
        row_bytes = table.shape.num_elements() // n_items * table.dtype.size
        n_chunks = max(1, n_rows * row_bytes // self._chunk_bytes)
        if n_chunks == 1:
            self._optimizer.update_rows(table, rows, written, values)
            return
        size = -(-n_rows // n_chunks)
        n_chunks = -(-n_rows // size)  # none of which is empty

        def update_chunk(chunk: tf.Tensor) -> tuple[tf.Tensor]:
            # What goes beyond the last row is that row once more.
            at = tf.minimum(tf.range(size) + chunk * size, n_rows - 1)
            self._optimizer.update_rows(table, *(tf.gather(part, at) for part in (rows, written, values)))
            return (chunk + 1,)

        tf.while_loop(lambda chunk: chunk < n_chunks, update_chunk, [tf.constant(0)])

    def places(self, table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
        """Numbers rows, see `RowUpdater`.

        Every place writes its number into a list of all items, which keeps one for each row; then the rows are looked
        up there. (`tf.unique` has no static shape.)
        """
        last_places = self._last_places[table.ref()]
        last_places.scatter_update(tf.IndexedSlices(tf.range(rows.shape[0], dtype=tf.int64), rows))
        return tf.cast(tf.gather(last_places, rows), tf.int32)
