"""First-order item-to-item transitions: what was clicked right after the last item."""

from __future__ import annotations

import numpy as np

from tfrs_gru4rec.neighbours.next_clicks import PopularityOrder, TestPairs, sparse_ranks, test_pairs
from tfrs_gru4rec.neighbours.ragged import blocks, pointers, spans
from tfrs_gru4rec.pipelines.session_log import SessionLog

_BLOCK_ENTRIES = 1 << 20


class Transitions:
    """score(j | last item i) = number of times that j directly followed i in a training session.

    Items of equal count, those that never followed i among them, go by popularity.
    """

    def __init__(
        self, begins: np.ndarray, following: np.ndarray, counts: np.ndarray, popularity: PopularityOrder
    ) -> None:
        """Use `fit`."""
        self._begins = begins
        self._following = following
        self._counts = counts
        self._popularity = popularity

    @classmethod
    def fit(cls, log: SessionLog) -> Transitions:
        """Counts the pairs of a training log."""
        n_items = len(log.vocabulary.ids)
        pairs = test_pairs(log)
        keys, counts = np.unique(pairs.inputs.astype(np.int64) * n_items + pairs.targets, return_counts=True)
        popularity = PopularityOrder(np.bincount(log.items, minlength=n_items))
        return cls(pointers(keys // n_items, n_items), keys % n_items, counts.astype(np.float64), popularity)

    def ranks(self, log: SessionLog, tie: str = "standard", pairs: TestPairs | None = None) -> np.ndarray:
        """Ranks the next clicks of a test log in the vocabulary of the training log.

        Args:
          log: the test log.
          tie: standard, conservative or median, see `protocol`.
          pairs: the pairs of `log` to rank; None takes all.

        Returns:
          float64 [n_pairs].
        """
        pairs = test_pairs(log) if pairs is None else pairs
        begins = self._begins[pairs.inputs]
        lengths = self._begins[pairs.inputs + 1] - begins
        ranks = np.empty(len(pairs))
        for block in blocks(lengths, _BLOCK_ENTRIES):
            rows, entries = spans(begins[block], lengths[block])
            following, counts = self._following[entries], self._counts[entries]
            targets = pairs.targets[block]
            ranks[block] = sparse_ranks(rows, following, counts, targets, self._popularity, tie)
        return ranks
