"""Item neighbours: what the latest sessions of an item hold besides it.

A session kNN (V-SkNN, `session_knn`) in which every session that holds one of the last clicks' items votes by its
similarity alone is linear in the clicks, so it is a table (`item_to_item`):

    table[i, j] = idf(j) * sum over the n_sessions latest sessions with i of 2 ** (-age / half_life) * [j is in it]
    idf(j)      = log(number of sessions / number of those with j)

age is the number of later sessions with i. The latest sessions count most, so that a table follows what is popular
with what now. A session of earlier logs weighs `decay` a log, in the sum and in idf, and goes on to age; all the
sessions that were among the `n_sessions` latest of their log stay.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from tfrs_gru4rec import checks
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, N_TOP, Counted, ItemToItem, scaled, table_of
from tfrs_gru4rec.neighbours.session_knn import from_end, keep, sessions_of_items
from tfrs_gru4rec.pipelines.session_log import SessionLog


class ItemKNN(ItemToItem):
    """The neighbours of the module.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("abacde"), "Time": range(6)})
      >>> log = SessionLog.from_frame(frame)
      >>> a, b, c = log.vocabulary.rows(np.array(["a", "b", "c"], object))
      >>> table = ItemKNN(log, half_life=1).table  # of the sessions of a, that with b is one older
      >>> [round(float(table[a, each]), 3) for each in (b, c)], round(float(np.log(3)), 3)
      ([0.549, 1.099], 1.099)
    """

    def __init__(
        self,
        log: SessionLog,
        n_sessions: int = 200,
        half_life: float = 40.0,
        n_top: int | None = N_TOP,
        n_clicks: int = N_CLICKS,
        before: Counted | None = None,
        decay: float = 1.0,
    ) -> None:
        """Counts the neighbours in a training log.

        Args:
          log: the training log.
          n_sessions: latest sessions of an item that count.
          half_life: sessions of an item after which one counts half.
          n_top: neighbours kept for an item; None keeps all.
          n_clicks: latest clicks of a session that count.
          before: what earlier logs gave, in this log's rows; None for nothing. `seen` are the sessions with an item.
          decay: what a session of earlier logs weighs.

        Raises:
          ValueError: a number is out of its range.
        """
        checks.require_at_least(1, n_sessions=n_sessions)
        checks.require_positive(half_life=half_life)
        holders = sessions_of_items(log)
        held = np.diff(holders.indptr)
        before = before or Counted.nothing(len(held))
        old_idf = _idf(before.seen, before.n_sessions)
        # What every session had weighed nothing, and stays without weight.
        without_idf = np.divide(1, old_idf, out=np.zeros(len(held)), where=old_idf > 0)
        old = scaled(before.table, decay * 0.5 ** (held / half_life), without_idf)
        seen, n_counted = held + decay * before.seen, log.n_sessions + decay * before.n_sessions
        idf = _idf(seen, n_counted)
        latest = keep(holders, from_end(holders) <= n_sessions)
        latest.data = 0.5 ** ((from_end(latest) - 1) / half_life)
        sessions = holders.T.tocsr()

        def rows(block: slice) -> sparse.csr_array:
            return scaled(sparse.csr_array(latest[block] @ sessions) + old[block], columns=idf)

        table = table_of(rows, latest @ np.diff(sessions.indptr) + np.diff(old.indptr), n_top)
        super().__init__(log, Counted(table, seen, n_counted), n_clicks)


def _idf(seen: np.ndarray, n_sessions: float) -> np.ndarray:
    return np.log(max(n_sessions, 1.0) / np.maximum(seen, 1.0))
