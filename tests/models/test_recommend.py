"""The likeliest next items of sessions of raw ids."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models import recommend as room
from tfrs_gru4rec.models.recommend import recommend, session_rows
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

CONFIG = GRU4RecConfig(layers=(3,), n_sample=0)


@pytest.fixture(scope="module")
def model():
    return GRU4Rec(Vocabulary.from_items(list("aaaabbbccd")), CONFIG)


def items(found, session=0):
    return found["item"][found["session"] == session].tolist()


def test_items_go_by_the_model_s_scores(model):
    scores = model.scores(model(tf.constant([[1, 0]]))[0])[0].numpy()
    found = recommend(model, [["b", "?", "a"]], k=3)
    best = np.argsort(-scores)[:3]
    assert items(found) == ["abcd"[row] for row in best]
    np.testing.assert_allclose(found["score"], scores[best], rtol=1e-6, atol=1e-7)
    assert found["rank"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("session", [["?"], []])
def test_a_session_without_a_known_item_gets_the_most_popular_ones(model, session):
    found = recommend(model, [session], k=2)
    assert items(found) == ["a", "b"]
    # (4 + 1) / (10 + 4) and (3 + 1) / 14; float32.
    np.testing.assert_allclose(found["score"], np.log([5 / 14, 4 / 14]), rtol=2**-22)


def test_seen_items_are_left_out_and_more_than_all_cannot_be_had(model):
    found = recommend(model, [["a", "c", "a"], list("abcd"), ["a"]], k=99, exclude_seen=True)
    assert [sorted(items(found, session)) for session in range(3)] == [["b", "d"], [], ["b", "c", "d"]]
    assert len(recommend(model, [["a"]], k=99)) == 4


@pytest.mark.parametrize("batch", [1, 3, 256])
def test_many_sessions_at_once_equal_each_by_itself(model, monkeypatch, batch):
    monkeypatch.setattr(room, "_MAX_BATCH", batch)
    rng = np.random.default_rng(1)
    sessions = {f"user-{n}": rng.choice(list("abcd?"), n % 5).tolist() for n in range(8)}
    found = model.recommend(sessions, k=2, exclude_seen=True)
    alone = [recommend(model, {name: session}, 2, True) for name, session in sessions.items()]
    expected = pd.concat([part for part in alone if len(part)], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_no_session_gives_an_empty_frame(model):
    found = recommend(model, [])
    assert list(found.columns) == ["session", "rank", "item", "score"]
    assert len(found) == 0


def test_text_is_taken_for_integer_ids():
    vocabulary = Vocabulary.from_items([7, 7, 8])
    assert session_rows(vocabulary, ["7", "9"]).tolist() == [0, -1]
    assert session_rows(vocabulary, [8.0]).tolist() == [1]


@pytest.mark.parametrize("item", ["seven", 7.9, 10**20, float("inf"), float("nan"), None])
def test_what_is_no_integer_is_refused_where_ids_are(item):
    with pytest.raises(ValueError, match=rf"item ids are integers.*{item}"):
        session_rows(Vocabulary.from_items([7, 7, 8]), [item])


def test_what_is_no_list_of_sessions_is_refused(model):
    with pytest.raises(ValueError, match="A session must be a list of item ids.*session='a'"):
        recommend(model, ["a", "b"])
    with pytest.raises(ValueError, match="k must be greater than 0"):
        recommend(model, [["a"]], k=0)


def test_many_sessions_get_what_they_get_in_another_order():
    model = GRU4Rec(Vocabulary.from_items(list("aabbccdde")), GRU4RecConfig(layers=(3,), n_sample=0))
    random = np.random.default_rng(4)
    # More than are scored at a time, one of them without a known item.
    sessions = {number: list(random.choice(list("abcdex"), random.integers(1, 6))) for number in range(300)}
    sessions[7] = ["x"]
    found = recommend(model, sessions, k=3)
    backwards = recommend(model, dict(reversed(sessions.items())), k=3)
    both = found.merge(backwards, on=["session", "rank"], suffixes=("", "_backwards"))
    assert len(both) == len(found) == 900
    assert both["item"].equals(both["item_backwards"])
    # A score is a sum of three products of numbers below 1.
    np.testing.assert_allclose(both["score"], both["score_backwards"], atol=1e-6)
    assert list(found["session"].unique()) == list(sessions)
    assert found[found["session"] == 7]["item"].tolist() == ["a", "b", "c"]
