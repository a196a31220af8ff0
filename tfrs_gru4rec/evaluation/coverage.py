"""How much of the catalogue a model recommends at all."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require_positive
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.next_clicks import sample_pairs, test_pairs
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
      seed: of that draw.

    Returns:
      `k`, `lists`, `items` (different ones recommended), `share` (of the catalogue), `clicked_items`.
    """
    require_positive(k=k, max_lists=max_lists)
    k = min(k, model.vocabulary.n_items)
    pairs = sample_pairs(test_pairs(log), max_lists, seed)
    ends = pairs.starts + pairs.positions
    is_recommended = np.zeros(model.vocabulary.n_items, bool)
    for first in range(0, len(pairs), _BLOCK):
        block = slice(first, first + _BLOCK)
        histories = _histories(log.items, pairs.starts[block], ends[block])
        _, items = tf.math.top_k(model.scores(model(tf.constant(histories))[0]), k)
        is_recommended[items.numpy()] = True
    return {
        "k": k,
        "lists": len(pairs),
        "items": int(is_recommended.sum()),
        "share": float(is_recommended.mean()),
        "clicked_items": len(np.unique(pairs.targets)),
    }


def _histories(items: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns the events before each end, int32 [n, 20], -1 on the left of short ones."""
    places = ends[:, np.newaxis] - np.arange(_HISTORY, 0, -1)
    return np.where(places >= starts[:, np.newaxis], items[np.maximum(places, 0)], -1).astype(np.int32)
