"""What a trained model has learned of its items: which are near each other, and which it prefers in any session."""

import numpy as np


def nearest_rows(weights: np.ndarray, row: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the items whose weights point in the direction most like an item's.

    Args:
      weights: [n_items, units].
      row: of the item.
      k: how many others to find.

    Returns:
      rows int64 [min(k, n_items - 1)] and the cosines of the angles, falling; the item itself is left out.

    >>> rows, cosines = nearest_rows(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]]), row=1, k=2)
    >>> rows.tolist(), cosines.tolist()
    ([2, 0], [0.8, 0.0])
    """
    lengths = np.linalg.norm(weights, axis=1)
    lengths[lengths == 0] = 1  # an item that has learned nothing is at right angles to all
    cosines = weights @ weights[row] / (lengths * lengths[row])
    rows = largest_rows(np.where(np.arange(len(weights)) == row, -np.inf, cosines), min(k, len(weights) - 1))
    return rows, cosines[rows]


def largest_rows(values: np.ndarray, k: int) -> np.ndarray:
    """Returns the rows of the k largest values [n_items], falling; of equal ones the first come first.

    >>> largest_rows(np.array([0.5, 2.0, 2.0, 1.0]), k=3).tolist()
    [1, 2, 3]
    """
    return np.argsort(-values, kind="stable")[:k]
