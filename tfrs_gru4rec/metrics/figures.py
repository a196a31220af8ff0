"""What a rank is worth in a list of k items: the one definition of recall, MRR, NDCG and precision at k.

With one target for each prediction, each figure is a mean over predictions: recall@k that of `hits_at`, MRR@k that of
`reciprocal_ranks_at`, NDCG@k that of `discounted_gains_at`; precision@k is recall@k / k.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import EvaluationConfig

DEFAULT_K = EvaluationConfig.k


def hits_at(ranks: Any, k: int) -> Any:
    """Returns 1 where the rank is at most k, else 0, for ranks `[n]`: a floating point NumPy array, or a tensor.

    >>> import numpy as np
    >>> hits_at(np.array([1.0, 2.0, 2.5, 40.0]), 2).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    is_hit = ranks <= k
    return tf.cast(is_hit, ranks.dtype) if tf.is_tensor(ranks) else is_hit.astype(ranks.dtype)


def reciprocal_ranks_at(ranks: Any, k: int) -> Any:
    """Returns 1 / rank where the rank is at most k, else 0; ranks as for `hits_at`.

    >>> import numpy as np
    >>> reciprocal_ranks_at(np.array([1.0, 2.0, 2.5, 40.0]), 2).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return hits_at(ranks, k) / ranks


def discounted_gains_at(ranks: np.ndarray, k: int) -> np.ndarray:
    """Returns 1 / log2(1 + rank) where the rank is at most k, else 0, float [n]; the best list of one target has 1.

    Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques".

    >>> discounted_gains_at(np.array([1.0, 3.0, 40.0]), 20).tolist()
    [1.0, 0.5, 0.0]
    """
    return hits_at(ranks, k) / np.log2(1 + ranks)


FIGURES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "recall": hits_at,
    "mrr": reciprocal_ranks_at,
    "ndcg": discounted_gains_at,
    "precision": lambda ranks, k: hits_at(ranks, k) / k,
}


def require_list_lengths(k: Sequence[int]) -> None:
    """Raises ValueError unless k names at least one list length, each above 0.

    >>> require_list_lengths((5, 0))
    Traceback (most recent call last):
    ValueError: k must name list lengths above 0. Received: k=(5, 0).
    """
    require(len(k) > 0 and all(each > 0 for each in k), "k must name list lengths above 0.", k=tuple(k))
