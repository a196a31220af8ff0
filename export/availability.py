"""Which items are out of stock or withdrawn: changed while the model is served, and kept beside it."""

import numpy as np
import tensorflow as tf


class Availability(tf.Module):
    """What is added to the items' scores: 0 where an item may be recommended, else minus infinity.

    No lock is needed: each item has a float of its own, which is written at once. A variable, though its zeros are
    written into every export: a signature keeps the variables that it reads when the loaded model goes, and
    `tf.saved_model.load(folder).signatures["recommend"]` needs no other memory.
    """

    def __init__(self, n_columns: int) -> None:
        """Makes all items available.

        Args:
          n_columns: of scores.
        """
        super().__init__(name="availability")
        self._penalties = tf.Variable(tf.zeros([n_columns]), trainable=False, name="availability")

    def penalties(self) -> tf.Tensor:
        """Returns [n_columns]."""
        return tf.convert_to_tensor(self._penalties)

    def set(self, item_rows: tf.Tensor, is_available: tf.Tensor) -> tf.Tensor:
        """Changes items; of several rows of one item the last counts.

        Args:
          item_rows: int32 [n], -1 for an unknown item, which is passed over.
          is_available: bool [n].

        Returns:
          bool [n], whether the item is known; there once the change is made.
        """
        distinct, index = tf.unique(item_rows)
        last = tf.math.unsorted_segment_max(tf.range(tf.size(index)), index, tf.size(distinct))
        known = tf.where(distinct >= 0)[:, 0]
        values = tf.where(tf.gather(is_available, tf.gather(last, known)), 0.0, -np.inf)
        places = tf.gather(distinct, known)[:, tf.newaxis]
        write = tf.raw_ops.ResourceScatterNdUpdate(ref=self._penalties.handle, indices=places, updates=values)
        with tf.control_dependencies([write]):
            return item_rows >= 0
