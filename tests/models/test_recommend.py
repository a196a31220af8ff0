"""The likeliest next items of a session of raw ids."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.recommend import recommend
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

CONFIG = GRU4RecConfig(layers=(3,), n_sample=0)


@pytest.fixture(scope="module")
def model():
    return GRU4Rec(Vocabulary.from_items(list("aaaabbbccd")), CONFIG)


def test_items_go_by_the_model_s_scores(model):
    scores = model.scores(model(tf.constant([[1, 0]]))[0])[0].numpy()
    found = recommend(model, ["b", "?", "a"], top_k=3)
    best = np.argsort(-scores)[:3]
    assert found.items == ["abcd"[row] for row in best]
    np.testing.assert_array_equal(found.scores, scores[best])
    assert found.unknown == ["?"]


@pytest.mark.parametrize("session", [["?"], []])
def test_a_session_without_a_known_item_gets_the_most_popular_ones(model, session):
    found = recommend(model, session, top_k=2)
    assert found.items == ["a", "b"]
    # (4 + 1) / (10 + 4) and (3 + 1) / 14; float32.
    np.testing.assert_allclose(found.scores, np.log([5 / 14, 4 / 14]), rtol=2**-22)
    assert found.unknown == session


def test_seen_items_are_left_out_and_more_than_all_cannot_be_had(model):
    assert sorted(recommend(model, ["a", "c", "a"], exclude_seen=True).items) == ["b", "d"]
    assert recommend(model, list("abcd"), exclude_seen=True).items == []
    assert len(recommend(model, ["a"], top_k=99).items) == 4


def test_text_is_taken_for_integer_ids():
    model = GRU4Rec(Vocabulary.from_items([7, 7, 8]), CONFIG)
    assert recommend(model, ["7", "9"]).unknown == ["9"]
    with pytest.raises(ValueError, match=r"item ids are integers.*seven"):
        recommend(model, ["seven"])


def test_top_k_out_of_range(model):
    with pytest.raises(ValueError, match="top_k must be greater than 0"):
        recommend(model, ["a"], top_k=0)
