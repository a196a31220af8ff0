"""Sequential rules: what is clicked later in a session, the sooner the stronger.

Ludewig and Jannach 2018, "Evaluation of Session-based Recommendation Algorithms", arXiv:1803.09587, SR, with each
item's row divided by its number of clicks n(i), and over several of the last clicks (`item_to_item`):

    table[i, j] = sum over clicks on i, and on j d clicks later in the session, 1 <= d <= max_distance, of 1 / d / n(i)

Of earlier logs both the sum and n(i) weigh `decay` a log.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, N_TOP, Counted, ItemToItem, scaled, table_of
from tfrs_gru4rec.pipelines.session_log import SessionLog


class SequentialRules(ItemToItem):
    """The rules of the module.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 1, 2], "ItemId": list("abca"), "Time": range(4)})
      >>> log = SessionLog.from_frame(frame)
      >>> a, b, c = log.vocabulary.rows(np.array(["a", "b", "c"], object))
      >>> rules = SequentialRules(log)  # a has two clicks; b comes right after one of them, c two later
      >>> float(rules.table[a, b]), float(rules.table[a, c]), float(rules.table[b, c])
      (0.5, 0.25, 1.0)
    """

    def __init__(
        self,
        log: SessionLog,
        max_distance: int = 10,
        n_top: int | None = N_TOP,
        n_clicks: int = N_CLICKS,
        before: Counted | None = None,
        decay: float = 1.0,
    ) -> None:
        """Counts the rules of a training log.

        Args:
          log: the training log.
          max_distance: clicks between an item and what is counted as later.
          n_top: later items kept for an item; None keeps all.
          n_clicks: latest clicks of a session that count.
          before: what earlier logs gave, in this log's rows; None for nothing. `seen` are an item's clicks.
          decay: what a click of earlier logs weighs.

        Raises:
          ValueError: a number is out of its range.
        """
        checks.require_at_least(1, max_distance=max_distance)
        max_distance = min(max_distance, max(1, int(log.lengths.max(initial=0)) - 1))
        clicks = np.bincount(log.items, minlength=log.vocabulary.n_items)
        by_item, first = np.argsort(log.items, kind="stable"), np.concatenate([[0], np.cumsum(clicks)])
        before = before or Counted.nothing(len(clicks))
        old, seen = scaled(before.table, decay * before.seen), clicks + decay * before.seen
        ends = np.repeat(log.offsets[1:], log.lengths)

        def rows(block: slice) -> sparse.csr_array:
            events = by_item[first[block.start] : first[block.stop]]
            later = events[:, np.newaxis] + np.arange(1, max_distance + 1)
            places, distances = np.nonzero(later < ends[events][:, np.newaxis])
            items = log.items[events[places]]
            parts = (1 / (distances + 1), (items - block.start, log.items[later[places, distances]]))
            # Equal pairs are added up.
            sums = sparse.csr_array(parts, shape=(block.stop - block.start, len(clicks))) + old[block]
            return scaled(sums, 1 / np.maximum(seen[block], np.finfo(float).tiny))

        table = table_of(rows, max_distance * clicks + np.diff(old.indptr), n_top)
        counted = Counted(table, seen, log.n_sessions + decay * before.n_sessions)
        super().__init__(log, counted, n_clicks)
