"""What a training step reads of the items: each row once, to be scored once and updated once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfrs_gru4rec.layers import ItemEmbedding
from tfrs_gru4rec.optimizers.row_updates import Gradient, RowUpdater, SummedRows


class ItemRows(NamedTuple):
    """The items of one step, read: n rows, of which the candidates are the first."""

    candidate_rows: tf.Tensor  # int32 [n_candidates]
    vectors: tf.Tensor  # [n, units], output weights
    biases: tf.Tensor  # [n]
    places: tf.Tensor | None = None  # int32 [n_candidates], see `SessionRetrieval.call`
    input_rows: tf.Tensor | None = None  # int32 [lanes], where the input reads the same table
    inputs: tf.Tensor | None = None  # [lanes, units], what it reads there

    def candidates(self) -> list[tf.Tensor]:
        """Returns the output weights [n_candidates, units] and biases [n_candidates] of all candidates."""
        parts = [self.vectors, self.biases]
        return parts if self.places is None else [tf.gather(part, self.places) for part in parts]


def rows_to_read(embedding: ItemEmbedding, candidate_rows: tf.Tensor, input_rows: tf.Tensor) -> tf.Tensor:
    """Returns the rows of the output's table that are read: of candidates, then of inputs that share the table.

    Candidate rows int32 [..., n_candidates] and input rows int32 [..., lanes] of one step, or of all of a block; or
    both of a block in one axis.
    """
    return tf.concat([candidate_rows, input_rows], axis=-1) if embedding.is_shared else candidate_rows


def differentiate(
    loss_of: Callable[[ItemRows], tf.Tensor],
    embedding: ItemEmbedding,
    rows: tf.Tensor,
    input_rows: tf.Tensor,
    updater: RowUpdater,
    variables: Sequence[tf.Variable],
) -> tuple[tf.Tensor, list[Gradient | None]]:
    """Returns the loss of a step and its gradient by each variable, that by what the step reads as `SummedRows`.

    Of the gradients of an item that is several times among the candidates the scores' are summed, [lanes] numbers,
    where summing those of its vector would take [units] for each time.

    Args:
      loss_of: computes the loss, of what has been read.
      embedding: of the model.
      rows: int32 [n], see `rows_to_read`.
      input_rows: int32 [lanes].
      updater: that numbers rows, see `RowUpdater.places`.
      variables: of the model.
    """
    n_candidates = rows.shape[0] - (input_rows.shape[0] if embedding.is_shared else 0)
    places = updater.places(embedding.output_table, rows)
    read = ItemRows(rows[:n_candidates], *embedding.candidates(rows), places[:n_candidates])
    leaves = [read.vectors, read.biases]
    with tf.GradientTape() as tape:
        tape.watch(leaves)
        if embedding.is_shared:
            vectors, inputs = _with_some(read.vectors, places[n_candidates:])
            read = read._replace(vectors=vectors, inputs=inputs, input_rows=input_rows)
        loss = loss_of(read)
    inputs_here = [read.inputs] if embedding.is_shared else []
    gradients, (of_vectors, of_biases), of_inputs = tape.gradient(
        loss, [list(variables), leaves, inputs_here]
    )
    # An override may have scored other candidates or followed other inputs: then these rows are left alone.
    scored = [] if of_biases is None else [places[:n_candidates]]
    followed = [places[n_candidates:] for gradient in of_inputs if gradient is not None]
    of_read = {
        embedding.output_table.ref(): (of_vectors, scored + followed),
        embedding.output_bias.ref(): (of_biases, scored),
    }
    for number, variable in enumerate(variables):
        values, used = of_read.get(variable.ref(), (None, []))
        if values is not None:
            its_rows = _only(used, rows, variable.shape[0])
            gradients[number] = _total(SummedRows(values, its_rows, places), gradients[number])
    return loss, gradients


def _only(used: list[tf.Tensor], rows: tf.Tensor, n_items: int) -> tf.Tensor:
    """Keeps the rows at the places that are used; others become a row behind the table's end, which is left alone.

    Their gradient is zero, but momentum would move them, such as the bias of an item that only an input has read.
    """
    used_places = tf.concat(used, 0) if used else tf.zeros([0], tf.int32)
    if used_places.shape == rows.shape:
        return rows
    is_used = tf.scatter_nd(used_places[:, tf.newaxis], tf.ones_like(used_places), rows.shape)
    return tf.where(is_used > 0, rows, n_items)


@tf.custom_gradient
def _with_some(
    vectors: tf.Tensor, places: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tuple[tf.Tensor, None]]]:
    """Returns vectors [n, units] and those at some places; the gradient of these is added to that of all in place."""

    def gradient(of_all: tf.Tensor, of_some: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.tensor_scatter_nd_add(of_all, places[:, tf.newaxis], of_some), None

    return (tf.identity(vectors), tf.gather(vectors, places)), gradient


def _total(read: SummedRows, other: Gradient | None) -> Gradient:
    """Adds what the loss took from a table otherwise than by what was read: an override of `call` or `compute_loss`."""
    if other is None:
        return read
    if isinstance(other, tf.IndexedSlices):
        return tf.IndexedSlices(
            tf.concat([read.values, other.values], 0),
            tf.concat([read.rows, tf.cast(other.indices, read.rows.dtype)], 0),
        )
    return tf.tensor_scatter_nd_add(other, read.rows[:, tf.newaxis], read.values)
