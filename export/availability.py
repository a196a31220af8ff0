"""Which items are out of stock or withdrawn: changed while the model is served, and kept beside it."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.export.locked_memory import ZeroedMemory


class Availability(tf.Module):
    """What is added to the items' scores: 0 where an item may be recommended, else minus infinity.

    No lock is needed: each item has a float of its own, which is written at once.
    """

    def __init__(self, n_columns: int) -> None:
        """Makes all items available.

        Args:
          n_columns: of scores.
        """
        super().__init__(name="availability")
        self._penalties = ZeroedMemory("availability", [n_columns], tf.float32)

    def initialize(self) -> None:
        """Makes all items available, as loading an export does; for the use of a model that is not saved."""
        self._penalties._initialize()

    def penalties(self) -> tf.Tensor:
        """Returns [n_columns]."""
        return tf.ensure_shape(self._penalties.read(), self._penalties.shape)

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
        write = self._penalties.scatter_nd(tf.gather(distinct, known)[:, tf.newaxis], values)
        with tf.control_dependencies([write]):
            return item_rows >= 0
