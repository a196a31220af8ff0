"""Rank of the target among all items, under a stated tie rule."""

from typing import Any

import tensorflow as tf

from tfrs_gru4rec import checks
from tfrs_gru4rec.config import TIES


def tie_ranks(above: Any, level: Any, tie: str) -> Any:
    """Turns counts into ranks `[n]`, 1 the best: the one place that says what a tie means.

        standard:     1 + above
        conservative: above + level
        median:       the mean of both

    Args:
      above: `[n]`, floating point, NumPy array or tensor: items before the target.
      level: `[n]`, of the same kind: items level with the target, the target itself included, so 1 or more.
      tie: one of `TIES`.

    Raises:
      ValueError: the tie rule is none of these.

    Two items score more than the target, and two others score the same.

    >>> [float(tie_ranks(2.0, 3.0, tie)) for tie in ("standard", "conservative", "median")]
    [3.0, 5.0, 4.0]
    """
    checks.require_one_of(TIES, tie=tie)
    standard, conservative = 1 + above, above + level
    return {"standard": standard, "conservative": conservative, "median": (standard + conservative) / 2}[tie]


def ranks(
    scores: tf.Tensor, target_rows: tf.Tensor, tie: str = "standard", items_first: bool = False
) -> tf.Tensor:
    """Ranks each row's target among all columns, 1 the best.

    A NaN is the worst case for the target: a NaN score counts as above it, and a target that is NaN
    itself has every item above or level with it. So a model that diverged ranks last, never first.

    Args:
      scores: `[n, n_items]`, floating point.
      target_rows: `[n]`, integer, the target's column in each row.
      tie: one of `TIES`, see `tie_ranks`.
      items_first: whether scores are `[n_items, n]`.

    Returns:
      `[n]`, float32, from 1 to n_items (exact up to 2**24 items).

    Raises:
      ValueError: the tie rule is none of these.

    >>> scores = tf.constant([[3.0, 2.0, 2.0, 0.0]])
    >>> ranks(scores, tf.constant([1]), "conservative").numpy().tolist()
    [3.0]
    """
    axis = 0 if items_first else 1
    numbers = tf.range(tf.size(target_rows), dtype=target_rows.dtype)
    places = [target_rows, numbers] if items_first else [numbers, target_rows]
    target = tf.expand_dims(tf.gather_nd(scores, tf.stack(places, axis=1)), axis)
    n_items = tf.shape(scores)[axis]
    # What is below is counted, not what is above: a comparison with a NaN is false, so that NaNs end up
    # above. (Negating the comparison would not do: TensorFlow's optimizer turns it round.)
    above = tf.minimum(n_items - _count(scores <= target, axis), n_items - 1)
    level = n_items - _count(scores < target, axis) - above
    return tie_ranks(tf.cast(above, tf.float32), tf.cast(level, tf.float32), tie)


def _count(marked: tf.Tensor, axis: int) -> tf.Tensor:
    """Number of True along an axis, `[n]`, int32."""
    return tf.reduce_sum(tf.cast(marked, tf.int32), axis)
