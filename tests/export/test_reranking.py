"""Of a large catalogue the best items are ranked anew: lists of any length, with and without filters, candidates."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_network, random_sessions

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.export.filters import Filters
from tfrs_gru4rec.export.ranking import Ranking
from tfrs_gru4rec.export.session_record import SessionRecords
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.neighbours.fused_scores import FusedScores, latest_of_sessions
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS
from tfrs_gru4rec.neighbours.rerank_network import N_BEST

N_ITEMS = 300
SESSIONS = tf.constant([[5, 9, 5, 0], [-1, -1, -1, -1], [250, -1, 3, 4], [7, 7, 7, 7]], tf.int32)


@pytest.fixture(scope="module")
def parts():
    log = log_of(random_sessions(0, 400, N_ITEMS), N_ITEMS)
    weights = np.tile([0.4, 0.3, -0.2, -1.0, 1.0], [4, 1])
    fusion = Fusion.count(log, weights, ["rules", "knn"])
    fusion = dataclasses.replace(fusion, network=random_network(1, n_sides=2))
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))
    model.embedding.output_table.assign(tf.random.stateless_normal([N_ITEMS, 4], [1, 2]))
    scores = FusedScores(fusion)(model.predict_step(SESSIONS), latest_of_sessions(SESSIONS)).numpy()
    return model, fusion, scores


@pytest.mark.parametrize("top", [20, N_BEST + 50])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_lists_and_candidates_have_the_scores_of_all_items(parts, top, is_filtered):
    model, fusion, scores = parts
    records = SessionRecords(model, n_seen=N_CLICKS)
    ranking = Ranking(model, records, model.vocabulary, top, fusion=fusion)
    followed = records.fold(SESSIONS, tf.zeros([4], tf.int32))
    left_out = np.argsort(-scores, axis=1)[:, [0, 3, 50, 120]].astype(np.int32)
    filters = Filters(tf.constant(left_out), tf.zeros([4], tf.bool), tf.fill([4, 1], ""))
    rows, found = ranking.top(followed, filters if is_filtered else None)
    scores = scores.copy()
    if is_filtered:
        np.put_along_axis(scores, left_out, -np.inf, axis=1)
    for index in (0, 2, 3):  # the second has no known item
        expected = np.argsort(-scores[index])[:top]
        np.testing.assert_allclose(found[index], scores[index, expected], rtol=0, atol=1e-4)
        np.testing.assert_allclose(scores[index, rows[index]], found[index], rtol=0, atol=1e-4)
    if not is_filtered:
        every = tf.tile(tf.range(N_ITEMS)[tf.newaxis], [4, 1])
        candidates = ranking.candidates(followed, every).numpy()
        np.testing.assert_allclose(candidates[[0, 2, 3]], scores[[0, 2, 3]], rtol=0, atol=1e-4)
