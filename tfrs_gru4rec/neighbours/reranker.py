"""Puts the best items of a fusion into a better order.

The N_BEST items with the highest fused scores f(j) are ranked anew. After a session of p clicks

    score(j) = f(j) + network(x(j), c) + lift        network(x, c) = relu(relu(x A + c B + a) D + d) e

    x(j) = z(j) - max z, f(j) - max f, l(j) - max l with l = log(1 + n), [j is the last click], [j is an earlier one],
           log(place of j by f), log(1 + s_m(j) / EPSILON) for each side m
    c    = log p, and the mean of x

where z, s_m, n and p (which ends at N_CLICKS) are those of `fusion`, and maxima, places and means are over these items.
The lift is one for all of them, and makes the least of their scores what the least f was, so that all other items keep
their scores and come behind; it is 0 where there are fewer than N_BEST. Few candidates, and a network that knows more
of each: Covington, Adams and Sargin 2016, "Deep Neural Networks for YouTube Recommendations"; one that also sees the
mean of all: Zaheer et al. 2017, "Deep Sets".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.neighbours.rerank_network import N_BEST, Network


class Said(NamedTuple):
    """What a fusion says of n sessions.

    Attributes:
      latest: int32 [n, N_CLICKS], rows of the last items, the latest first, -1 for none.
      weights: [n, sides + 3], of the sides, popularity, the last click and earlier ones.
      places: int32 [n_places], the different places in flattened scores that a side names.
      logs: [n_places, n_sides], log(1 + s / EPSILON) there.
      n_columns: of the scores.
    """

    latest: tf.Tensor
    weights: tf.Tensor
    places: tf.Tensor
    logs: tf.Tensor
    n_columns: int


def flat_places(columns: tf.Tensor, n_columns: tf.Tensor | int) -> tf.Tensor:
    """Returns where columns [n, k] of scores [n, n_columns] stand in the flattened scores.

    >>> flat_places(tf.constant([[0, 2], [1, 1]]), 3).numpy().tolist()
    [[0, 2], [4, 4]]
    """
    return tf.range(tf.shape(columns)[0])[:, tf.newaxis] * n_columns + columns


def item_features(rows: tf.Tensor, fused: tf.Tensor, popularity: tf.Tensor, said: Said) -> tf.Tensor:
    """Finds x of the best items of sessions.

    Args:
      rows: int32 [n, n_best], the items with the highest fused scores.
      fused: [n, n_best], these scores, falling; minus infinity from where on there are no more items.
      popularity: [n, n_best], log(1 + n) of these items.
      said: of the sessions.

    Returns:
      [n, n_best, n_features], zeros where there is no item.
    """
    is_item = fused > -np.inf
    clicks = rows[:, :, tf.newaxis] == said.latest[:, tf.newaxis]
    is_last = clicks[:, :, 0]
    is_earlier = tf.reduce_any(clicks, axis=2) & ~is_last
    free = tf.stack([popularity, *(tf.cast(each, tf.float32) for each in (is_last, is_earlier))], axis=2)
    logs = _logs_at(rows, said)
    # What neighbours and the session's clicks have added is taken off again.
    added = tf.concat([logs, free], axis=2) * said.weights[:, tf.newaxis]
    z = tf.where(is_item, fused - tf.reduce_sum(added, axis=2), -np.inf)
    # Leads, since counts grow from log to log: an absolute one would tell items apart in validation, and none later.
    leads = [
        each - tf.reduce_max(each, axis=1, keepdims=True)
        for each in (z, fused, tf.where(is_item, popularity, -np.inf))
    ]
    place = tf.math.log1p(tf.zeros_like(z) + tf.range(z.shape[1], dtype=tf.float32))
    found = tf.concat([tf.stack(leads, axis=2), free[:, :, 1:], place[:, :, tf.newaxis], logs], axis=2)
    return tf.where(is_item[:, :, tf.newaxis], found, 0.0)


def _logs_at(rows: tf.Tensor, said: Said) -> tf.Tensor:
    """Looks up what the sides say of items [n, n_best], different ones in each session: [n, n_best, n_sides]."""
    wanted = tf.reshape(flat_places(rows, said.n_columns), [-1])
    distinct, index = tf.unique(tf.concat([wanted, said.places], axis=0))
    n = tf.size(wanted)
    logs = tf.math.unsorted_segment_sum(said.logs, index[n:], tf.size(distinct))[:n]
    return tf.reshape(logs, [-1, rows.shape[1], logs.shape[1]])


def session_features(items: tf.Tensor, fused: tf.Tensor, latest: tf.Tensor) -> tf.Tensor:
    """Finds c of sessions, [n, 1 + n_features], from x of their best items [n, n_best, n_features].

    The scores [n, n_best] and latest clicks [n, N_CLICKS] are those of `item_features`.
    """
    n_items = tf.math.count_nonzero(fused > -np.inf, axis=1, keepdims=True, dtype=tf.float32)
    n_clicks = tf.math.count_nonzero(latest >= 0, axis=1, keepdims=True, dtype=tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(items, axis=1), n_items)
    return tf.concat([tf.math.log(tf.maximum(n_clicks, 1.0)), mean], axis=1)


class Reranker(tf.Module):
    """The network as TensorFlow operations."""

    def __init__(self, network: Network) -> None:
        """Copies the weights."""
        super().__init__(name="reranker")
        self._network = Network(*(tf.constant(part, tf.float32) for part in network))

    def __call__(self, rows: tf.Tensor, fused: tf.Tensor, popularity: tf.Tensor, said: Said) -> tf.Tensor:
        """Returns the new scores [n, n_best] of the best items; those of a session without a click stay.

        The arguments are those of `item_features`.
        """
        items, network = item_features(rows, fused, popularity, said), self._network
        of_session = (
            tf.matmul(session_features(items, fused, said.latest), network.of_sessions) + network.bias
        )
        hidden = tf.maximum(_times(items, network.of_items) + of_session[:, tf.newaxis], 0.0)
        hidden = tf.maximum(_times(hidden, network.second) + network.second_bias, 0.0)
        scores = fused + tf.reduce_sum(hidden * network.last, axis=2)
        # A list that is not full holds all items there are, and needs no lift.
        is_full = (fused[:, -1:] > -np.inf) & (fused.shape[1] == N_BEST)
        lift = tf.where(is_full, fused[:, -1:] - tf.reduce_min(scores, axis=1, keepdims=True), 0.0)
        return tf.where(said.latest[:, :1] >= 0, scores + lift, fused)


def _times(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Multiplies [n, n_best, n_in] by [n_in, n_out], as one product."""
    flat = tf.matmul(tf.reshape(values, [-1, weights.shape[0]]), weights)
    return tf.reshape(flat, [-1, values.shape[1], weights.shape[1]])
