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
from tfrs_gru4rec.models.popularity import popularity_scores
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
    scores[1] = popularity_scores(model.vocabulary.counts)  # of the session without a known item
    return model, fusion, scores


@pytest.fixture
def serve(parts):
    """Makes a ranking of some length, and the records of the sessions."""
    model, fusion, _ = parts

    def make(top):
        records = SessionRecords(model, n_seen=N_CLICKS)
        ranking = Ranking(model, records, model.vocabulary, top, fusion=fusion)
        return ranking, records.fold(SESSIONS, tf.zeros([4], tf.int32))

    return make


def assert_top(found, scores, top):
    rows, values = (each.numpy() for each in found)
    expected = -np.sort(-scores, axis=1)[:, :top]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(scores, rows, axis=1), values, rtol=0, atol=1e-4)


@pytest.mark.parametrize("top", [20, N_BEST + 50])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_lists_have_the_scores_of_all_items(parts, serve, top, is_filtered):
    scores, (ranking, followed) = parts[2].copy(), serve(top)
    left_out = np.argsort(-scores, axis=1)[:, [0, 3, 50, 120]].astype(np.int32)
    filters = Filters(tf.constant(left_out), tf.zeros([4], tf.bool), tf.fill([4, 1], ""))
    if is_filtered:
        np.put_along_axis(scores, left_out, -np.inf, axis=1)
    assert_top(ranking.top(followed, filters if is_filtered else None), scores, top)


def test_candidates_have_the_scores_of_all_items(parts, serve):
    ranking, followed = serve(20)
    every = tf.tile(tf.range(N_ITEMS)[tf.newaxis], [4, 1])
    np.testing.assert_allclose(ranking.candidates(followed, every), parts[2], rtol=0, atol=1e-4)


def test_what_is_withdrawn_takes_no_place_among_the_best(parts, serve):
    model, fusion, _ = parts
    (ranking, followed), gone = serve(20), np.arange(0, N_ITEMS, 3)
    ranking.availability.set(tf.constant(gone, tf.int32), tf.zeros([len(gone)], tf.bool))
    left = model.predict_step(SESSIONS).numpy()
    left[:, gone] = -np.inf
    scores = FusedScores(fusion)(tf.constant(left), latest_of_sessions(SESSIONS)).numpy()
    scores[1] = popularity_scores(model.vocabulary.counts)
    scores[1, gone] = -np.inf
    assert_top(ranking.top(followed), scores, 20)
    # The others have the same scores where chosen items are asked for.
    kept = np.setdiff1d(np.arange(N_ITEMS), gone)
    every = tf.tile(tf.constant(kept, tf.int32)[tf.newaxis], [4, 1])
    np.testing.assert_allclose(ranking.candidates(followed, every), scores[:, kept], rtol=0, atol=1e-4)
