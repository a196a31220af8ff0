"""How baselines are measured: the pairs of a test log, and ranks under a tie rule.

A baseline orders the catalogue by score, and items of equal score by popularity, their number of events in
the training log. So an item that a baseline knows nothing about, of score zero, has a rank all the same:
behind every item with a score, by popularity. That favours the baseline, and leaves nothing to the order of
rows. What is level in both falls under the tie rule, the same as in the model's evaluation:

    standard:     1 + #(items before the target)
    conservative: #(items before or level with the target, itself included)
    median:       the mean of both
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrs_gru4rec import checks
from tfrs_gru4rec.config import TIES
from tfrs_gru4rec.pipelines.session_log import SessionLog


@dataclasses.dataclass(frozen=True, eq=False)
class TestPairs:
    """Next-click questions of a log, in the order of its events.

    Attributes:
      starts: int64 [n_pairs], index of the first event of the pair's session.
      positions: int64 [n_pairs], number of clicks seen, 1 for a session's first question.
      inputs: int32 [n_pairs], row of the last item seen.
      targets: int32 [n_pairs], row of the item clicked next.
    """

    __test__ = False  # Not a test class, whatever its name tells pytest.

    starts: np.ndarray
    positions: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, chosen: np.ndarray) -> TestPairs:
        """Returns the pairs at some indices, int [n]."""
        columns = (self.starts, self.positions, self.inputs, self.targets)
        return TestPairs(*(column[chosen] for column in columns))


def test_pairs(log: SessionLog) -> TestPairs:
    """Lists the pairs (clicks so far, next click) of a log; a session of length L has L - 1."""
    lengths = np.diff(log.offsets)
    event = np.arange(log.items.size)
    starts = np.repeat(log.offsets[:-1], lengths)
    last = np.flatnonzero(event + 1 < np.repeat(log.offsets[1:], lengths))
    return TestPairs(starts[last], last - starts[last] + 1, log.items[last], log.items[last + 1])


test_pairs.__test__ = False  # type: ignore[attr-defined]


def sample_pairs(pairs: TestPairs, max_pairs: int | None, seed: int) -> TestPairs:
    """Returns at most `max_pairs` of the pairs, drawn without replacement, in their order; None takes all."""
    if max_pairs is None or len(pairs) <= max_pairs:
        return pairs
    checks.require_at_least(1, max_pairs=max_pairs)
    chosen = np.random.default_rng(seed).choice(len(pairs), max_pairs, replace=False)
    return pairs.take(np.sort(chosen))


class PopularityOrder:
    """The catalogue by events in the training log."""

    def __init__(self, counts: np.ndarray) -> None:
        """Keeps counts, int64 [n_items]."""
        self.counts = counts
        self._rising = np.sort(counts)

    def above(self, items: np.ndarray) -> np.ndarray:
        """Number of items more popular than each given one, int64 [n]."""
        return self.counts.size - np.searchsorted(self._rising, self.counts[items], side="right")

    def level(self, items: np.ndarray) -> np.ndarray:
        """Number of items as popular as each given one, itself included, int64 [n]."""
        own = self.counts[items]
        return np.searchsorted(self._rising, own, side="right") - np.searchsorted(self._rising, own)


def tie_ranks(above: np.ndarray, level: np.ndarray, tie: str) -> np.ndarray:
    """Ranks from the number of items before the target and level with it, itself included; float64 [n]."""
    checks.require_one_of(TIES, tie=tie)
    standard = 1.0 + above
    conservative = (above + level).astype(np.float64)
    return {"standard": standard, "conservative": conservative, "median": (standard + conservative) / 2}[tie]


def sparse_ranks(
    rows: np.ndarray,
    items: np.ndarray,
    scores: np.ndarray,
    targets: np.ndarray,
    popularity: PopularityOrder,
    tie: str,
) -> np.ndarray:
    """Ranks targets where few items have a score.

    Args:
      rows: int64 [n_scores], which question a score belongs to.
      items: int64 [n_scores], the item scored; at most once a question.
      scores: float64 [n_scores], not negative; items not listed have score zero.
      targets: int64 [n], the item asked for by each question.
      popularity: order of items of equal score.
      tie: one of `TIES`.

    Returns:
      float64 [n].
    """
    scored = scores > 0
    rows, items, scores = rows[scored], items[scored], scores[scored]
    own = np.zeros(targets.size)
    hit = items == targets[rows]
    own[rows[hit]] = scores[hit]

    def count(condition: np.ndarray) -> np.ndarray:
        return np.bincount(rows[condition], minlength=targets.size)

    more_popular = popularity.counts[items] > popularity.counts[targets][rows]
    as_popular = popularity.counts[items] == popularity.counts[targets][rows]
    same_score = scores == own[rows]
    above = count((scores > own[rows]) | (same_score & more_popular))
    level = count(same_score & as_popular)
    # A target without a score competes by popularity with the items that are not listed.
    unknown = own == 0
    above += np.where(unknown, popularity.above(targets) - count(more_popular), 0)
    level += np.where(unknown, popularity.level(targets) - count(as_popular), 0)
    return tie_ranks(above, level, tie)
