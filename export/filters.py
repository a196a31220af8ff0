"""What may be recommended: by a request, by group, and by what is in stock, as penalties on scores."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


class Filters(NamedTuple):
    """What a call leaves out.

    Attributes:
      excluded_rows: int32 [n, n_excluded], items, -1 for none.
      exclude_seen: bool [n], whether the items that the session has seen are left out too.
      allow_groups: string [n, n_groups], the only groups recommended from; empty text for none, all if there is none.
    """

    excluded_rows: tf.Tensor
    exclude_seen: tf.Tensor
    allow_groups: tf.Tensor


class Availability(tf.Module):
    """Which items are out of stock or withdrawn: changed while the model is served, and kept beside it.

    What is added to the items' scores: 0 where an item may be recommended, else minus infinity.

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


class Groups(tf.Module):
    """Groups of items, such as categories: which group each item is of; an item may be of none.

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


def exclude(scores: tf.Tensor, seen_rows: tf.Tensor) -> tf.Tensor:
    """Sets the scores [n, n_items] of seen rows [n, n_seen] to minus infinity; a row of -1 is none.

    >>> exclude(tf.zeros([1, 3]), tf.constant([[2, -1]])).numpy().tolist()
    [[0.0, 0.0, -inf]]
    """
    batch_index = tf.broadcast_to(tf.range(tf.shape(seen_rows)[0])[:, tf.newaxis], tf.shape(seen_rows))
    places = tf.stack([batch_index, tf.maximum(seen_rows, 0)], axis=-1)
    return tf.tensor_scatter_nd_min(scores, places, tf.where(seen_rows >= 0, -np.inf, np.inf))
