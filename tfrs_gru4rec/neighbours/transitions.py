"""First-order item-to-item transitions: what was clicked right after the last item."""

from tfrs_gru4rec.neighbours.sequential_rules import SequentialRules
from tfrs_gru4rec.pipelines.session_log import SessionLog


class Transitions(SequentialRules):
    """score(j | last item i) = share of the clicks on i that j directly followed in a training session.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("abacab"), "Time": range(6)})
    >>> log = SessionLog.from_frame(frame)
    >>> Transitions(log).ranks(log).tolist()  # after a came b twice and c once
    [1.0, 2.0, 1.0]
    """

    def __init__(self, log: SessionLog) -> None:
        """Counts which item followed which in a training log."""
        super().__init__(log, max_distance=1, n_top=None, n_clicks=1)
