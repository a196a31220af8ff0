"""The network that ranks anew is learned: from lists whose order is known, and from validation sessions."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_network, random_sessions

from tfrs_gru4rec.cli.tables import fusion_line
from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation import learn_reranker as learning
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion
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
    network, score = learning._learn(lists(0), seed=0)
    others = lists(1)
    report = learning._compare(others.ranks(others.fused), others.ranks(score(others)), np.arange(5000))
    assert report["before"]["recall"] < 0.7
    # One of ten is not among the best, and 20 of 30 by chance.
    assert 0.75 < report["after"]["recall"] <= 0.9
    assert report["after"]["mrr"] > 2 * report["before"]["mrr"]
    assert report["kept"]
    # The network that is kept gives these scores, up to a factor and one number for each session.
    kept, wanted = (
        (each - each[:, :1]) / np.abs(each[:, -1:] - each[:, :1]).mean()
        for each in (by_hand(network, others), score(others))
    )
    np.testing.assert_allclose(kept, wanted, rtol=0, atol=1e-3)
    assert network.fits(n_sides=1)


def test_what_was_always_the_same_has_no_weight():
    same = lists(2, n=300)
    same.items[:, :, 3], same.sessions[:, 0] = 4.6, np.float32(np.log(3))
    network, _ = learning._learn(same, seed=0)
    assert not network.of_items[3].any()
    assert not network.of_sessions[0].any()
    assert network.of_items[2].any()


def by_hand(network, found):
    """The scores of lists, but for the lift."""
    of_session = (found.sessions @ network.of_sessions + network.bias)[:, np.newaxis]
    hidden = np.maximum(found.items @ network.of_items + of_session, 0)
    return found.fused + np.maximum(hidden @ network.second + network.second_bias, 0) @ network.last


def test_ranks_are_those_of_lists_by_hand():
    fused = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], np.float32)
    found = Lists(fused, np.zeros([2, 3, 7]), np.zeros([2, 8]), np.array([1, -1]))
    assert found.ranks(fused).tolist() == [2, np.inf]
    assert found.ranks(np.full([2, 3], np.nan)).tolist() == [4, np.inf]


def test_more_than_chance_must_be_won():
    before, after = np.full(100, 4.0), np.full(100, 4.0)
    every = np.arange(100)
    after[:3] = 2.0  # a mean gain of 3 % of the MRR, of which the standard error is 1.7 %
    assert learning._compare(before, after, every) == {
        "kept": False,
        "before": {"recall": 1.0, "mrr": 0.25},
        "after": {"recall": 1.0, "mrr": pytest.approx(0.2575)},
    }
    after[:5] = 2.0  # 5 %, and 2.2 %
    assert learning._compare(before, after, every)["kept"]
    assert not learning._compare(before, after, every // 5)["kept"]  # all of it in one session
    assert not learning._compare(after, before, every)["kept"]
    assert not learning._compare(before, before, every)["kept"]


@pytest.fixture(scope="module")
def case():
    train, valid = (log_of(random_sessions(seed, 300, N_ITEMS), N_ITEMS) for seed in (0, 1))
    model = GRU4Rec(train.vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))
    weights = np.tile([0.5, 0.25, -0.3, -1.0, 1.0], [4, 1])
    return model, valid, Fusion.count(train, weights, ["rules", "knn"])


def test_lists_are_what_the_graph_ranks(case):
    model, valid, fusion = case
    found, starts = learning._lists(model, valid, fusion, max_lists=100, seed=0)
    clicks = NextClicks.of(valid).sample(100, 0)
    assert sorted(starts.tolist()) == clicks.starts.tolist()
    assert clicks.positions.max() <= N_CLICKS  # or the model would have seen more than `sessions` say
    sessions = tf.reverse(tf.constant(latest_clicks(valid.items, clicks, N_CLICKS)), axis=[1])
    network = random_network(2, n_sides=2)
    for each, scores in ((None, found.fused), (network, by_hand(network, found))):
        fused = FusedModel(model, dataclasses.replace(fusion, network=each)).predict_step(sessions).numpy()
        own = np.take_along_axis(scores, found.targets[:, np.newaxis], axis=1)[:, 0]
        # The order of the lists is that in which sessions were followed.
        np.testing.assert_allclose(
            np.sort(own), np.sort(fused[np.arange(100), clicks.targets]), rtol=0, atol=1e-3
        )


def test_a_network_that_wins_is_part_of_the_fusion_and_carried_on(case, monkeypatch):
    model, valid, _ = case
    log = log_of(random_sessions(5, 100, N_ITEMS), N_ITEMS)
    monkeypatch.setattr(learning, "MIN_LEARNED", 100)
    won = {"kept": True, "before": {"recall": 0.5, "mrr": 0.5}, "after": {"recall": 0.5, "mrr": 0.6}}
    monkeypatch.setattr(learning, "_compare", lambda *_: won)
    taught = []

    def learn(lists, seed):
        taught.append(lists.fused)
        return real(lists, seed)

    real = learning._learn
    monkeypatch.setattr(learning, "_learn", learn)
    fusion, report = learn_fusion(model, log, valid, "both")
    assert report["reranking"] == won
    # The earlier sessions teach, then all of them.
    found, starts = learning._lists(model, valid, dataclasses.replace(fusion, network=None), 10_000, 0)
    np.testing.assert_array_equal(taught[0], found.fused[starts < np.median(np.unique(starts))])
    np.testing.assert_array_equal(taught[1], found.fused)
    assert fusion.recounted(log).network is fusion.network is not None
    assert "anew: 0.5000, 0.6000 instead of 0.5000, 0.5000, kept." in fusion_line(report)
    assert learn_fusion(model, log, valid, "both", rerank=False)[0].network is None


def test_what_does_not_win_and_what_is_too_little_is_left_out(case, monkeypatch):
    model, valid, fusion = case
    assert learn_reranker(model, valid, fusion) == (None, {"kept": False})
    monkeypatch.setattr(learning, "MIN_LEARNED", 100)
    network, report = learn_reranker(model, valid, fusion)
    assert report["kept"] == (network is not None)
    level = {"recall": 0.5, "mrr": 0.5}
    report = {"kept": False, "before": level, "after": level}
    monkeypatch.setattr(learning, "_compare", lambda *_: report)
    assert learn_reranker(model, valid, fusion) == (None, report)
    line = fusion_line({"chosen": "both", "none": level, "both": level, "reranking": report})
    assert line.endswith("Its best items ranked anew: 0.5000, 0.5000 instead of 0.5000, 0.5000, left out.")


def test_means_are_over_items():
    found = tf.constant([[[2.0], [4.0], [0.0]]])
    latest = tf.constant([[7, 8, 9, -1]])
    fused = tf.constant([[3.0, 2.0, -np.inf]])
    assert session_features(found, fused, latest).numpy()[0].tolist() == pytest.approx([np.log(3), 3.0])
