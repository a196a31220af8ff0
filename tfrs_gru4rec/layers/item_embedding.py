"""The items' weights: rows to read at the input, rows and biases to score at the output."""

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.layers.initial_values import gate_blocks, uniform_block


class ItemEmbedding(keras.layers.Layer):
    """Input rows and output weights of all items, in one of three arrangements.

    - shared (`constrained_embedding`): the input looks up the rows of the output weights;
    - separate: the input has an embedding of its own, of any width;
    - one-hot: no embedding; the input looks up the first GRU layer's input weights, 3 * units wide.

    Attributes:
      output_table: [n_items, output_width] weights W that score a query.
      output_bias: [n_items] bias b of each item's score.
      input_table: [n_items, input_width] rows of the input; the same variable as `output_table` if shared.
      is_shared: whether the input reads the output's table.
      looks_up_gates: whether input rows are the first GRU layer's projected inputs (one-hot).

    >>> items = ItemEmbedding(n_items=20, output_width=5, first_units=4, shared=False)
    >>> items.look_up([3, 7]).shape  # one-hot: what the three gates of 4 units read
    TensorShape([2, 12])
    >>> items.scores(tf.ones([2, 5])).shape
    TensorShape([2, 20])
    """

    def __init__(
        self,
        n_items: int,
        output_width: int,
        first_units: int,
        shared: bool = True,
        width: int = 0,
        seed: int = 0,
    ) -> None:
        """Draws the initial tables, the biases zero.

        Args:
          n_items: rows of every table.
          output_width: units of the last GRU layer.
          first_units: units of the first GRU layer, for one-hot input.
          shared: the input reads the output weights.
          width: width of a separate input embedding; 0 with `shared=False` is one-hot.
          seed: seed of the initial values.
        """
        super().__init__(name="item_embedding")
        output = uniform_block(n_items, output_width, (seed, 101))
        self.output_table = tf.Variable(output, name="item_embedding/output_table")
        self.output_bias = tf.Variable(tf.zeros([n_items]), name="item_embedding/output_bias")
        self.is_shared = shared
        self.looks_up_gates = not shared and not width
        if shared:
            self.input_table = self.output_table
        elif width:
            self.input_table = tf.Variable(
                uniform_block(n_items, width, (seed, 102)), name="item_embedding/input_table"
            )
        else:
            gates = gate_blocks(n_items, first_units, (seed, 103))
            self.input_table = tf.Variable(gates, name="item_embedding/input_table")
        self.built = True

    def look_up(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the input rows of items: rows [batch_size] → [batch_size, input_width]."""
        return tf.gather(self.input_table, rows)

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """Scores every item: r = h · W + b. Query [batch_size, output_width] → [batch_size, n_items]."""
        return tf.matmul(query, self.output_table, transpose_b=True) + self.output_bias

    def candidates(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the output weights and biases of items: rows [n] → [n, output_width] and [n]."""
        return tf.gather(self.output_table, rows), tf.gather(self.output_bias, rows)
