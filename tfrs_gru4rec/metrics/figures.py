"""What a rank is worth in a list of k items: the one definition of recall@k and MRR@k.

With one target for each prediction, recall@k is the mean of `hits_at`, and MRR@k that of `reciprocal_ranks_at`.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import EvaluationConfig

DEFAULT_K = EvaluationConfig.k


def hits_at(ranks: Any, k: int) -> Any:
    """Returns 1 where the rank is at most k, else 0.

    Args:
      ranks: `[n]`, floating point, NumPy array or tensor; 1 is the best.
      k: length of the list of recommendations.

    Returns:
      `[n]`, of the same kind and type.

    Example:
      >>> import numpy as np
      >>> hits_at(np.array([1.0, 2.0, 2.5, 40.0]), 2).tolist()
      [1.0, 1.0, 0.0, 0.0]
    """
    is_hit = ranks <= k
    return tf.cast(is_hit, ranks.dtype) if tf.is_tensor(ranks) else is_hit.astype(ranks.dtype)


def reciprocal_ranks_at(ranks: Any, k: int) -> Any:
    """Returns 1 / rank where the rank is at most k, else 0; arguments and result as for `hits_at`.

    Example:
      >>> import numpy as np
      >>> reciprocal_ranks_at(np.array([1.0, 2.0, 2.5, 40.0]), 2).tolist()
      [1.0, 0.5, 0.0, 0.0]
    """
    return hits_at(ranks, k) / ranks


def require_list_lengths(k: Sequence[int]) -> None:
    """Raises ValueError unless k names at least one list length, each above 0.

    Example:
      >>> require_list_lengths((5, 0))
      Traceback (most recent call last):
      ValueError: k must name list lengths above 0. Received: k=(5, 0).
    """
    require(len(k) > 0 and all(each > 0 for each in k), "k must name list lengths above 0.", k=tuple(k))
