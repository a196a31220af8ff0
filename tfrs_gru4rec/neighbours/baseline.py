"""What all baselines share: sparse scores of the next click, ranked by one rule.

A baseline orders the catalogue by score, and items of equal score by popularity, their number of events in the
training log. So an item that a baseline knows nothing about, of score zero, has a rank all the same: behind every item
with a score, by popularity. That favours the baseline, and leaves nothing to the order of rows. What is level in both
falls under the tie rule, which is that of the model's evaluation (`tfrs_gru4rec.metrics.ranks.tie_ranks`).
"""

import abc
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

from tfrs_gru4rec.metrics.ranks import tie_ranks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

# About 20 MB a core for the parts of a session kNN, and long enough for NumPy's loops to hide Python's.
BLOCK_ENTRIES = 1 << 18


class Baseline(abc.ABC):
    """A recommender learned by counting: a subclass learns in `__init__`, and scores in `scores`.

    Attributes:
      counts: int64 [n_items], events of each item in the training log.

    A recommender of the last item once more.

    >>> import pandas as pd
    >>> class Again(Baseline):
    ...     def scores(self, items, clicks):
    ...         places = (np.arange(len(clicks)), clicks.inputs)
    ...         return sparse.csr_array((np.ones(len(clicks)), places), shape=(len(clicks), self.counts.size))
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1, 1], "ItemId": list("abba"), "Time": range(4)})
    >>> log = SessionLog.from_frame(frame)
    >>> Again(log).ranks(log).tolist()  # b after a, b after b, a after b
    [2.0, 1.0, 2.0]
    """

    def __init__(self, log: SessionLog) -> None:
        """Counts the events of a training log; test logs must be read with its vocabulary."""
        self.counts = np.bincount(log.items, minlength=log.vocabulary.n_items)
        self._rising_counts = np.sort(self.counts)

    @abc.abstractmethod
    def scores(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Scores the items that may come next; `ranks` calls it from several threads at once.

        Args:
          items: int32 [n_events], rows of the items of the log.
          clicks: questions of that log.

        Returns:
          [n_clicks, n_items], float64, not negative; an item that is not stored has score zero.
        """

    def work(self, items: np.ndarray, clicks: NextClicks) -> np.ndarray:
        """Returns how many entries it takes to score each question, int64 [n_clicks]; `ranks` cuts its blocks by it."""
        return np.ones(len(clicks), np.int64)

    def ranks(
        self,
        log: SessionLog,
        tie: str = "standard",
        clicks: NextClicks | None = None,
        block_entries: int = BLOCK_ENTRIES,
    ) -> np.ndarray:
        """Ranks the next clicks of a test log, float64 [n_clicks], 1 the best.

        Args:
          log: the test log, in the vocabulary of the training log.
          tie: standard, conservative or median, see `tfrs_gru4rec.metrics.ranks.tie_ranks`.
          clicks: the questions of `log` to answer; None takes all.
          block_entries: how many entries of `work` each core scores at a time, which bounds the memory.

        Raises:
          ValueError: the tie rule is unknown.
        """
        clicks = NextClicks.of(log) if clicks is None else clicks
        above, level = np.empty(len(clicks)), np.empty(len(clicks))

        def count(block: slice) -> None:
            asked = clicks.take(block)
            above[block], level[block] = self._before_and_level(self.scores(log.items, asked), asked.targets)

        # NumPy and SciPy let other threads run while they compute.
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(count, blocks(self.work(log.items, clicks), block_entries)))
        return tie_ranks(above, level, tie)

    def _before_and_level(
        self, scores: sparse.csr_array, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts, for each target, the items before it and those level with it, itself included."""
        rows = np.repeat(np.arange(len(targets)), np.diff(scores.indptr))
        items, values = scores.indices, scores.data
        is_target = items == targets[rows]
        own = np.zeros(len(targets))
        own[rows[is_target]] = values[is_target]
        # What scores less than the target counts nowhere, nor does what has no score.
        is_rival = (values >= own[rows]) & (values > 0)
        rows, items, values = rows[is_rival], items[is_rival], values[is_rival]

        def count(condition: np.ndarray) -> np.ndarray:
            return np.bincount(rows[condition], minlength=len(targets))

        own_counts = self.counts[targets]
        is_more_popular = self.counts[items] > own_counts[rows]
        is_as_popular = self.counts[items] == own_counts[rows]
        has_same_score = values == own[rows]
        above = count((values > own[rows]) | (has_same_score & is_more_popular))
        level = count(has_same_score & is_as_popular)
        # A target without a score competes by popularity with the other items that have none.
        first_above = np.searchsorted(self._rising_counts, own_counts, side="right")
        first_level = np.searchsorted(self._rising_counts, own_counts)
        has_no_score = own == 0
        above += has_no_score * (self.counts.size - first_above - count(is_more_popular))
        level += has_no_score * (first_above - first_level - count(is_as_popular))
        return above, level


def blocks(work: np.ndarray, limit: int) -> Iterator[slice]:
    """Cuts a sequence into runs whose work adds up to at most `limit`; a longer element is a run by itself."""
    total = np.cumsum(work)
    begin = 0
    while begin < work.size:
        done = total[begin - 1] if begin else 0
        end = max(int(np.searchsorted(total, done + limit, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end
