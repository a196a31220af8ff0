"""Groups of items, such as categories, that a request may restrict its answers to."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


class Groups(tf.Module):
    """Which group each item is of; an item may be of none.

    >>> groups = Groups(Vocabulary.from_items(["hat", "boat"]), {"hat": "clothes"}, n_columns=2)
    >>> penalties = groups.penalties(tf.constant([["clothes", ""], ["", ""], ["food", ""]]))
    >>> groups.of_columns(penalties).numpy().tolist()  # boat and hat, whose rows are by id
    [[-inf, 0.0], [0.0, 0.0], [-inf, -inf]]
    """

    def __init__(self, vocabulary: Vocabulary, group_of: Mapping[Any, str], n_columns: int) -> None:
        """Makes the tables.

        Args:
          vocabulary: the items.
          group_of: group by raw item id, as text or as it is; the empty text for none.
          n_columns: of scores: at least the number of items.
        """
        super().__init__(name="groups")
        by_text = {str(item): group for item, group in group_of.items()}
        of_items = [by_text.get(str(item), "") for item in vocabulary.ids]
        names = sorted({name for name in of_items if name})
        # After the groups: items of none, which no name asks for; and names that no item has, pads included.
        self._n_codes = len(names) + 2
        codes = {"": len(names), **{name: code for code, name in enumerate(names)}}
        of_columns = np.full(n_columns, len(names), np.int32)
        of_columns[: len(of_items)] = [codes[name] for name in of_items]
        self._of_columns = tf.constant(of_columns) if names else None
        keys = tf.constant(names or ["-"])
        values = tf.range(len(names)) if names else tf.constant([1])
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, values), len(names) + 1
        )

    def penalties(self, allowed: tf.Tensor) -> tf.Tensor:
        """Turns names of groups, string [n, n_names], into what is added to scores by group, [n, n_codes].

        A row that names none, its names being all empty, allows everything; else all but its groups is at minus
        infinity.
        """
        is_restricted = tf.reduce_any(tf.not_equal(allowed, ""), axis=1, keepdims=True)
        n_rows = tf.shape(allowed)[0]
        start = tf.broadcast_to(tf.where(is_restricted, -np.inf, 0.0), [n_rows, self._n_codes])
        codes = self._table.lookup(allowed)
        rows = tf.broadcast_to(tf.range(n_rows)[:, tf.newaxis], tf.shape(codes))
        return tf.tensor_scatter_nd_update(
            start, tf.stack([rows, codes], axis=-1), tf.zeros_like(codes, tf.float32)
        )

    def of_columns(self, penalties: tf.Tensor) -> tf.Tensor:
        """Returns what is added to the scores of the columns, [n, n_columns], or [n, 1] if no item has a group."""
        if self._of_columns is None:
            return penalties[:, :1]
        return tf.gather(penalties, self._of_columns, axis=1)
