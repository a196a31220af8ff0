"""Items in cells of near ones, each with a bound of its items' scores: what lets a search leave most of them unread.

An item's score is w·q, where w are its weights with its bias and q is the query with a 1. An item w = c + e of a cell
with the centre c scores, by Cauchy and Schwarz,

    w·q = c·q + e·q <= c·q + radius |q|

where the radius is the largest |e| of the cell. Cells are the leaves of a tree: each node is cut in two across the
line between two means, so that direction and norm both tell. All cells have one size: those read are rows of one array.
"""

from typing import NamedTuple

import numpy as np

SIZE = 64  # items of a cell
_SAMPLE, _ROUNDS = 1024, 6  # items looked at, and rounds of two means, at each cut
_LEAST_SHARE = 8  # a side of a cut holds at least one in so many cells, so the tree stays shallow


class Cells(NamedTuple):
    """Cells of items.

    Attributes:
      rows: int32 [n_cells, size], the items of each; n_items where the last cell has none left.
      weights: [n_cells, width, size], theirs, zeros where there is none.
      centres: [width + 1, n_cells], with the bias last.
      radii: [n_cells].
      slack: times |q|: more than scores and bounds can be off by rounding.
    """

    rows: np.ndarray
    weights: np.ndarray
    centres: np.ndarray
    radii: np.ndarray
    slack: np.ndarray


def make_cells(table: np.ndarray, bias: np.ndarray, size: int = SIZE, seed: int = 0) -> Cells:
    """Puts items into cells; a million of width 128 take one to two minutes of one core.

    >>> cells = make_cells(np.eye(70, 2, dtype=np.float32), np.zeros(70, np.float32))
    >>> cells.rows.shape, sorted(cells.rows.ravel()[:70].tolist()) == list(range(70))
    ((2, 64), True)

    Args:
      table: [n_items, width], the items' weights, finite.
      bias: [n_items].
      size: items of a cell.
      seed: of the samples at the cuts.

    Returns:
      The cells.
    """
    n_items, width = table.shape
    items = np.concatenate([table, bias[:, np.newaxis]], axis=1).astype(np.float32)
    order = near_order(items, size, np.random.default_rng(seed))
    starts = np.arange(0, n_items, size)
    sizes = np.diff(np.append(starts, n_items))
    centres = (np.add.reduceat(items, starts, dtype=np.float64) / sizes[:, np.newaxis]).astype(np.float32)
    radii = np.maximum.reduceat(np.linalg.norm(items - np.repeat(centres, sizes, axis=0), axis=1), starts)
    # A float32 product of vectors so wide is off by less than this share of their lengths, and no radius is above
    # twice the longest item: so much for a score, for another one, for the product with the centre, and for the rest.
    error = (width + 2) * np.finfo(np.float32).eps
    slack = 5 * error * np.linalg.norm(items, axis=1).max()
    shape = [len(starts), size]
    n_pads = len(starts) * size - n_items
    return Cells(
        rows=np.pad(order, [0, n_pads], constant_values=n_items).astype(np.int32).reshape(shape),
        weights=np.pad(items[:, :-1], [[0, n_pads], [0, 0]]).reshape([*shape, width]).swapaxes(1, 2).copy(),
        centres=centres.T.copy(),
        radii=radii,
        slack=np.float32(slack),
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
