"""The likeliest next items of a session given as raw item ids."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require_positive
from tfrs_gru4rec.config import RecommendConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.popularity import popularity_scores


class NextItems(NamedTuple):
    """The likeliest next items, best first.

    Attributes:
      items: raw ids.
      scores: their scores, before the final activation; or those of `popularity_scores`.
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
) -> NextItems:
    """Follows a session and returns the likeliest next items.

    Args:
      model: a trained model.
      session: raw item ids, oldest first; text is taken for integer ids where the vocabulary has those.
      top_k: how many items; never more than there are.
      exclude_seen: leave out the session's own items.

    Returns:
      The items; for a session without a known item, the most popular ones, scored by `popularity_scores`.

    Raises:
      ValueError: top_k is below 1, or an id is no integer where the model's ids are integers.

    Example:
      >>> from tfrs_gru4rec import GRU4RecConfig, Vocabulary
      >>> model = GRU4Rec(Vocabulary.from_items(list("aaabbc")), GRU4RecConfig(layers=(2,), n_sample=0))
      >>> recommend(model, ["x"], top_k=2).items, recommend(model, ["x"]).unknown
      (['a', 'b'], ['x'])
      >>> sorted(recommend(model, ["a"], exclude_seen=True).items)
      ['b', 'c']
    """
    require_positive(top_k=top_k)
    rows = model.vocabulary.rows(_raw_ids(model, session))
    known = rows[rows >= 0]
    if len(known):
        query, _ = model(tf.constant(known[np.newaxis, :]))
        scores = model.scores(query)[0].numpy()
    else:
        scores = popularity_scores(model.vocabulary.counts)
    best = np.argsort(-scores, kind="stable")
    if exclude_seen:
        best = best[~np.isin(best, known)]
    best = best[:top_k]
    unknown = [item for item, row in zip(session, rows, strict=True) if row < 0]
    return NextItems(model.vocabulary.ids[best].tolist(), scores[best].tolist(), unknown)


def _raw_ids(model: GRU4Rec, session: Sequence[Any]) -> np.ndarray:
    if not model.vocabulary.is_integer:
        return np.array([str(item) for item in session], dtype=object)
    try:
        return np.array([int(item) for item in session], dtype=np.int64)
    except ValueError as error:
        raise ValueError(
            f"The model's item ids are integers. Received: session={list(session)!r}."
        ) from error
