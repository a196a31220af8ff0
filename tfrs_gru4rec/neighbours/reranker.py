"""Puts the best items of a fusion into a better order.

The N_BEST items with the highest fused scores f(j) are ranked anew. After a session of p clicks

    score(j) = f(j) + network(x(j), c)        network(x, c) = relu(relu(x A + c B + a) D + d) e

    x(j) = z(j) - max z, f(j) - max f, log(1 + s_m(j) / EPSILON) for each side m, log(1 + n(j)),
           [j is the last click], [j is an earlier one], log(place of j by f)
    c    = log p, and the mean of x

where z, s_m, n and p (which ends at N_CLICKS) are those of `fusion`, and maxima, places and means are over these items.
All others keep their order behind them; what must not be recommended is left out before. Few candidates, and a network
that knows more of each: Covington, Adams and Sargin 2016, "Deep Neural Networks for YouTube Recommendations"; one that
also sees the mean of all: Zaheer et al. 2017, "Deep Sets".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.neighbours.rerank_network import Network


class Said(NamedTuple):
    """What a fusion says of n sessions."""

    latest: tf.Tensor  # int32 [n, N_CLICKS], rows of the last items, the latest first, -1 for none
    weights: tf.Tensor  # [n, sides + 3]
    places: tf.Tensor  # int32 [n_places], different places in flattened scores that a side names
    logs: tf.Tensor  # [n_places, n_sides], log(1 + s / EPSILON) there


class Best(NamedTuple):
    """The best items of n sessions by their fused scores."""

    rows: tf.Tensor  # int32 [n, n_best]
    fused: tf.Tensor  # [n, n_best], falling; minus infinity from where on there are no more
    model: tf.Tensor  # [n, n_best], z
    popularity: tf.Tensor  # [n, n_best], log(1 + n)


def features(best: Best, said: Said, n_columns: int) -> tf.Tensor:
    """Returns x, [n, n_best, n_features], zeros where there is no item; scores have so many columns."""
    is_item = best.fused > -np.inf
    z = tf.where(is_item, best.model, -np.inf)
    clicks = best.rows[:, :, tf.newaxis] == said.latest[:, tf.newaxis]
    is_last, is_clicked = clicks[:, :, 0], tf.reduce_any(clicks, axis=2)
    place = tf.math.log1p(tf.zeros_like(z) + tf.range(z.shape[1], dtype=tf.float32))
    plain = [
        z - tf.reduce_max(z, axis=1, keepdims=True),
        best.fused - best.fused[:, :1],
        best.popularity,
        tf.cast(is_last, tf.float32),
        tf.cast(is_clicked & ~is_last, tf.float32),
        place,
    ]
    starts = tf.range(tf.shape(best.rows)[0])[:, tf.newaxis] * n_columns
    logs = _at(tf.reshape(starts + best.rows, [-1]), said)
    logs = tf.reshape(logs, [-1, z.shape[1], logs.shape[1]])
    found = tf.concat([tf.stack(plain, axis=2), logs], axis=2)
    return tf.where(is_item[:, :, tf.newaxis], found, 0.0)


def _at(wanted: tf.Tensor, said: Said) -> tf.Tensor:
    """Looks up the logarithms at different places int32 [n_wanted], 0 where no side names one."""
    distinct, index = tf.unique(tf.concat([wanted, said.places], axis=0))
    n = tf.size(wanted)
    return tf.math.unsorted_segment_sum(said.logs, index[n:], tf.size(distinct))[:n]


def session_features(found: tf.Tensor, is_item: tf.Tensor, latest: tf.Tensor) -> tf.Tensor:
    """Returns c, [n, 1 + n_features]; of features as above, and bool [n, n_best], what is an item."""
    n_items = tf.math.count_nonzero(is_item, axis=1, keepdims=True, dtype=tf.float32)
    n_clicks = tf.math.count_nonzero(latest >= 0, axis=1, keepdims=True, dtype=tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(found, axis=1), n_items)
    return tf.concat([tf.math.log(tf.maximum(n_clicks, 1.0)), mean], axis=1)


class Reranker(tf.Module):
    """The network as TensorFlow operations."""

    def __init__(self, network: Network) -> None:
        """Copies the weights."""
        super().__init__(name="reranker")
        self._network = Network(*(tf.constant(part, tf.float32) for part in network))

    def __call__(self, best: Best, said: Said, n_columns: int) -> tf.Tensor:
        """Returns the new scores [n, n_best] of the best items; those of a session without a click stay."""
        x, is_item = features(best, said, n_columns), best.fused > -np.inf
        c, network = session_features(x, is_item, said.latest), self._network
        of_sessions = tf.matmul(c, network.of_sessions) + network.bias
        hidden = _times(x, network.of_items) + of_sessions[:, tf.newaxis]
        hidden = tf.maximum(_times(tf.maximum(hidden, 0.0), network.second) + network.second_bias, 0.0)
        gains = tf.reduce_sum(hidden * network.last, axis=2)
        return best.fused + tf.where(is_item & (said.latest[:, :1] >= 0), gains, 0.0)


def _times(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Multiplies [n, n_best, n_in] by [n_in, n_out], as one product."""
    flat = tf.matmul(tf.reshape(values, [-1, weights.shape[0]]), weights)
    return tf.reshape(flat, [-1, values.shape[1], weights.shape[1]])


def behind(best: tf.Tensor, reranked: tf.Tensor) -> tf.Tensor:
    """Returns what to add to the scores of all other items, [n, 1], so that they come behind the best.

    The scores of the best are [n, n_best], before and after.

    >>> behind(tf.constant([[3.0, 2.0]]), tf.constant([[1.0, 4.0]])).numpy().tolist()  # all behind the 1
    [[-1.0]]
    """
    last = best[:, -1:]
    # Without a full list there are no others.
    return tf.where(last > -np.inf, tf.reduce_min(reranked, axis=1, keepdims=True) - last, 0.0)
