"""How much of the catalogue a model recommends at all."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require_positive
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

LISTS = 2048
_BLOCK = 128
_HISTORY = 20


def catalogue_coverage(
    model: GRU4Rec, log: SessionLog, k: int = 20, max_lists: int = LISTS, seed: int = 0
) -> dict[str, float]:
    """Counts the items that occur in the recommendations for a sample of a test log's pairs.

    Each list follows the latest 20 events of its session. Lists repeat items, so the share depends on their number:
    compare runs of equal `lists`, and with `clicked_items`, how many different items people chose in the same places.

    Args:
      model: to ask.
      log: test sessions in the model's vocabulary.
      k: length of a list.
      max_lists: pairs drawn at random, without replacement.
      seed: seed of that draw.

    Returns:
      `k`, `lists`, `items` (different ones recommended), `share` (of the catalogue), `clicked_items`.

    Raises:
      ValueError: k or max_lists is not above zero.

    Example:
      A list of all four items holds them all.

      >>> import pandas as pd
      >>> from tfrs_gru4rec import GRU4RecConfig
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 1, 2, 2], "ItemId": list("abcbd"), "Time": range(5)})
      >>> log = SessionLog.from_frame(frame)
      >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> catalogue_coverage(model, log, k=4)
      {'k': 4, 'lists': 3, 'items': 4, 'share': 1.0, 'clicked_items': 3}
    """
    require_positive(k=k, max_lists=max_lists)
    k = min(k, model.vocabulary.n_items)
    asked = NextClicks.of(log).sample(max_lists, seed)
    is_recommended = np.zeros(model.vocabulary.n_items, bool)
    for first in range(0, len(asked), _BLOCK):
        histories = _histories(log.items, asked.take(slice(first, first + _BLOCK)))
        _, items = tf.math.top_k(model.scores(model(tf.constant(histories))[0]), k)
        is_recommended[items.numpy()] = True
    return {
        "k": k,
        "lists": len(asked),
        "items": int(is_recommended.sum()),
        "share": float(is_recommended.mean()),
        "clicked_items": len(np.unique(asked.targets)),
    }


def _histories(items: np.ndarray, asked: NextClicks) -> np.ndarray:
    """Returns the rows of the latest events before each click, int32 [n_clicks, 20], short ones with -1 on the left."""
    from_start = asked.positions[:, np.newaxis] - np.arange(_HISTORY, 0, -1)
    events = asked.starts[:, np.newaxis] + np.maximum(from_start, 0)
    return np.where(from_start >= 0, items[events], -1).astype(np.int32)
