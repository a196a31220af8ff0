"""The most popular items for everyone."""

import numpy as np
from scipy import sparse

from tfrs_gru4rec.neighbours.baseline import Baseline
from tfrs_gru4rec.neighbours.next_clicks import NextClicks


class Popularity(Baseline):
    """Orders the items by their number of events in the training log, whatever the session.

    >>> import pandas as pd
    >>> from tfrs_gru4rec import SessionLog
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1, 2, 2], "ItemId": list("aabac"), "Time": range(5)})
    >>> log = SessionLog.from_frame(frame)
    >>> Popularity(log).ranks(log, "conservative").tolist()  # a, b, c follow; b and c are level
    [1.0, 3.0, 3.0]
    """

    def scores(self, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
        """Gives no item a score, so that popularity, which parts equal scores, decides alone."""
        return sparse.csr_array((len(clicks), self.counts.size))
