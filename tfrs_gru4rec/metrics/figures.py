"""What an evaluation found: ranks of the true next items, and recall and MRR made from them. Pure NumPy."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.config import EvaluationConfig

DEFAULT_K = EvaluationConfig.k
_LAST_POSITION = 10
_TENTHS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Ranks of the next items of a test log, one for each pair.

    Attributes:
      ranks: float [n_pairs], 1 is best; half ranks occur under the median tie rule.
      positions: int [n_pairs], events of the session that were seen before the prediction, 1 or more.
      dropped_events: test events left out because their item was not trained.
      seconds: time taken.
      targets: int [n_pairs], rows of the true next items; None if they were not kept.
    """

    ranks: np.ndarray
    positions: np.ndarray
    dropped_events: int = 0
    seconds: float = 0.0
    targets: np.ndarray | None = None

    def recall(self, k: int) -> float:
        """Returns recall@k: the share of ranks ≤ k."""
        require_positive(k=k)
        return float(np.mean(self.ranks <= k))

    def mrr(self, k: int) -> float:
        """Returns MRR@k: the mean of 1 / rank where rank ≤ k, else 0."""
        require_positive(k=k)
        return float(np.mean(np.where(self.ranks <= k, 1.0 / self.ranks, 0.0)))

    def at_position(self, first: int, last: int | None = None) -> "Evaluation":
        """Returns the part whose position lies in first..last (both included; last None = to the end)."""
        chosen = self.positions >= first
        if last is not None:
            chosen &= self.positions <= last
        return self._part(chosen)

    def _part(self, chosen: np.ndarray) -> "Evaluation":
        targets = None if self.targets is None else self.targets[chosen]
        return Evaluation(
            self.ranks[chosen], self.positions[chosen], self.dropped_events, self.seconds, targets
        )

    def figures(self, k: Sequence[int] = DEFAULT_K) -> dict[str, Any]:
        """Returns `recall` and `mrr` by k as for JSON: {"recall": {"20": 0.51, …}, "mrr": {…}}."""
        return {
            "recall": {str(each): self.recall(each) for each in k},
            "mrr": {str(each): self.mrr(each) for each in k},
        }

    def by_position(self, k: int = 20) -> dict[str, dict[str, float]]:
        """Returns recall, MRR and pairs by position in the session: "1", "2", … and one row for all later ones."""
        ranges = [(place, place) for place in range(1, _LAST_POSITION)] + [(_LAST_POSITION, None)]
        table = {}
        for first, last in ranges:
            part = self.at_position(first, last)
            if len(part.ranks):
                name = str(first) if last else f"{first}+"
                table[name] = part._row(k)
        return table

    def by_popularity(self, counts: np.ndarray, k: int = 20) -> dict[str, dict[str, float]]:
        """Returns recall, MRR and pairs by how popular the true next item is in training.

        Args:
          counts: int [n_items], events of each item in the training log.
          k: list length.

        Returns:
          Rows "1", the most popular tenth of the items, to "10", the least popular; tenths without a pair are left out.

        Raises:
          ValueError: the targets were not kept.
        """
        if self.targets is None:
            raise ValueError("Recall by popularity needs the targets. Received: targets=None.")
        order = np.argsort(-np.asarray(counts), kind="stable")
        tenth = np.empty(len(order), np.int64)
        tenth[order] = np.arange(len(order)) * _TENTHS // len(order) + 1
        of_pair = tenth[self.targets]
        return {str(each): self._part(of_pair == each)._row(k) for each in np.unique(of_pair)}

    def _row(self, k: int) -> dict[str, float]:
        return {"recall": self.recall(k), "mrr": self.mrr(k), "events": float(len(self.ranks))}


def check_k(k: Sequence[int]) -> None:
    """Raises ValueError unless k names at least one list length, each above 0."""
    require(len(k) > 0 and all(each > 0 for each in k), "k must name list lengths above 0.", k=tuple(k))
