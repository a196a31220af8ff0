"""Sequential rules: what is clicked later in a session, the sooner the stronger.

Ludewig and Jannach 2018, "Evaluation of Session-based Recommendation Algorithms", arXiv:1803.09587, SR, with each
item's row divided by its number of clicks n(i), and over several of the last clicks (`item_to_item`):

    table[i, j] = sum over clicks on i, and on j d clicks later in the session, 1 <= d <= max_distance, of 1 / d / n(i)
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.item_to_item import CLICK_DECAY, N_CLICKS, N_TOP, ItemToItem
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
        click_decay: float = CLICK_DECAY,
    ) -> None:
        """Counts the rules of a training log.

        Args:
          log: the training log.
          max_distance: clicks between an item and what is counted as later.
          n_top: later items kept for an item; None keeps all.
          n_clicks: latest clicks of a session that count.
          click_decay: what a click weighs of the one after it.

        Raises:
          ValueError: a number is out of its range.
        """
        checks.require_at_least(1, max_distance=max_distance)
        super().__init__(log, _table(log, max_distance), n_top, n_clicks, click_decay)


def _table(log: SessionLog, max_distance: int) -> sparse.csr_array:
    n_items = log.vocabulary.n_items
    ends = np.repeat(log.offsets[1:], log.lengths)
    clicks = np.bincount(log.items, minlength=n_items)
    table = sparse.csr_array((n_items, n_items))
    for distance in range(1, min(max_distance, int(log.lengths.max(initial=1)) - 1) + 1):
        first = np.flatnonzero(np.arange(log.n_events) + distance < ends)
        items, later = log.items[first], log.items[first + distance]
        # Equal pairs are added up.
        table += sparse.csr_array((1 / (distance * clicks[items]), (items, later)), shape=table.shape)
    return table
