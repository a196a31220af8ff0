"""Raw item ids in and out of the graph."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.signatures import MAX_ITEM_ID_BYTES, PAD_INTEGER
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


class Catalogue(tf.Module):
    """The vocabulary as tables in the graph.

    >>> catalogue = Catalogue(Vocabulary(np.array(["hat", "shoe"], object), np.array([2, 1])))
    >>> catalogue.rows(tf.constant(["shoe", "boat"])).numpy().tolist()
    [1, -1]
    >>> catalogue.ids(tf.constant([0])).numpy().tolist()
    [b'hat']

    Attributes:
      item_dtype: "string" or "int64".
      n_items: number of items.
      first_id: the raw id of row 0.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Fills the tables.

        Raises:
          ValueError: a raw id is the pad id, or too long to be sent.
        """
        super().__init__(name="catalogue")
        self.n_items = vocabulary.n_items
        self.first_id = vocabulary.ids[0]
        if vocabulary.is_integer:
            self.item_dtype = "int64"
            require(
                not bool(np.any(vocabulary.ids == PAD_INTEGER)),
                "The item id -1 pads requests, so no item may have it: rename that item in the log.",
                item_id=PAD_INTEGER,
            )
        else:
            self.item_dtype = "string"
            _check_strings(vocabulary.ids)
        keys = tf.constant(vocabulary.ids.tolist(), self.item_dtype)
        rows = tf.range(self.n_items)
        self._table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), -1)
        self._ids = keys

    def rows(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Returns int32 rows of raw ids of any shape, -1 for unknown items and pads."""
        return self._table.lookup(item_ids)

    def ids(self, item_rows: tf.Tensor) -> tf.Tensor:
        """Returns raw ids of rows of any shape."""
        return tf.gather(self._ids, item_rows)


def _check_strings(ids: np.ndarray) -> None:
    sizes = [len(item_id.encode()) for item_id in ids]
    require(
        min(sizes) > 0, "The empty item id pads requests, so no item may have it.", row=int(np.argmin(sizes))
    )
    require(
        max(sizes) <= MAX_ITEM_ID_BYTES,
        f"Item ids must be at most {MAX_ITEM_ID_BYTES} bytes long to be served.",
        item_id=ids[int(np.argmax(sizes))],
    )
