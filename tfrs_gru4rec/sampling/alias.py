"""Alias tables: a draw from any fixed distribution at the price of two look-ups. Pure NumPy."""

import numpy as np

from tfrs_gru4rec.checks import require


def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Builds Walker's alias table: column i keeps i with probability keep[i], else gives alias[i].

    A uniform column, then this one choice, draws item i with probability weights[i] / sum(weights).

    The weights are scaled to mean 1. A light column, one whose weight w is below 1, lacks 1 - w; a heavy
    one has w - 1 to give. The lights are filled in order, each by the current heavy. A heavy that has given
    more than it had becomes a light itself, and the next heavy fills it. Which heavy fills which light
    follows from the running sums alone, so no loop is needed: a light is filled by the first heavy whose
    running sum of gifts reaches the running sum of what all lights before it lack. (The sweep of
    Huebschle-Schneider and Sanders, 1903.00227, with a sorted search in place of the sweep.)

    Returns:
      keep `[n]` float64 in [0, 1] and alias `[n]` int32.

    Raises:
      ValueError: weights are not `[n]`, or not finite, or one is negative, or all are zero.

    Weights 1, 3, 2 are 1/2, 3/2, 1 when scaled: half of column 0 goes to item 1.

    >>> keep, alias = alias_table(np.array([1.0, 3.0, 2.0]))
    >>> keep.tolist(), alias.tolist()
    ([0.5, 1.0, 1.0], [1, 1, 2])
    """
    weights = np.asarray(weights, np.float64)
    require(weights.ndim == 1 and weights.size > 0, "weights must be [n], n above 0.", shape=weights.shape)
    require(bool(np.all(np.isfinite(weights) & (weights >= 0))), "weights must be finite and not negative.")
    require(bool(np.any(weights > 0)), "At least one weight must be above 0.", n=weights.size)
    # Divided by the largest first: the sum of large finite weights may overflow.
    scaled = weights / weights.max()
    scaled *= weights.size / scaled.sum()
    light, heavy = np.flatnonzero(scaled < 1), np.flatnonzero(scaled >= 1)
    keep, alias = np.minimum(scaled, 1.0), np.arange(weights.size, dtype=np.int32)
    if light.size == 0:
        return keep, alias
    deficit, excess = np.cumsum(1 - scaled[light]), np.cumsum(scaled[heavy] - 1)
    before = deficit - (1 - scaled[light])
    alias[light] = heavy[np.minimum(np.searchsorted(excess, before), heavy.size - 1)]
    # The light at which each heavy but the last overspends; the last ends at exactly 1.
    overspent = np.searchsorted(deficit, excess[:-1], side="right")
    spent = overspent < light.size
    giver = heavy[:-1][spent]
    keep[giver] = np.clip(1 + excess[:-1][spent] - deficit[overspent[spent]], 0, 1)
    alias[giver] = heavy[1:][spent]
    return keep, alias
