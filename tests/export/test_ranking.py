"""Ranking a large batch in parts gives what ranking it at once gives."""

import numpy as np
import tensorflow as tf
from export_support.tiny_model import STRING_IDS, TinyModel

from tfrs_gru4rec.export import ranking
from tfrs_gru4rec.export.session_record import SessionRecords
from tfrs_gru4rec.models.popularity import popularity_scores
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import tiny_tower

N_SESSIONS = 8
EPSILON = float(np.finfo(np.float32).eps)
# A score is a sum of three terms: a query of two units times an item's weights, and its bias. After three
# items a unit of the query is at most 1 + 0.9 + 0.81, as tanh is at most 1.
QUERY = 2.71
_, OUTPUT_TABLE, BIAS = tiny_tower.weights()
ROUNDING = 3 * EPSILON * float(np.max(QUERY * np.abs(OUTPUT_TABLE).sum(axis=1) + np.abs(BIAS)))
# An item passes eight roundings at most: two products, two sums, and a tanh that is good to four.
QUERY_ROUNDING = 3 * 8 * EPSILON * QUERY * float(np.max(np.abs(OUTPUT_TABLE).sum(axis=1)))
VOCABULARY = Vocabulary(STRING_IDS, tiny_tower.counts())


def rank(sessions, candidate_rows, **settings):
    model = TinyModel()
    records = SessionRecords(model, n_seen=1)
    ranked = ranking.Ranking(model, records, VOCABULARY, top=4, **settings)

    @tf.function
    def run(sessions, candidate_rows):
        followed = records.fold(sessions, tf.zeros([N_SESSIONS], tf.int32))
        return *ranked.top(followed), ranked.candidates(followed, candidate_rows)

    return [values.numpy() for values in run(tf.constant(sessions), tf.constant(candidate_rows))]


def test_in_parts_as_at_once():
    random = np.random.default_rng(0)
    sessions = random.integers(-1, 12, size=[N_SESSIONS, 3], dtype=np.int32)
    sessions[5] = -1
    candidate_rows = random.integers(-1, 12, size=[N_SESSIONS, 6], dtype=np.int32)
    at_once = rank(sessions, candidate_rows)
    # Parts of three rows: the table is padded to one block of 64 columns.
    in_parts = rank(sessions, candidate_rows, max_scores=3 * 64)
    # Both round the same sums, each in its own order.
    for values, expected in zip(in_parts, at_once, strict=True):
        np.testing.assert_allclose(values, expected, rtol=0, atol=2 * ROUNDING)
    for index, rows in enumerate(sessions):
        expected_rows, scores = tiny_tower.top(tiny_tower.fold(rows), 4)
        assert in_parts[0][index].tolist() == expected_rows
        np.testing.assert_allclose(in_parts[1][index], scores, rtol=0, atol=2 * (ROUNDING + QUERY_ROUNDING))


def test_popularity_is_finite_for_items_never_seen():
    # (3 + 1) / (4 + 3), (0 + 1) / 7, (1 + 1) / 7
    expected = np.log([4 / 7, 1 / 7, 2 / 7])
    np.testing.assert_allclose(popularity_scores(np.array([3, 0, 1])), expected, 1e-6)
