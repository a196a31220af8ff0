"""The one answer for a session without a known item: the most popular items, whoever asks."""

import numpy as np


def popularity_scores(counts: np.ndarray) -> np.ndarray:
    """Scores every item by its share of the training events.

    `recommend`, the exported SavedModels and the servers give these scores to a session without a known item; an
    evaluation has no such session, because every pair that it ranks follows a known item.

    Returns:
      log((count + 1) / (all counts + n_items)), float32 [n_items]: finite for items never seen. Items of equal count
      are recommended in the order of their rows.

    >>> np.round(7 * np.exp(popularity_scores(np.array([3, 0, 1]))), 3).tolist()
    [4.0, 1.0, 2.0]
    """
    counts = np.asarray(counts, np.float64)
    return np.log((counts + 1.0) / (counts.sum() + len(counts))).astype(np.float32)
