"""One GRU layer, one event at a time."""

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.layers.initial_values import gate_blocks


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
        units = self.units
        projected = (inputs if self.kernel is None else inputs @ self.kernel) + self.bias
        if self.recurrent_bias is None:
            recurrent = state @ self.recurrent_kernel[:, : 2 * units]
        else:
            recurrent = state @ self.recurrent_kernel + self.recurrent_bias
        # Each gate by itself: the sigmoid of both would overwrite its argument, which XLA does not vectorise.
        reset = tf.sigmoid(projected[:, :units] + recurrent[:, :units])
        update = tf.sigmoid(projected[:, units : 2 * units] + recurrent[:, units : 2 * units])
        if self.recurrent_bias is None:
            from_state = (reset * state) @ self.recurrent_kernel[:, 2 * units :]
        else:
            from_state = reset * recurrent[:, 2 * units :]
        candidate = tf.tanh(projected[:, 2 * units :] + from_state)
        return state + update * (candidate - state)
