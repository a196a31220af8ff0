"""What an evaluation found: the ranks of the true next items of a log, and the figures made from them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.metrics.bootstrap import bootstrap_means
from tfrs_gru4rec.metrics.figures import (
    DEFAULT_K,
    FIGURES,
    hits_at,
    reciprocal_ranks_at,
    require_list_lengths,
)

_LAST_POSITION = 10
_TENTHS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class RankedPairs:
    """Ranks of the true next items of a log, one for each pair (events so far, next event).

    Attributes:
      ranks: float [n_pairs], 1 is best; half ranks occur under the median tie rule.
      positions: int [n_pairs], events of the session that were seen before the prediction, 1 or more.
      dropped_events: events of the log left out because their item was not trained.
      seconds: time taken.
      targets: int [n_pairs], rows of the true next items; None if they were not kept.
      events: int64 [n_pairs], index in the log of the next event, which names the pair: of two evaluations of one log
        those of the same pairs are equal, and events - positions is the first event of the pair's session. None if
        they were not kept.
      missed: int64 [n], the session of each pair of the log that has an unknown item, as events - positions names it,
        or by a number below 0 if the session has no known item; None if not all other pairs of the log are here.

    >>> found = RankedPairs(np.array([1.0, 2.0, 4.0, 20.0]), np.array([1, 1, 2, 12]))
    >>> found.recall(2), found.mrr(2)
    (0.5, 0.375)
    >>> found.at_position(2).recall(20)
    1.0
    >>> found.figures(k=(1, 5))["mrr"]
    {'1': 0.25, '5': 0.4375}
    """

    ranks: np.ndarray
    positions: np.ndarray
    dropped_events: int = 0
    seconds: float = 0.0
    targets: np.ndarray | None = None
    events: np.ndarray | None = None
    missed: np.ndarray | None = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def recall(self, k: int) -> float:
        """Returns recall@k: the share of ranks that are at most k."""
        require_positive(k=k)
        return float(np.mean(hits_at(self.ranks.astype(np.float64), k)))

    def mrr(self, k: int) -> float:
        """Returns MRR@k: the mean of 1 / rank, where a rank above k counts as 0."""
        require_positive(k=k)
        return float(np.mean(reciprocal_ranks_at(self.ranks.astype(np.float64), k)))

    def figures(self, k: Sequence[int] = DEFAULT_K) -> dict[str, Any]:
        """Returns recall, MRR, NDCG and precision by k as for JSON: {"recall": {"20": 0.51, …}, "mrr": {…}, …}."""
        require_list_lengths(k)
        return _by_name([float(np.mean(column)) for column in self._columns(k)], k)

    def of_all_pairs(self) -> "RankedPairs":
        """Returns these pairs and those with an unknown item, which are misses: of rank infinity and at position 0.

        By figures of all pairs a model is not better for knowing less. (Figures of `self` have the usual meaning: over
        the pairs of known items.)

        Raises:
          ValueError: only some pairs of the log were ranked.

        >>> found = RankedPairs(np.array([1.0, 4.0]), np.array([1, 2]), missed=np.array([0, -1]))
        >>> found.of_all_pairs().figures(k=(1, 5))["recall"]
        {'1': 0.25, '5': 0.5}
        """
        if self.missed is None:
            raise ValueError("All pairs of the log must have been ranked. Received: missed=None.")
        ranks = np.concatenate([self.ranks, np.full(len(self.missed), np.inf)])
        positions = np.concatenate([self.positions, np.zeros(len(self.missed), np.int64)])
        events = None if self.events is None else np.concatenate([self.events, self.missed])
        return RankedPairs(ranks, positions, self.dropped_events, self.seconds, events=events)

    def intervals(self, k: Sequence[int] = DEFAULT_K, seed: int = 0) -> dict[str, Any]:
        """Returns the 95 % intervals [lower end, upper end] of `figures`, by the bootstrap over sessions.

        Raises:
          ValueError: the events were not kept, or a list length is not above zero.

        >>> pairs = np.array([1, 2, 1])
        >>> RankedPairs(np.array([1.0, 3.0, 40.0]), pairs, events=np.array([1, 2, 4])).intervals(k=(5,))["recall"]
        {'5': [0.0, 1.0]}
        """
        require_list_lengths(k)
        _, intervals = bootstrap_means(self._columns(k), self._sessions(), seed=seed)
        return _by_name(intervals.tolist(), k)

    def compare(self, other: "RankedPairs", k: Sequence[int] = DEFAULT_K, seed: int = 0) -> dict[str, Any]:
        """Returns by how much these figures are above those of another model on the same log.

        The difference is taken pair by pair, which leaves out what makes pairs hard for both, so that its interval is
        narrower than those of the two figures: a difference is real if its interval does not hold 0.

        Args:
          other: ranks of the same log; pairs that only one of the two has ranked are left out.
          k: list lengths.
          seed: of the resamples.

        Returns:
          As `figures`, the differences; `intervals`, their 95 % intervals; and `pairs`, how many both have ranked.

        Raises:
          ValueError: the events were not kept, no pair is common to both, the logs differ, or a list length is not
            above zero.

        >>> first = RankedPairs(np.array([1.0, 2.0]), np.array([1, 1]), events=np.array([1, 3]))
        >>> first.compare(dataclasses.replace(first, ranks=np.array([2.0, 4.0])), k=(1,))["recall"]
        {'1': 0.5}
        """
        require_list_lengths(k)
        self._sessions(), other._sessions()
        _, mine, others = np.intersect1d(self.events, other.events, assume_unique=True, return_indices=True)
        here, there = self._part(mine), other._part(others)
        rule = "Two evaluations can be compared if they have ranked pairs of one and the same log."
        is_one_log = np.array_equal(here.positions, there.positions) and np.array_equal(
            here.targets, there.targets
        )
        require(
            len(mine) > 0 and is_one_log, rule, pairs=(len(self.ranks), len(other.ranks)), common=len(mine)
        )
        columns = (one - another for one, another in zip(here._columns(k), there._columns(k), strict=True))
        differences, intervals = bootstrap_means(columns, here._sessions(), seed=seed)
        found = {"pairs": len(mine), "intervals": _by_name(intervals.tolist(), k)}
        return {**_by_name(differences.tolist(), k), **found}

    def at_position(self, first: int, last: int | None = None) -> "RankedPairs":
        """Returns the pairs whose position lies in first..last, both included; None for `last` takes all later ones."""
        is_early_enough = True if last is None else self.positions <= last
        return self._part((self.positions >= first) & is_early_enough)

    def by_position(self, k: int = 20) -> dict[str, dict[str, float]]:
        """Returns recall@k, MRR@k and the number of pairs by position in the session.

        Rows are "1" to "9", and "10+" for all later positions; those without a pair are left out.
        """
        rows = {str(place): self.at_position(place, place) for place in range(1, _LAST_POSITION)}
        rows[f"{_LAST_POSITION}+"] = self.at_position(_LAST_POSITION)
        return {name: part._row(k) for name, part in rows.items() if len(part.ranks)}

    def by_popularity(self, counts: np.ndarray, k: int = 20) -> dict[str, dict[str, float]]:
        """Returns recall@k, MRR@k and the number of pairs by how popular the true next item is in training.

        Rows are "1", the most popular tenth of the items by their events `counts`, int [n_items], to "10", the least
        popular; tenths without a pair are left out.

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

    def _part(self, chosen: np.ndarray) -> "RankedPairs":
        by_pair = ("ranks", "positions", "targets", "events")
        kept = {name: getattr(self, name) for name in by_pair}
        parts: dict[str, Any] = {
            name: None if values is None else values[chosen] for name, values in kept.items()
        }
        return dataclasses.replace(self, missed=None, **parts)

    def _columns(self, k: Sequence[int]) -> Iterator[np.ndarray]:
        """Yields what each pair is worth, float64 [n_pairs], for each figure at each list length."""
        ranks = self.ranks.astype(np.float64)
        return (value_at(ranks, each) for value_at in FIGURES.values() for each in k)

    def _sessions(self) -> np.ndarray:
        """Returns the index in the log of the first event of each pair's session, int64 [n_pairs]."""
        if self.events is None:
            raise ValueError("Sessions are known by the events of the pairs. Received: events=None.")
        return self.events - self.positions

    def _row(self, k: int) -> dict[str, float]:
        return {"recall": self.recall(k), "mrr": self.mrr(k), "events": float(len(self.ranks))}


def _by_name(values: Sequence[Any], k: Sequence[int]) -> dict[str, Any]:
    """Names the values of `RankedPairs._columns`: {"recall": {"20": …}, …}."""
    in_turn = iter(values)
    return {name: {str(each): next(in_turn) for each in k} for name in FIGURES}
