"""Proves a written SavedModel before anyone can see it: the server's own loader loads it and answers like the model."""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.serving.servable import Servable
from tfrs_gru4rec.export.session_record import NextItemModel
from tfrs_gru4rec.export.signatures import pad_id
from tfrs_gru4rec.export.stock_operations import require_stock_operations
from tfrs_gru4rec.layers.session_fold import fold_session
from tfrs_gru4rec.models.popularity import popularity_scores
from tfrs_gru4rec.neighbours.fused_scores import FusedScores, latest_of_sessions
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

N_SESSIONS = 8
LENGTH = 5
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-4, 1e-5


class SampleScores(NamedTuple):
    """What a model makes of some sessions."""

    item_rows: np.ndarray  # int32 [N_SESSIONS, LENGTH], -1 after the end; session 0 is empty
    scores: np.ndarray  # [N_SESSIONS, n_items]


def sample_scores(model: NextItemModel, vocabulary: Vocabulary, fusion: Fusion | None = None) -> SampleScores:
    """Scores all items for some sessions by the model itself, and by what neighbours add.

    Raises:
      ValueError: a score is not finite.
    """
    size = [N_SESSIONS, LENGTH]
    rows = np.random.default_rng(0).integers(vocabulary.n_items, size=size, dtype=np.int32)
    item_rows = np.where(np.arange(LENGTH) < np.arange(N_SESSIONS)[:, np.newaxis], rows, -1)
    start = model.initial_state(N_SESSIONS)
    *_, query = fold_session(lambda state, rows: model.step(rows, state)[1], tf.constant(item_rows), start)
    is_empty = (item_rows < 0).all(axis=1)[:, np.newaxis]
    known = model.scores(query)
    if fusion:
        known = FusedScores(fusion)(known, latest_of_sessions(tf.constant(item_rows)))
    scores = np.where(is_empty, popularity_scores(vocabulary.counts), known.numpy())
    require(
        bool(np.isfinite(scores).all()),
        "The model's scores must be finite; it may have diverged in training: lower the learning rate.",
        not_finite=int(np.sum(~np.isfinite(scores))),
    )
    return SampleScores(item_rows, scores)


def verify(saved_model_dir: str | os.PathLike[str], vocabulary: Vocabulary, expected: SampleScores) -> None:
    """Checks a SavedModel as a server of default settings would load it.

    It must hold stock operations alone, survive its own warm-up without a session left behind, and give for
    some sessions, sent whole and sent click by click, the scores that the model gives.

    Raises:
      ValueError: something differs; the message says what.
    """
    require_stock_operations(saved_model_dir)
    path = Path(saved_model_dir)
    with contextlib.closing(Servable(path, 0, ServerConfig(path.parent))) as served:
        served.warm_up()
        left = int(served.call("stats", probe=[0])["live_sessions"][0])
        require(left == 0, "Warm-up must leave no session behind.", live_sessions=left)
        _compare(served, vocabulary, *expected)


def _compare(served: Servable, vocabulary: Vocabulary, item_rows: np.ndarray, expected: np.ndarray) -> None:
    pad = pad_id("int64" if vocabulary.is_integer else "string")
    item_ids = np.where(item_rows >= 0, vocabulary.ids[item_rows], pad)
    _require_scores(served.call("serving_default", item_ids=item_ids), vocabulary, expected)
    session_ids = np.array([b"verify-%d" % number for number in range(N_SESSIONS)], object)
    for column in range(LENGTH):
        live = item_rows[:, column] >= 0
        positions = np.full(live.sum(), column + 1)
        stepped = served.call(
            "step", session_id=session_ids[live], item_id=item_ids[live, column], position=positions
        )
    _require_scores(stepped, vocabulary, expected[live])


def _require_scores(outputs: dict[str, np.ndarray], vocabulary: Vocabulary, expected: np.ndarray) -> None:
    rows = vocabulary.rows(outputs["item_ids"].ravel())
    wanted = np.take_along_axis(expected, rows.reshape(outputs["item_ids"].shape), axis=1)
    scores = outputs["scores"]
    require(
        np.allclose(scores, wanted, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE),
        "The exported model must score like the model; it was not published.",
        largest_difference=float(np.max(np.abs(scores - wanted))),
    )
