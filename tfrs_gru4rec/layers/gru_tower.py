"""The query tower: GRU layers stepped over a session, state in and state out."""

from collections.abc import Sequence

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.layers.dropout import dropout
from tfrs_gru4rec.layers.gru_layer import GRULayer

State = tuple[tf.Tensor, ...]


class GRUTower(keras.layers.Layer):
    """One or several GRU layers; each event's output of a layer is the next layer's input.

    The tower keeps nothing between calls: `step` takes the state before an event and returns the state after it.

    >>> tower = GRUTower(units=(4, 2), input_width=3)
    >>> state = tower.initial_state(batch_size=5)
    >>> query, state = tower.step(tf.ones([5, 3]), state)
    >>> query.shape, [part.shape for part in state]
    (TensorShape([5, 2]), [TensorShape([5, 4]), TensorShape([5, 2])])
    """

    def __init__(
        self,
        units: Sequence[int],
        input_width: int | None,
        dropout_p_hidden: float = 0.0,
        seed: int = 0,
        reset_after: bool = False,
    ) -> None:
        """Draws the initial weights of every layer.

        Args:
          units: width of each layer's state, first to last.
          input_width: width of the embedded item, or None if inputs are the first layer's projected input weights
            [batch_size, 3 * units[0]].
          dropout_p_hidden: share of every layer's output dropped in training, the last layer's included.
          seed: seed of the initial values.
          reset_after: apply the reset gate after the recurrent product, see `GRULayer`.
        """
        super().__init__(name="gru_tower")
        widths = [input_width, *units[:-1]]
        self.units = tuple(units)
        self.dropout_p_hidden = dropout_p_hidden
        self.gru_layers = [
            GRULayer(layer_units, width, (seed, number), reset_after, name=f"gru_{number}")
            for number, (layer_units, width) in enumerate(zip(units, widths, strict=True))
        ]
        self.built = True

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Returns the state before a session's first event: zeros [batch_size, units] for each layer."""
        return tuple(tf.zeros([batch_size, units]) for units in self.units)

    def reset(self, state: State, is_start: tf.Tensor) -> State:
        """Zeroes the state [batch_size, units] of each layer where bool [batch_size] says that a session starts."""
        return tuple(tf.where(is_start[:, tf.newaxis], 0.0, layer_state) for layer_state in state)

    def call(self, inputs: tf.Tensor, state: State, seed: tf.Tensor | None = None) -> tuple[tf.Tensor, State]:
        """Steps every layer by one event.

        Args:
          inputs: [batch_size, input_width] the embedded items.
          state: one tensor [batch_size, units] for each layer.
          seed: integer tensor [2] for hidden dropout in training; None at inference.

        Returns:
          The query [batch_size, units of the last layer], and the state after the event. Hidden dropout is applied
          to both alike, as the papers' models are trained.
        """
        next_state = []
        outputs = inputs
        for number, layer in enumerate(self.gru_layers):
            outputs = layer(outputs, state[number])
            layer_seed = None if seed is None else seed + tf.constant([number, 0], seed.dtype)
            outputs = dropout(outputs, self.dropout_p_hidden, layer_seed)
            next_state.append(outputs)
        return outputs, tuple(next_state)

    step = call
