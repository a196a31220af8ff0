"""Ranking a large batch in parts gives what ranking it at once gives."""

import numpy as np
import tensorflow as tf
from export_support.tiny_model import TinyModel

from tfrs_gru4rec.export import ranking
from tfrs_gru4rec.export.session_record import SessionVectors

from oracle import tiny_tower

N_SESSIONS = 8


def rank(sessions, candidate_rows):
    model = TinyModel()
    vectors = SessionVectors(model, n_seen=0)
    ranked = ranking.Ranking(model, vectors, tiny_tower.counts(), top=4)

    @tf.function
    def run(sessions, candidate_rows):
        states = vectors.fold(sessions)
        return *ranked.top(states), ranked.candidates(states, candidate_rows)

    return [values.numpy() for values in run(tf.constant(sessions), tf.constant(candidate_rows))]


def test_in_parts_as_at_once(monkeypatch):
    random = np.random.default_rng(0)
    sessions = random.integers(-1, 12, size=[N_SESSIONS, 3], dtype=np.int32)
    sessions[5] = -1
    candidate_rows = random.integers(-1, 12, size=[N_SESSIONS, 6], dtype=np.int32)
    at_once = rank(sessions, candidate_rows)
    # Parts of three rows: the table is padded to one block of 64 columns.
    monkeypatch.setattr(ranking, "MAX_SCORES", 3 * 64)
    in_parts = rank(sessions, candidate_rows)
    for values, expected in zip(in_parts, at_once, strict=True):
        np.testing.assert_allclose(values, expected, 1e-6)
    for index, rows in enumerate(sessions):
        expected_rows, scores = tiny_tower.top(tiny_tower.fold(rows), 4)
        assert in_parts[0][index].tolist() == expected_rows
        np.testing.assert_allclose(in_parts[1][index], scores, 1e-5)


def test_popularity_is_finite_for_items_never_seen():
    # (3 + 1) / (4 + 3), (0 + 1) / 7, (1 + 1) / 7
    expected = np.log([4 / 7, 1 / 7, 2 / 7])
    np.testing.assert_allclose(ranking.popularity_scores(np.array([3, 0, 1])), expected, 1e-6)
