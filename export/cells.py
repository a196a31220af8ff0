"""Items in cells of near ones, each with a bound of its items' scores: what lets a search leave most of them unread.

An item's score is w·q, where w are its weights with its bias and q is the query with a 1. An item of a cell with the
centre c and w = c + e scores

    w·q = c·q + e·q <= c·q + |e M⁻¹| |M q| <= c·q + radius |M q|

by Cauchy and Schwarz, for any regular symmetric M, where the radius is the largest |e M⁻¹| of the cell. The bound is
least on average, over queries of second moment Q and offsets of second moment S, where M² is the geometric mean Q⁻¹ # S
(Pusz and Woronowicz 1975). With M = 1 it is the bound of the ball.

Cells are the leaves of a tree: each node is cut in two across the line between two means, so direction and norm both
tell. All cells have one size, so that the ones to be read are a few rows of one array.
"""

from typing import NamedTuple

import numpy as np

SIZE = 64  # items of a cell
_SAMPLE, _ROUNDS = 1024, 6  # items looked at, and rounds of two means, at each cut
_LEAST_SHARE = 8  # a side of a cut holds at least one in so many cells, so the tree stays shallow
_RIDGE = 1e-3  # of the mean variance, added to each: M is well conditioned
_PART = 1 << 16  # items at a time
_EPSILON = float(np.finfo(np.float32).eps)


class Cells(NamedTuple):
    """Cells of items.

    Attributes:
      rows: int32 [n_cells, size], the items of each; n_items where the last cell has none left.
      weights: [n_cells, width, size], theirs, zeros where there is none.
      centres: [width + 1, n_cells], with the bias last.
      radii: [n_cells], rounded up.
      metric: [width + 1, width + 1], M.
      slacks: [n_cells], times |q|: more than scores and bounds can be off by rounding.
    """

    rows: np.ndarray
    weights: np.ndarray
    centres: np.ndarray
    radii: np.ndarray
    metric: np.ndarray
    slacks: np.ndarray

    @property
    def bytes(self) -> int:
        """Size in memory and on disk."""
        return sum(part.nbytes for part in self)


def make_cells(
    table: np.ndarray, bias: np.ndarray, queries: np.ndarray, size: int = SIZE, seed: int = 0
) -> Cells:
    """Puts items into cells; a million of width 128 take about a minute.

    >>> cells = make_cells(np.eye(70, 2, dtype=np.float32), np.zeros(70, np.float32), np.ones([3, 2], np.float32))
    >>> cells.rows.shape, sorted(cells.rows.ravel()[:70].tolist()) == list(range(70))
    ((2, 64), True)

    Args:
      table: [n_items, width], the items' weights, finite.
      bias: [n_items].
      queries: [n_queries, width] such as will be asked; they make the bounds tight and nothing wrong.
      size: items of a cell.
      seed: of the samples at the cuts.

    Returns:
      The cells.
    """
    n_items, width = table.shape
    items = np.concatenate([table, bias[:, np.newaxis]], axis=1).astype(np.float32)
    order = near_order(items.copy(), size, np.random.default_rng(seed))
    items = items[order]
    starts = np.arange(0, n_items, size)
    sizes = np.diff(np.append(starts, n_items))
    centres = (np.add.reduceat(items, starts, dtype=np.float64) / sizes[:, np.newaxis]).astype(np.float32)
    offsets = items - np.repeat(centres, sizes, axis=0)
    metric = _metric(queries, offsets).astype(np.float32)
    radii = np.maximum.reduceat(_lengths(offsets, np.linalg.inv(metric.astype(np.float64))), starts)
    # A sum of so many products is off by a half of this at most, as is the length of a vector.
    error = 2 * (width + 2) * _EPSILON
    largest = np.linalg.norm(items, axis=1).max()
    shape = [len(starts), size]
    n_pads = len(starts) * size - n_items
    return Cells(
        rows=np.pad(order, [0, n_pads], constant_values=n_items).astype(np.int32).reshape(shape),
        weights=np.pad(items[:, :-1], [[0, n_pads], [0, 0]]).reshape([*shape, width]).swapaxes(1, 2).copy(),
        centres=centres.T.copy(),
        radii=(radii * (1 + error)).astype(np.float32),
        metric=metric,
        slacks=(error * (largest + np.linalg.norm(metric) * radii)).astype(np.float32),
    )


def near_order(items: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Brings items into an order in which each `size` that follow each other, from the first, are near.

    Args:
      items: [n_items, width], which come into that order.
      size: of a cell.
      random: draws the samples.

    Returns:
      Their places before, int64 [n_items].
    """
    order = np.arange(len(items))
    parts = [(0, len(items))]
    while parts:
        start, end = parts.pop()
        n_cells = -(-(end - start) // size)
        if n_cells < 2:
            continue
        part = items[start:end]
        direction, border = _cut(part, random)
        along = part @ direction
        least = max(1, n_cells // _LEAST_SHARE)
        n_below = int(np.clip(round(np.sum(along < border) / size), least, n_cells - least)) * size
        places = np.argpartition(along, n_below - 1)
        items[start:end], order[start:end] = part[places], order[start:end][places]
        parts += [(start, start + n_below), (start + n_below, end)]
    return order


def _cut(items: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.floating]:
    """Returns the direction from one of two means of a sample to the other, and where between them it is cut."""
    sample = items[random.integers(len(items), size=_SAMPLE)] if len(items) > _SAMPLE else items
    first, second = sample[random.integers(len(sample), size=2)]
    for _ in range(_ROUNDS):
        is_first = sample @ (first - second) > (first + second) @ (first - second) / 2
        if is_first.all() or not is_first.any():
            break  # equal items
        first, second = sample[is_first].mean(axis=0), sample[~is_first].mean(axis=0)
    return first - second, (first + second) @ (first - second) / 2


def _metric(queries: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns M [width + 1, width + 1] for the bounds of such queries and offsets from centres."""
    asked = np.pad(queries, [[0, 0], [0, 1]], constant_values=1.0)
    moment, covariance = (_ridged(values) for values in (asked, offsets))
    root, inverse_root = _power(moment, 0.5), _power(moment, -0.5)
    return _power(inverse_root @ _power(root @ covariance @ root, 0.5) @ inverse_root, 0.5)


def _lengths(offsets: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Returns the lengths [n] of offsets [n, width] after a transform, in double precision, some at a time."""
    parts = np.array_split(offsets, 1 + len(offsets) // _PART)
    return np.concatenate([np.linalg.norm(part @ transform, axis=1) for part in parts])


def _ridged(values: np.ndarray) -> np.ndarray:
    """Returns the second moment of rows, of mean variance 1, with a ridge; the ridge alone if it is not finite."""
    moment = (values.T @ values).astype(np.float64) / len(values)
    scale = np.trace(moment) / len(moment)
    identity = np.eye(len(moment))
    return moment / scale + _RIDGE * identity if np.isfinite(scale) and scale > 0 else identity


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Returns a power of a symmetric matrix, positive definite but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
