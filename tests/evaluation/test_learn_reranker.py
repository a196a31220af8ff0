"""The network that ranks anew is learned: from lists whose order is known, and from validation sessions."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_network, random_sessions

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation import learn_reranker as learning
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.evaluation.learn_reranker import Lists, learn_reranker
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours import Fusion, NextClicks
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, latest_clicks
from tfrs_gru4rec.neighbours.reranker import session_features

N_ITEMS = 40


def lists(seed, n=5000, n_best=30, n_features=7):
    """Lists whose next click is where a feature is nearest to 1, which no sum of features finds."""
    random = np.random.default_rng(seed)
    items = random.normal(2, 3, size=[n, n_best, n_features]).astype(np.float32)
    fused = -np.sort(random.normal(size=[n, n_best])).astype(np.float32)
    sessions = random.normal(size=[n, 1 + n_features]).astype(np.float32)
    targets = np.argmin(np.abs(items[:, :, 2] - 1), axis=1)
    targets[::10] = -1  # not among the best
    return Lists(fused, items, sessions, targets)


def test_an_order_that_no_sum_of_features_has_is_learned():
    network, found = learning._learn(lists(0), lists(1), seed=0)
    before = lists(1).figures(lists(1).fused)
    assert before["recall"] < 0.7
    # One of ten is not among the best, and 20 of 30 by chance.
    assert 0.75 < found["recall"] <= 0.9
    assert found["mrr"] > 2 * before["mrr"]
    assert network.fits(n_sides=1)


def test_the_network_kept_gives_the_scores_that_were_learned():
    learned, others = lists(2), lists(3)
    network, found = learning._learn(learned, others, seed=1)
    hidden = (
        others.items @ network.of_items
        + (others.sessions @ network.of_sessions + network.bias)[:, np.newaxis]
    )
    hidden = np.maximum(np.maximum(hidden, 0) @ network.second + network.second_bias, 0)
    assert others.figures(others.fused + hidden @ network.last) == pytest.approx(found, abs=2e-3)


def test_figures_are_those_of_lists_by_hand():
    fused = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], np.float32)
    found = Lists(fused, np.zeros([2, 3, 7]), np.zeros([2, 8]), np.array([1, -1])).figures(fused)
    assert found == {"recall": 0.5, "mrr": 0.25}


@pytest.fixture(scope="module")
def case():
    train, valid = (log_of(random_sessions(seed, 300, N_ITEMS), N_ITEMS) for seed in (0, 1))
    model = GRU4Rec(train.vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))
    weights = np.tile([0.5, 0.25, -0.3, -1.0, 1.0], [4, 1])
    return model, valid, Fusion.count(train, weights, ["rules", "knn"])


def test_lists_are_what_the_graph_ranks(case):
    model, valid, fusion = case
    found, is_learned = learning._lists(model, valid, fusion, max_questions=100, seed=0)
    assert len(found.targets) == len(is_learned) == 100
    assert 30 < is_learned.sum() < 70
    network = random_network(2, n_sides=2)
    hidden = (
        found.items @ network.of_items + (found.sessions @ network.of_sessions + network.bias)[:, np.newaxis]
    )
    hidden = np.maximum(np.maximum(hidden, 0) @ network.second + network.second_bias, 0)
    reranked = -np.sort(-(found.fused + hidden @ network.last))
    clicks = NextClicks.of(valid).sample(100, 0)
    latest = tf.constant(latest_clicks(valid.items, clicks, N_CLICKS))
    fused = FusedModel(model, dataclasses.replace(fusion, network=network))
    sessions = tf.reverse(latest, axis=[1])
    expected = -np.sort(-fused.predict_step(sessions).numpy())

    # The order of the lists is that in which sessions were followed.
    def in_order(values):
        return values[np.lexsort(values.round(3).T)]

    is_short = clicks.positions < N_CLICKS  # of longer ones the model has seen more
    assert is_short.mean() > 0.9
    np.testing.assert_allclose(in_order(reranked), in_order(expected), rtol=0, atol=1e-3)


def test_what_does_not_win_and_what_is_too_little_is_left_out(case, monkeypatch):
    model, valid, fusion = case
    assert learn_reranker(model, valid, fusion) == (None, {"kept": False})
    monkeypatch.setattr(learning, "MIN_LEARNED", 100)
    network, report = learn_reranker(model, valid, fusion)
    gain = sum(report["after"][name] / report["before"][name] for name in ("recall", "mrr"))
    assert report["kept"] == (gain > 2) == (network is not None)
    monkeypatch.setattr(Lists, "figures", lambda self, scores: {"recall": 0.5, "mrr": 0.5})
    assert learn_reranker(model, valid, fusion)[0] is None  # level is not better


def test_means_are_over_items():
    found = tf.constant([[[2.0], [4.0], [0.0]]])
    latest = tf.constant([[7, 8, 9, -1]])
    is_item = tf.constant([[True, True, False]])
    assert session_features(found, is_item, latest).numpy()[0].tolist() == pytest.approx([np.log(3), 3.0])
