"""Loss and gradients of one training step, from weights that were gathered before: pure, and what XLA compiles."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfrs_gru4rec.layers import GRUTower
from tfrs_gru4rec.layers.dropout import dropout
from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.tasks import SessionRetrieval

_INPUT_STREAM = 1 << 20


class StepMasks(NamedTuple):
    """What counts in one step.

    Attributes:
      is_start: bool [lanes], the state is zeroed before this event.
      is_live: bool [lanes], False for an empty lane.
      negatives: bool, broadcastable to [lanes, n_candidates], False where a column is no negative of a row.
      log_correction: [n_candidates] to subtract from the scores, or None.
    """

    is_start: tf.Tensor
    is_live: tf.Tensor
    negatives: tf.Tensor
    log_correction: tf.Tensor | None


class StepGradients(NamedTuple):
    """Gradients of one step's loss.

    Attributes:
      rows: by the gathered rows of each table, of the same shapes.
      tower: by each of the tower's trainable variables.
    """

    rows: list[tf.Tensor]
    tower: list[tf.Tensor]


class SessionStep:
    """One step of a tower and a task; holds no variable of its own."""

    def __init__(
        self,
        tower: GRUTower,
        task: SessionRetrieval,
        dropout_p_embed: float,
        l2: float,
    ) -> None:
        """Joins the parts.

        Args:
          tower: steps the sessions.
          task: scores the candidates and takes the loss.
          dropout_p_embed: share of the input rows' values dropped in training.
          l2: adds l2 / 2 times the squared sum of the gathered rows and the tower's weights.
        """
        self._tower = tower
        self._task = task
        self._dropout_p_embed = dropout_p_embed
        self._l2 = l2
        self.gradients_compiled = tf.function(self.gradients, jit_compile=True)

    def loss(
        self, rows: Sequence[tf.Tensor], masks: StepMasks, state: State, seed: tf.Tensor | None
    ) -> tuple[tf.Tensor, State]:
        """Computes the loss and the next state.

        Args:
          rows: gathered for this step, see `ItemEmbedding.touched`: inputs, candidates and their biases.
          masks: what counts.
          state: of each layer before this event, [lanes, units].
          seed: int64 [2] for dropout, or None for none.

        Returns:
          Scalar loss, and the state after the event.
        """
        # The mask is this step's own: one that outlives its step would wipe the state of the next.
        state = tuple(tf.where(masks.is_start[:, tf.newaxis], 0.0, layer_state) for layer_state in state)
        input_seed = None if seed is None else seed + tf.constant([_INPUT_STREAM, 0], seed.dtype)
        inputs, candidates, biases = rows
        query, next_state = self._tower.step(dropout(inputs, self._dropout_p_embed, input_seed), state, seed)
        loss = self._task(
            query,
            candidates,
            candidate_biases=biases,
            sample_weight=tf.cast(masks.is_live, tf.float32),
            score_mask=masks.negatives,
            log_correction=masks.log_correction,
        )
        if self._l2:
            touched = [*rows, *self._tower.trainable_variables]
            loss += self._l2 * tf.add_n([tf.nn.l2_loss(values) for values in touched])
        return loss, next_state

    def gradients(
        self, rows: Sequence[tf.Tensor], masks: StepMasks, state: State, seed: tf.Tensor
    ) -> tuple[tf.Tensor, State, StepGradients]:
        """Computes the loss, the next state and the gradients; arguments as for `loss`.

        The gradient stops at the previous step's state, which comes in as a constant.
        """
        weights = self._tower.trainable_variables
        with tf.GradientTape() as tape:
            tape.watch(rows)
            loss, next_state = self.loss(rows, masks, state, seed)
        by_rows, by_weights = tape.gradient(loss, (list(rows), weights))
        return loss, next_state, StepGradients(by_rows, by_weights)
