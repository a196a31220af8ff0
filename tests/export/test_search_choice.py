"""How an export finds the best items: what it chooses and says, and that the answers are the same."""

import types

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from export_support.loaders import LOADERS

from tfrs_gru4rec.config import ExportConfig, GRU4RecConfig
from tfrs_gru4rec.export import search_choice
from tfrs_gru4rec.export.saved_model import export_saved_model
from tfrs_gru4rec.export.search_choice import measured_sessions
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

N_ITEMS, TOP_K = 600, 7
RANDOM = np.random.default_rng(2)


@pytest.fixture(scope="module")
def model():
    made = GRU4Rec(Vocabulary(np.arange(N_ITEMS), np.arange(N_ITEMS, 0, -1)), GRU4RecConfig(layers=(8,)))
    # Ties: every other item is the one before it once more.
    table = made.embedding.output_table.numpy()
    table[1::2] = table[::2]
    made.embedding.output_table.assign(table)
    return made


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """An export by cells, and what was logged."""
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "info", lambda text, *values: lines.append(text % values))
        settings = {"top_k": TOP_K, "max_sessions": 100, "top_k_search": "cells"}
        return export_saved_model(model, tmp_path_factory.mktemp("cells"), **settings), lines


def assert_best(outputs, model, sessions, left_out=()):
    query, _ = model(tf.constant(sessions, tf.int32))
    # In double precision, where equal items tie as well.
    scores = query.numpy().astype(np.float64) @ model.embedding.output_table.numpy().T.astype(np.float64)
    for row, items in enumerate(left_out):
        scores[row, items] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP_K]
    np.testing.assert_array_equal(outputs["item_ids"], best)
    np.testing.assert_allclose(outputs["scores"], np.take_along_axis(scores, best, axis=1), 1e-5, 1e-6)


@pytest.mark.parametrize("loader", ["session", pytest.param("functions", marks=pytest.mark.slow)])
def test_cells_answer_as_a_stable_sort_does(model, exported, loader):
    sessions = RANDOM.integers(N_ITEMS, size=[8, 3])
    excluded = RANDOM.integers(N_ITEMS, size=[8, 300])
    with LOADERS[loader](exported[0]) as call:
        for session, items in zip(sessions[:, np.newaxis], excluded, strict=True):
            assert_best(call("recommend", item_ids=session), model, session)
            filters = {"exclude_ids": [items], "exclude_seen": [True], "allow_groups": [[""]]}
            filtered = call("recommend_filtered", item_ids=session, **filters)
            assert_best(filtered, model, session, [[*items, *session[0]]])
        stepped = [call("step", session_id=["one"], item_id=[item], position=[0]) for item in sessions[0]]
        assert_best(stepped[-1], model, sessions[:1])
        # Many sessions, and one without an item: the product answers.
        assert_best(call("recommend", item_ids=np.tile(sessions, [16, 1])), model, np.tile(sessions, [16, 1]))
        popular = call("recommend", item_ids=[[-1]])["item_ids"]
        assert popular.tolist() == [list(range(TOP_K))]


def test_the_export_says_what_it_chose_and_why(exported):
    path, lines = exported
    [said] = [line for line in lines if line.startswith(f"The best {TOP_K} items: cells, exact: ")]
    assert all(
        word in said for word in ("ms of the product", "of the catalogue read", "MB in memory and on disk")
    )
    with open(f"{path}/assets.extra/model_card.md") as card:
        assert f"| top_k_search | {said.partition(': ')[2].removesuffix('.')} |" in card.read()


@pytest.mark.parametrize(("is_fused", "reason"), [(True, "neighbours"), (False, "100,000 items")])
def test_where_cells_do_not_pay_or_do_not_hold_the_product_answers(model, is_fused, reason):
    ranking = types.SimpleNamespace(is_fused=is_fused)
    settings = {"follow": None, "approximate_recall": 1.0}
    said = search_choice.choose_search(ranking, model, wanted="auto", **settings)
    assert said.startswith("plain product: ")
    assert reason in said
    asked = search_choice.choose_search(ranking, model, wanted="plain", **settings)
    assert asked == "plain product, as asked for"


def test_bounds_are_as_short_as_the_recall_allows():
    share = types.SimpleNamespace(value=1.0)
    share.assign = lambda value: setattr(share, "value", value)
    search = types.SimpleNamespace(radius_share=share)
    # Recall grows with the share as its root: 0.81 is the least that gives 0.9.
    reached = search_choice.calibrate(search, lambda: share.value**0.5, 0.9)
    assert 0.9 <= reached == share.value**0.5
    assert share.value < 0.81 + 2**-6
    assert search_choice.calibrate(search, lambda: 0.0, 1.0) == 1.0
    assert share.value == 1.0


def test_recall_is_that_of_the_worse_half():
    expected = [np.array([[1, 2], [3, 4], [5, 6], [7, 8]])]
    found = [
        np.array([[2, 1], [3, 9], [5, 6], [0, 0]]),
        None,
        np.array([[True], [True], [True], [False]]),
        None,
    ]
    # Sessions 1 and 3: one of two, and two of two from the product.
    assert search_choice.recall_of(found, expected) == 0.75


def test_sampled_sessions_follow_the_model(model):
    sessions = measured_sessions(model, None)
    assert sessions.shape == (512, 8)
    assert sessions.dtype == np.int32
    lengths = (sessions >= 0).sum(axis=1)
    assert set(lengths) == set(range(1, 9))
    assert all((row[:length] >= 0).all() for row, length in zip(sessions, lengths, strict=True))
    followed = sessions[lengths > 3][:5, :4]
    best = np.argsort(-model.predict_step(followed[:, :3]).numpy(), axis=1, kind="stable")[:, :20]
    assert all(row[3] in items for row, items in zip(followed, best, strict=True))


def test_given_sessions_are_cut_at_random_places(model):
    sessions = measured_sessions(model, [[5, 7, 9], [10**6], [3]])
    assert {tuple(row[row >= 0]) for row in sessions} == {(5,), (5, 7), (5, 7, 9), (3,)}
    with pytest.raises(ValueError, match="must have items of the model"):
        measured_sessions(model, [[10**6]])


def test_the_plain_product_is_not_approximate():
    with pytest.raises(ValueError, match=r"plain product is exact.*approximate_recall=0\.9"):
        ExportConfig(top_k_search="plain", approximate_recall=0.9)
