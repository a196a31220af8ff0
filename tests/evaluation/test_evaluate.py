"""Evaluation against a slow one that follows each session by itself and sorts the scores."""

import functools
import gc
import weakref

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog

import tensorflow as tf  # isort: skip


def logs(n_test_sessions, seed=0, n_items=30):
    """A training log of every item and a test log with an item that training lacks."""
    rng = np.random.default_rng(seed)
    train = pd.DataFrame(
        {"SessionId": np.arange(2 * n_items) // 2, "ItemId": np.arange(2 * n_items) % n_items}
    )
    lengths = rng.integers(2, 9, n_test_sessions)
    test = pd.DataFrame({"SessionId": np.repeat(np.arange(n_test_sessions), lengths)})
    test["ItemId"] = rng.integers(0, n_items + 3, len(test))
    for frame in (train, test):
        frame["Time"] = np.arange(len(frame))
    log = SessionLog.from_frame(train)
    return log, SessionLog.from_frame(test, vocabulary=log.vocabulary), test


def make_model(log, **settings):
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(**{"layers": (8,), "n_sample": 0, "seed": 4, **settings}))
    model.embedding.output_bias.assign(tf.random.stateless_normal([log.vocabulary.n_items], [0, 1]))
    return model


@functools.cache
def followed(n_sessions):
    """Follows each session by itself, item by item, leaving out unknown items; compares all scores.

    Returns the model, the test log, and (position, items above the target, items level with it) of each pair, in the
    order of the log.
    """
    log, test_log, frame = logs(n_sessions)
    model = make_model(log)
    # Items 3 and 4 score alike, so that ties occur.
    for table in (model.embedding.output_table, model.embedding.output_bias):
        table.assign(tf.tensor_scatter_nd_update(table, [[4]], table[3:4]))
    pairs = []
    for _, session in frame.groupby("SessionId"):
        rows = model.vocabulary.rows(session["ItemId"].to_numpy())
        rows = rows[rows >= 0]
        state = model.initial_state(1)
        for position, (row, target) in enumerate(zip(rows, rows[1:], strict=False), 1):
            query, state = model.step(tf.constant([row]), state)
            scores = model.scores(query)[0].numpy()
            pairs.append((position, np.sum(scores > scores[target]), np.sum(scores == scores[target])))
    assert n_sessions == 1 or any(level > 1 for _, _, level in pairs)
    return model, test_log, pairs


@pytest.mark.parametrize("tie", ["standard", "conservative", "median"])
@pytest.mark.parametrize(
    ("n_sessions", "lanes", "score_bytes"), [(40, 512, 1 << 26), (40, 7, 4 * 30 * 5), (1, 3, 1)]
)
def test_ranks_equal_those_of_single_sessions_in_the_order_of_the_log(tie, n_sessions, lanes, score_bytes):
    model, test_log, pairs = followed(n_sessions)
    rank = {
        "standard": lambda above, level: 1 + above,
        "conservative": lambda above, level: above + level,
        "median": lambda above, level: above + (1 + level) / 2,
    }[tie]
    found = evaluate(model, test_log, tie, lanes, score_bytes)
    expected = [(position, float(rank(above, level))) for position, above, level in pairs]
    assert list(zip(found.positions.tolist(), found.ranks.tolist(), strict=True)) == expected
    # Each pair is named by its next event, which is not the first of a session.
    is_next = np.setdiff1d(np.arange(test_log.n_events), test_log.offsets)
    np.testing.assert_array_equal(found.events, is_next)
    np.testing.assert_array_equal(found.targets, test_log.items[is_next])


def test_unknown_items_are_dropped_and_counted():
    log, test_log, frame = logs(40)
    found = evaluate(make_model(log), test_log)
    assert found.dropped_events == int((frame["ItemId"] >= 30).sum()) > 0
    assert len(found.ranks) == test_log.n_pairs


def test_rejects_a_log_of_another_vocabulary():
    log, _, frame = logs(10)
    with pytest.raises(ValueError, match="read with the model's vocabulary"):
        evaluate(make_model(log), SessionLog.from_frame(frame))


def test_rejects_an_unknown_tie_rule():
    log, test_log, _ = logs(10)
    with pytest.raises(ValueError, match="tie must be one of standard, conservative, median"):
        evaluate(make_model(log), test_log, tie="best")


def test_graphs_are_traced_once_for_each_model_and_shape():
    log, test_log, _ = logs(40)
    model, traces = make_model(log), []
    step = model.step
    model.step = lambda rows, state: (traces.append(1), step(rows, state))[1]
    for _ in range(3):
        evaluate(model, test_log)
    assert len(traces) == 1
    for n_sessions in (33, 34, 35):
        evaluate(model, test_log.first_sessions(int(test_log.offsets[n_sessions])))
    assert len(traces) == 1  # some sessions less are followed in as many lanes
    for lanes in (7, 6, 7):
        evaluate(model, test_log, lanes=lanes)
    assert len(traces) == 3


def test_graphs_go_with_their_model():
    log, test_log, _ = logs(5)
    model = make_model(log)
    evaluate(model, test_log)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
