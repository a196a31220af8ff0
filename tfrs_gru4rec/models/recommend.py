"""Recommendations for a session given as raw item ids."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.config import RecommendConfig
from tfrs_gru4rec.models import GRU4Rec


class Recommendations(NamedTuple):
    """The likeliest next items, best first.

    Attributes:
      items: raw ids.
      scores: their scores, before the final activation.
      unknown: raw ids of the session that the model does not know; they were skipped.
    """

    items: list[Any]
    scores: list[float]
    unknown: list[Any]


def recommend(
    model: GRU4Rec,
    session: Sequence[Any],
    top_k: int = RecommendConfig.top_k,
    exclude_seen: bool = RecommendConfig.exclude_seen,
) -> Recommendations:
    """Follows a session and returns the likeliest next items.

    Args:
      model: trained.
      session: raw item ids, oldest first; text is taken for integer ids where the vocabulary has those.
      top_k: how many items, at most the catalogue.
      exclude_seen: leave out the session's own items.

    Returns:
      The items; for a session without a known item, the most popular ones, scored by their number of events.

    Raises:
      ValueError: top_k is below 1.
    """
    require_positive(top_k=top_k)
    rows = model.vocabulary.rows(_raw_ids(model, session))
    known = rows[rows >= 0]
    if len(known):
        query, _ = model(tf.constant(known[np.newaxis, :]))
        scores = model.scores(query)[0].numpy()
    else:
        scores = model.vocabulary.counts.astype(np.float32)
    if exclude_seen:
        scores[known] = -np.inf
    best = np.argsort(-scores, kind="stable")[
        : min(top_k, model.vocabulary.n_items - exclude_seen * len(set(known)))
    ]
    unknown = [item for item, row in zip(session, rows, strict=True) if row < 0]
    return Recommendations(model.vocabulary.ids[best].tolist(), scores[best].tolist(), unknown)


def _raw_ids(model: GRU4Rec, session: Sequence[Any]) -> np.ndarray:
    if not model.vocabulary.is_integer:
        return np.array([str(item) for item in session], dtype=object)
    try:
        return np.array([int(item) for item in session], dtype=np.int64)
    except ValueError:
        require(False, "The model's item ids are integers.", session=list(session))
        raise
