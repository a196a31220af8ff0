"""The best of a fusion ranked anew: beside slow loops, in lists and among all items, and what does not fit."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_network, random_sessions

from tfrs_gru4rec.neighbours import Fusion, NextClicks
from tfrs_gru4rec.neighbours.fused_scores import FusedScores
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, latest_clicks
from tfrs_gru4rec.neighbours.rerank_network import N_BEST

from oracle import fusion as oracle

N_ITEMS = 130  # more than are ranked anew
N_PADS = 6


@pytest.fixture(scope="module", params=[False, True], ids=["beside a model", "alone"])
def case(request):
    return make_case(request.param)


def make_case(is_alone, n_left=N_ITEMS):
    """A fusion, the scores of items after sessions, their latest clicks, and what slow loops make of it."""
    train = log_of(random_sessions(1, 300, N_ITEMS), N_ITEMS)
    weights = np.random.default_rng(2).uniform(0.2, 0.6, [4, 5]) * [1, 1, -0.5, -2, 2]
    fusion = Fusion.count(train, weights, ["rules", "knn"], is_alone=is_alone)
    fusion = dataclasses.replace(fusion, network=random_network(3, n_sides=2))
    sessions = [*random_sessions(4, 12, N_ITEMS), [3, 3, 7, 3, 5, 1, 7, 7, 2, 0, 4, 6, 3, 8]]
    test = log_of(sessions, N_ITEMS)
    latest = latest_clicks(test.items, NextClicks.of(test), N_CLICKS)
    prefixes = [session[:seen] for session in sessions for seen in range(1, len(session))]
    scores = np.random.default_rng(5).normal(size=[len(prefixes), N_ITEMS]).astype(np.float32)
    scores[:, n_left:] = -np.inf
    seen = np.bincount(train.items, minlength=N_ITEMS)
    model = np.tile(np.log(1 + seen), [len(prefixes), 1]) if fusion.is_alone else scores
    tables = [table.toarray().tolist() for table in fusion.tables.values()]
    network = {name: part.tolist() for name, part in fusion.network._asdict().items()}
    expected = []
    for row, prefix in zip(model.tolist(), prefixes, strict=True):
        fused = oracle.fused_scores(row, tables, seen.tolist(), fusion.weights.tolist(), prefix)
        expected.append(oracle.reranked_scores(fused, row, tables, seen.tolist(), network, prefix))
    return fusion, scores, latest, np.array(expected)


def padded(scores):
    """Columns that stand for no item, as in an export."""
    return tf.constant(np.pad(scores, [[0, 0], [0, N_PADS]], constant_values=-np.inf))


def test_scores_are_those_of_slow_loops(case):
    fusion, scores, latest, expected = case
    found = FusedScores(fusion)(padded(scores), tf.constant(latest)).numpy()
    np.testing.assert_allclose(found[:, :N_ITEMS], expected, rtol=0, atol=1e-4)
    assert np.isneginf(found[:, N_ITEMS:]).all()


def test_a_list_has_the_scores_that_all_items_have(case):
    fusion, scores, latest, expected = case
    fused = FusedScores(fusion)
    said = fused.said(tf.constant(latest), N_ITEMS + N_PADS)
    before = fused.before_reranking(padded(scores), said)
    values, rows = tf.math.top_k(before, N_BEST)
    found = fused.rerank(rows, values, said).numpy()
    np.testing.assert_allclose(found, np.take_along_axis(expected, rows.numpy(), axis=1), rtol=0, atol=1e-4)
    # What is not ranked anew keeps its scores, behind what is.
    np.testing.assert_allclose(found.min(axis=1), values[:, -1], rtol=0, atol=1e-4)
    assert (np.argsort(-found, axis=1) != np.arange(N_BEST)).mean() > 0.2


def test_where_few_items_are_left_no_others_are_ranked():
    fusion, scores, latest, expected = make_case(False, n_left=5)
    found = FusedScores(fusion)(tf.constant(scores), tf.constant(latest)).numpy()
    np.testing.assert_allclose(found[:, :5], expected[:, :5], rtol=0, atol=1e-4)
    assert np.isneginf(found[:, 5:]).all()


def test_a_session_without_a_click_stays_as_it_is(case):
    fusion, scores, latest, _ = case
    nothing = tf.fill(latest.shape, -1)
    found, before = (
        FusedScores(each)(tf.constant(scores), nothing)
        for each in (fusion, dataclasses.replace(fusion, network=None))
    )
    np.testing.assert_allclose(found, before, rtol=0, atol=1e-5)


def test_a_file_keeps_the_network(case, tmp_path):
    fusion = case[0]
    fusion.save(tmp_path)
    for mine, kept in zip(fusion.network, Fusion.load(tmp_path).network, strict=True):
        np.testing.assert_array_equal(mine, kept)


@pytest.mark.parametrize("name", ["of_items", "second_bias", "last"])
def test_a_network_that_does_not_fit_is_refused(case, name):
    fusion = case[0]
    part = getattr(fusion.network, name)
    for wrong in (
        part[:-1],
        np.where(np.arange(len(part)).reshape(-1, *[1] * (part.ndim - 1)) == 0, np.nan, part),
    ):
        with pytest.raises(ValueError, match="network of a fusion must"):
            dataclasses.replace(fusion, network=fusion.network._replace(**{name: wrong}))


def test_a_file_without_a_part_of_the_network_is_refused(case, tmp_path):
    case[0].save(tmp_path)
    path = tmp_path / "fusion.npz"
    with np.load(path) as parts:
        np.savez(path, **{name: parts[name] for name in parts if name != "network.second"})
    with pytest.raises(
        ValueError, match=r"fusion.npz is damaged: train again with --fusion, or remove it. .*second"
    ):
        Fusion.load(tmp_path)
