"""Which epoch of a run is the best in validation, by the records of the epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

# As Keras names them where `fit` is given `validation_data`.
RECALL, MRR = "val_recall_at_20", "val_mrr_at_20"


def best_epoch(records: Sequence[Mapping[str, Any]]) -> int | None:
    """Returns the index of the epoch with the highest recall@20 in validation, of equal ones the first.

    None if no epoch was measured.

    >>> best_epoch([{RECALL: 0.3}, {RECALL: 0.4}, {RECALL: 0.4}]), best_epoch([{"loss": 0.7}])
    (1, None)
    """
    measured = [place for place, record in enumerate(records) if RECALL in record]
    return max(measured, key=lambda place: float(records[place][RECALL]), default=None)


def is_past_the_best(records: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Tells whether the best epoch lies `patience` epochs back, or more; with a patience of 0 it never does.

    >>> records = [{RECALL: 0.4}, {RECALL: 0.3}, {RECALL: 0.3}]
    >>> is_past_the_best(records, 2), is_past_the_best(records, 3), is_past_the_best(records, 0)
    (True, False, False)
    """
    best = best_epoch(records)
    return best is not None and 0 < patience <= len(records) - 1 - best
