"""Recall@k and MRR@k as Keras metrics over ranks, for validation while a model trains."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.checks import require_at_least
from tfrs_gru4rec.metrics.figures import hits_at, reciprocal_ranks_at


class _MeanAtK(keras.metrics.Mean):
    """Weighted mean over events of what a rank is worth at k.

    Sums are kept in float64: in float32 counting ends at 2**24 events.
    """

    _value_at: Callable[[tf.Tensor, int], tf.Tensor]
    _short_name: str

    def __init__(self, k: int = 20, name: str | None = None, dtype: Any = "float64") -> None:
        """Makes an empty mean for lists of k items, named `recall_at_<k>` or `mrr_at_<k>` unless a name is given.

        Raises:
          ValueError: k is below 1.
        """
        require_at_least(1, k=k)
        super().__init__(name=name or f"{self._short_name}_at_{k}", dtype=dtype)
        self.k = k

    def update_state(self, ranks: tf.Tensor, sample_weight: tf.Tensor | None = None) -> Any:
        """Adds the ranks `[n]` of events, 1 the best; a weight of 0 leaves a padded row out, None weighs all alike."""
        values = type(self)._value_at(tf.cast(ranks, self.dtype), self.k)
        return super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal, empty metric."""
        return {"k": self.k, "name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class Recall(_MeanAtK):
    """Recall@k with one target for each event: the share of ranks that are at most k.

    >>> float(Recall(k=5)(tf.constant([1.0, 2.0, 5.0, 6.0])))
    0.75
    """

    _value_at = staticmethod(hits_at)
    _short_name = "recall"


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class MRR(_MeanAtK):
    """MRR@k, mean reciprocal rank: the mean of 1 / rank, where a rank above k counts as 0.

    >>> float(MRR(k=5)(tf.constant([1.0, 2.0, 4.0, 6.0])))  # (1 + 1/2 + 1/4 + 0) / 4
    0.4375
    """

    _value_at = staticmethod(reciprocal_ranks_at)
    _short_name = "mrr"
