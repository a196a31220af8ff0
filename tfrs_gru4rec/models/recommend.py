"""The likeliest next items of sessions given as raw item ids."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.config import RecommendConfig
from tfrs_gru4rec.events.raw_ids import integers
from tfrs_gru4rec.metrics import block_rows
from tfrs_gru4rec.models.popularity import popularity_scores
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

_MAX_BATCH = 256
_SCORE_BYTES = 64 << 20


class Recommender(Protocol):
    """What is asked for recommendations: a `GRU4Rec`, or one fused with its neighbours."""

    vocabulary: Vocabulary

    def predict_step(self, inputs: tf.Tensor) -> tf.Tensor:
        """Scores every item as what follows: sessions int32 [n, length], -1 for none → [n, n_items]."""


def recommend(
    model: Recommender,
    sessions: Sequence[Sequence[Any]] | Mapping[Any, Sequence[Any]],
    k: int = RecommendConfig.top_k,
    exclude_seen: bool = RecommendConfig.exclude_seen,
) -> pd.DataFrame:
    """Follows many sessions and returns the likeliest next items of each.

    Args:
      model: a trained model.
      sessions: raw item ids of each session, oldest first, in a list or by session id; text is taken for integer ids
        where the vocabulary has those, and items that the model does not know are passed over.
      k: how many items for each session; never more than there are.
      exclude_seen: leave out the session's own items.

    Returns:
      A frame with the columns `session` (its id, or its place in the list), `rank` (1 the best), `item` (raw id) and
      `score` (before the final activation). A session without a known item gets the most popular items, with the scores
      of `popularity_scores`.

    Raises:
      ValueError: k is below 1, a session is no sequence of ids, or an id is no integer where the model's are integers.

    >>> from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, Vocabulary
    >>> model = GRU4Rec(Vocabulary.from_items(list("aaabbc")), GRU4RecConfig(layers=(2,), n_sample=0))
    >>> found = recommend(model, {"old": ["a", "b"], "new": []}, k=1, exclude_seen=True)
    >>> found.drop(columns="score").to_dict("split")["data"]
    [['old', 1, 'c'], ['new', 1, 'a']]
    """
    require_positive(k=k)
    by_id = sessions if isinstance(sessions, Mapping) else dict(enumerate(sessions))
    rows = _all_rows(model.vocabulary, by_id.values())
    k = min(k, model.vocabulary.n_items)
    items, scores = np.zeros([len(rows), k], np.int32), np.zeros([len(rows), k], np.float32)
    # Sessions of like lengths together, so that little is padded.
    order = np.argsort([len(session) for session in rows], kind="stable")
    first = 0
    for block in _blocks(model, [rows[place] for place in order], k, exclude_seen):
        places = order[first : first + len(block[0])]
        items[places], scores[places] = block
        first += len(places)
    places, columns = np.nonzero(~np.isneginf(scores))
    ids = pd.Series(list(by_id), dtype=None if by_id else np.int64)
    return pd.DataFrame(
        {
            "session": ids.to_numpy()[places],
            "rank": columns + 1,
            "item": model.vocabulary.ids[items[places, columns]],
            "score": scores[places, columns],
        }
    )


def _all_rows(vocabulary: Vocabulary, sessions: Collection[Any]) -> list[np.ndarray]:
    """Returns the rows of each session; those of many arrays of one type are looked up at once."""
    kinds = {session.dtype if isinstance(session, np.ndarray) else None for session in sessions}
    if len(kinds) != 1 or None in kinds:
        return [session_rows(vocabulary, session) for session in sessions]
    rows = vocabulary.rows(np.concatenate(list(sessions)))
    return np.split(rows, np.cumsum([len(session) for session in sessions])[:-1])


def session_rows(vocabulary: Vocabulary, session: Any) -> np.ndarray:
    """Returns the rows of a session's raw ids, int32 [length], -1 where the vocabulary lacks one.

    Raises:
      ValueError: the session is no sequence of ids, or an id is no integer where the vocabulary's are integers.

    >>> session_rows(Vocabulary.from_items([7, 7, 8]), ["8", 9]).tolist()
    [1, -1]
    """
    rule = "A session must be a list of item ids, oldest first; sessions a list of those."
    is_list = isinstance(session, (Sequence, np.ndarray, pd.Series)) and not isinstance(session, (str, bytes))
    require(is_list, rule, session=session)
    if not vocabulary.is_integer:
        return vocabulary.rows(np.array([str(item) for item in session], dtype=object))
    try:
        return vocabulary.rows(np.array(integers(session), dtype=np.int64))
    except ValueError as error:
        raise ValueError(
            f"The model's item ids are integers. Received: session={list(session)!r}."
        ) from error


def _blocks(
    model: Recommender, rows: list[np.ndarray], k: int, exclude_seen: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the best rows and their scores, each [sessions, k], for some sessions at a time; left out ones at -inf."""
    n_items = model.vocabulary.n_items
    size = min(_MAX_BATCH, block_rows(n_items, _SCORE_BYTES))
    popular = tf.constant(popularity_scores(model.vocabulary.counts))
    score = model.predict_step
    if len(rows) > size:  # a graph takes half the time, once it is traced
        score = tf.function(score, input_signature=[tf.TensorSpec([None, None], tf.int32)])
    for first in range(0, len(rows), size):
        block = rows[first : first + size]
        padded = np.full([len(block), max(1, *map(len, block))], -1, np.int32)
        for place, session in enumerate(block):
            padded[place, : len(session)] = session
        is_known = (padded >= 0).any(axis=1)
        scores = score(tf.constant(padded))
        if not is_known.all():
            scores = tf.where(is_known[:, np.newaxis], scores, popular)
        if exclude_seen:
            seen = np.argwhere(padded >= 0)
            places = np.stack([seen[:, 0], padded[seen[:, 0], seen[:, 1]]], axis=1)
            scores = tf.tensor_scatter_nd_update(scores, places, np.full(len(places), -np.inf, np.float32))
        best, items = tf.math.top_k(scores, k)  # of equal scores the lower row first
        yield items.numpy(), best.numpy()
