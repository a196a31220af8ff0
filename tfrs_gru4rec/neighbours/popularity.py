"""The most popular items for everyone."""

from __future__ import annotations

import numpy as np

from tfrs_gru4rec.neighbours.next_clicks import PopularityOrder, TestPairs, test_pairs, tie_ranks
from tfrs_gru4rec.pipelines.session_log import SessionLog


class Popularity:
    """score(j) = number of events of item j in the training log, whatever the session."""

    def __init__(self, order: PopularityOrder) -> None:
        """Use `fit`."""
        self._order = order

    @classmethod
    def fit(cls, log: SessionLog) -> Popularity:
        """Counts the events of a training log."""
        return cls(PopularityOrder(np.bincount(log.items, minlength=len(log.vocabulary.ids))))

    def ranks(self, log: SessionLog, tie: str = "standard", pairs: TestPairs | None = None) -> np.ndarray:
        """Ranks the next clicks of a test log in the vocabulary of the training log.

        Args:
          log: the test log.
          tie: standard, conservative or median, see `protocol`.
          pairs: the pairs of `log` to rank; None takes all.

        Returns:
          float64 [n_pairs].
        """
        targets = (test_pairs(log) if pairs is None else pairs).targets
        return tie_ranks(self._order.above(targets), self._order.level(targets), tie)
