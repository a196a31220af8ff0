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
    """A fusion, sessions, the scores of their items, and what slow loops make of both."""
    train = log_of(random_sessions(1, 300, N_ITEMS), N_ITEMS)
    weights = np.random.default_rng(2).uniform(0.2, 0.6, [4, 5]) * [1, 1, -0.5, -2, 2]
    fusion = Fusion.count(train, weights, ["rules", "knn"], is_alone=request.param)
    fusion = dataclasses.replace(fusion, network=random_network(3, n_sides=2))
    sessions = [*random_sessions(4, 12, N_ITEMS), [3, 3, 7, 3, 5, 1, 7, 7, 2, 0, 4, 6, 3, 8]]
    test = log_of(sessions, N_ITEMS)
    latest = latest_clicks(test.items, NextClicks.of(test), N_CLICKS)
    prefixes = [session[:seen] for session in sessions for seen in range(1, len(session))]
    scores = np.random.default_rng(5).normal(size=[len(prefixes), N_ITEMS]).astype(np.float32)
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


@pytest.mark.parametrize("k", [N_BEST, N_ITEMS + N_PADS])
def test_a_list_has_the_scores_that_all_items_have(case, k):
    fusion, scores, latest, expected = case
    fused = FusedScores(fusion)
    said = fused.said(tf.constant(latest), N_ITEMS + N_PADS)
    before = fused.add_popularity(padded(scores), said)
    values, rows = tf.math.top_k(fused.add_sides(before, said), k)
    found = fused.reranking(before, said).of_list(rows, values).numpy()
    wanted = np.take_along_axis(
        np.pad(expected, [[0, 0], [0, N_PADS]], constant_values=-np.inf), rows.numpy(), axis=1
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    # What is not ranked anew stays behind what is.
    assert (found[:, N_BEST:] <= found[:, :N_BEST].min(axis=1, keepdims=True) + 1e-4).all()


def test_of_few_items_no_more_are_ranked(case):
    fusion, scores, latest, _ = case
    fused, n = FusedScores(dataclasses.replace(fusion, is_alone=False)), 5
    left = np.where(np.arange(N_ITEMS) < n, scores, -np.inf).astype(np.float32)
    found = fused(tf.constant(left), tf.constant(latest)).numpy()
    assert np.isfinite(found[:, :n]).all()
    assert np.isneginf(found[:, n:]).all()
    tables = [table.toarray().tolist() for table in fusion.tables.values()]
    seen = fusion.sides["rules"].seen.tolist()
    network = {name: part.tolist() for name, part in fusion.network._asdict().items()}
    prefix = [item for item in latest[0, ::-1].tolist() if item >= 0]
    row = left[0].tolist()
    mixed = oracle.fused_scores(row, tables, seen, fusion.weights.tolist(), prefix)
    expected = oracle.reranked_scores(mixed, row, tables, seen, network, prefix)
    np.testing.assert_allclose(found[0, :n], expected[:n], rtol=0, atol=1e-4)


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
