"""What a model recommends, whether it is clicked or not: how much of the catalogue, how novel, how popular."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.metrics.figures import DEFAULT_K, require_list_lengths
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.popularity import popularity_scores
from tfrs_gru4rec.neighbours.item_to_item import latest_clicks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

LISTS = 2048
_BLOCK = 128
_HISTORY = 20


def list_figures(
    model: GRU4Rec | FusedModel, log: SessionLog, k: Sequence[int] = DEFAULT_K
) -> dict[str, Any]:
    """Describes the items in the recommendations for a sample of a test log's pairs, and those that were clicked there.

        coverage:   share of the catalogue that occurs in at least one list
        novelty:    mean of -log2 p(item), in bits, where p is the item's share of the training events
                    (Vargas and Castells 2011, "Rank and relevance in novelty and diversity metrics")
        popularity: mean number of the items' training events (Abdollahpouri et al. 2019, arXiv:1907.13286)

    Each list follows the latest 20 events of its session. Lists repeat items, so coverage depends on their number:
    compare runs of equal `lists`. A popularity above that of the clicked items is a bias towards popular ones.

    Args:
      model: to ask.
      log: test sessions in the model's vocabulary.
      k: list lengths.

    Returns:
      `lists`, their number; `by_k`, for each k as in {"20": …} the number of different `items`, `coverage`, `novelty`
      and `popularity`; and `clicked`, the same four of the items that were clicked next.

    Raises:
      ValueError: a list length is not above zero.

    A list of all four items holds them all; b has two of the five events.

    >>> import pandas as pd
    >>> from tfrs_gru4rec import GRU4RecConfig
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 1, 2, 2], "ItemId": list("abcbd"), "Time": range(5)})
    >>> log = SessionLog.from_frame(frame)
    >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
    >>> found = list_figures(model, log, k=(4,))
    >>> found["lists"], found["by_k"]["4"]["coverage"], found["by_k"]["4"]["popularity"]
    (3, 1.0, 1.25)
    """
    require_list_lengths(k)
    asked = NextClicks.of(log).sample(LISTS, seed=0)
    longest, lists = min(max(k), model.vocabulary.n_items), []
    for first in range(0, len(asked), _BLOCK):
        histories = latest_clicks(log.items, asked.take(slice(first, first + _BLOCK)), _HISTORY)
        scores = model.predict_step(tf.constant(histories[:, ::-1]))
        lists.append(tf.math.top_k(scores, longest)[1].numpy())
    items, counts = np.concatenate(lists), model.vocabulary.counts
    return {
        "lists": len(asked),
        "by_k": {str(each): _describe(items[:, :each], counts) for each in k},
        "clicked": _describe(asked.targets, counts),
    }


def _describe(items: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    n_distinct = len(np.unique(items))
    return {
        "items": n_distinct,
        "coverage": n_distinct / len(counts),
        "novelty": float(np.mean(-popularity_scores(counts)[items], dtype=np.float64) / np.log(2)),
        "popularity": float(np.mean(counts[items])),
    }
