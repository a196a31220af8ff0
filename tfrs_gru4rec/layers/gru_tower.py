"""The query tower: GRU layers stepped over a session, state in and state out."""

from collections.abc import Sequence

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.layers.dropout import dropout
from tfrs_gru4rec.layers.initial_values import gate_blocks

State = tuple[tf.Tensor, ...]


class GRULayer(keras.layers.Layer):
    """A gated recurrent unit with the reset gate before the recurrent product (Cho et al. 2014, arXiv 1406.1078).

    With x the input, h the state and ⊙ the element-wise product:

        r  = σ(x W_r + h U_r + b_r)              reset gate
        z  = σ(x W_z + h U_z + b_z)              update gate
        ĥ  = tanh(x W_h + (r ⊙ h) U_h + b_h)     candidate
        h' = (1 − z) ⊙ h + z ⊙ ĥ

    Keras' `GRUCell(reset_after=False)` is the same model with z and 1 − z exchanged.

    With `reset_after` the reset gate comes after the recurrent product, which has a bias c of its own (the variant of
    cuDNN and of most other frameworks' GRUs):

        r, z as above with + c_r, + c_z;  ĥ = tanh(x W_h + b_h + r ⊙ (h U_h + c_h))

    Weights: kernel [input_width, 3 * units] = (W_r, W_z, W_h); recurrent_kernel [units, 3 * units] = (U_r, U_z, U_h);
    bias [3 * units] = (b_r, b_z, b_h); recurrent_bias [3 * units] = (c_r, c_z, c_h), only with
    `reset_after`.

    Without weights r = z = 1/2 and ĥ = 0, so each event halves the state:

    >>> layer = GRULayer(units=2, input_width=1, seed=(0, 0))
    >>> for variable in layer.trainable_variables:
    ...     _ = variable.assign(tf.zeros_like(variable))
    >>> layer(tf.constant([[3.0]]), tf.constant([[1.0, -4.0]])).numpy()
    array([[ 0.5, -2. ]], dtype=float32)
    """

    def __init__(
        self,
        units: int,
        input_width: int | None,
        seed: tuple[int, int],
        reset_after: bool = False,
        name: str = "gru",
    ) -> None:
        """Draws the initial weights, the biases zero.

        Args:
          units: width of the state.
          input_width: width of the input, or None if the inputs are x W already (looked up by item): then the layer
            has no kernel.
          seed: two integers for the initial values.
          reset_after: apply the reset gate after the recurrent product.
          name: name of the layer.
        """
        super().__init__(name=name)
        self.units = units
        first, second = seed
        self.kernel = None
        if input_width is not None:
            kernel = gate_blocks(input_width, units, (first, 2 * second))
            self.kernel = tf.Variable(kernel, name=f"{name}/kernel")
        recurrent = gate_blocks(units, units, (first, 2 * second + 1))
        self.recurrent_kernel = tf.Variable(recurrent, name=f"{name}/recurrent_kernel")
        self.bias = tf.Variable(tf.zeros([3 * units]), name=f"{name}/bias")
        self.recurrent_bias = None
        if reset_after:
            self.recurrent_bias = tf.Variable(tf.zeros([3 * units]), name=f"{name}/recurrent_bias")
        self.built = True

    def call(self, inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """Computes the next state.

        Args:
          inputs: [batch_size, input_width], or [batch_size, 3 * units] for a layer without a kernel.
          state: [batch_size, units].

        Returns:
          [batch_size, units], at once the layer's output and its next state.
        """
        projected = (inputs if self.kernel is None else inputs @ self.kernel) + self.bias
        # Split, not sliced: the gradient of slices is a sum of padded parts. And each gate by itself: the sigmoid of
        # both would overwrite its argument, which XLA does not vectorise.
        to_reset, to_update, to_candidate = tf.split(projected, 3, axis=1)
        if self.recurrent_bias is None:
            of_gates, of_candidate = tf.split(self.recurrent_kernel, [2 * self.units, self.units], axis=1)
            from_reset, from_update = tf.split(state @ of_gates, 2, axis=1)
            reset = tf.sigmoid(to_reset + from_reset)
            from_state = (reset * state) @ of_candidate
        else:
            recurrent = state @ self.recurrent_kernel + self.recurrent_bias
            from_reset, from_update, from_state = tf.split(recurrent, 3, axis=1)
            from_state *= tf.sigmoid(to_reset + from_reset)
        update = tf.sigmoid(to_update + from_update)
        candidate = tf.tanh(to_candidate + from_state)
        return state + update * (candidate - state)


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
