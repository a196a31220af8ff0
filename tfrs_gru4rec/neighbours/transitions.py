"""First-order item-to-item transitions: what was clicked right after the last item."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrs_gru4rec.neighbours.baseline import Baseline
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog


class Transitions(Baseline):
    """score(j | last item i) = number of times that j directly followed i in a training session.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("abacab"), "Time": range(6)})
      >>> log = SessionLog.from_frame(frame)
      >>> Transitions(log).ranks(log).tolist()  # after a came b twice and c once
      [1.0, 2.0, 1.0]
    """

    def __init__(self, log: SessionLog) -> None:
        """Counts which item followed which in a training log."""
        super().__init__(log)
        clicks, n_items = NextClicks.of(log), log.vocabulary.n_items
        ones = np.ones(len(clicks))
        # Equal pairs are added up.
        self._followed = sparse.csr_array((ones, (clicks.inputs, clicks.targets)), shape=(n_items, n_items))

    def scores(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Returns the counts of what followed the last item, [n_clicks, n_items]."""
        return self._followed[clicks.inputs]

    def work(self, items: np.ndarray, clicks: NextClicks) -> np.ndarray:
        """Returns how many different items followed the last one, int64 [n_clicks]."""
        return np.diff(self._followed.indptr)[clicks.inputs].astype(np.int64)
