"""How well a model predicts a day's log, unknown items included."""

from typing import Any

from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.metrics import RankedPairs
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.upkeep.carried_rows import in_rows_of


def measure_day(
    model: GRU4Rec | FusedModel, log: SessionLog, k: int
) -> tuple[dict[str, Any], RankedPairs | None]:
    """Measures a model on a log that was read without its vocabulary.

    A pair with an item that the model does not know is a miss, so a model is not better for knowing less.

    Args:
      model: the model to measure.
      log: sessions, in rows of any vocabulary.
      k: list length.

    Returns:
      Figures: `recall` and `mrr` over all pairs of the log; `recall_known`, the usual recall over the pairs of known
      items; `pairs`, `known_pairs`, and `dropped_events`, the events of unknown items. And the ranks that they are made
      of, None if no pair is known.

    Raises:
      ValueError: k is not above zero.

    Example:
      The model knows a and b alone: (a, b) is its only pair, and the three pairs of the log are counted.

      >>> import pandas as pd
      >>> from tfrs_gru4rec import GRU4RecConfig
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 2], "ItemId": list("abxyz"), "Time": range(5)})
      >>> model = GRU4Rec(SessionLog.from_frame(frame[:2]).vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> figures, found = measure_day(model, SessionLog.from_frame(frame), k=2)
      >>> round(figures["recall"], 3), figures["recall_known"], figures["pairs"], figures["known_pairs"]
      (0.333, 1.0, 3, 1)
      >>> found.ranks.shape
      (1,)
    """
    known = in_rows_of(log, model.vocabulary)
    counted = {"pairs": log.n_pairs, "known_pairs": known.n_pairs, "dropped_events": known.dropped_events}
    if not known.n_pairs:
        return {"recall": 0.0, "mrr": 0.0, "recall_known": 0.0, **counted}, None
    found = evaluate(model, known)
    of_all = found.of_all_pairs()
    figures = {"recall": of_all.recall(k), "mrr": of_all.mrr(k), "recall_known": found.recall(k), **counted}
    return figures, found
