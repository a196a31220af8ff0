"""Searching cells gives what the plain product gives, ties and filters included: against a stable sort in NumPy."""

import types

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from export_support.item_weights import KINDS, make_items
from hypothesis import strategies

from tfrs_gru4rec.export.cell_search import CellSearch
from tfrs_gru4rec.export.cells import make_cells
from tfrs_gru4rec.export.filters import Filters
from tfrs_gru4rec.export.ranking import Ranking
from tfrs_gru4rec.export.session_record import SessionRecords
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

N_SEEN = 3


def make_ranking(table, bias, k, **settings):
    model = types.SimpleNamespace(
        embedding=types.SimpleNamespace(output_table=tf.constant(table), output_bias=tf.constant(bias)),
        initial_state=lambda batch_size: (tf.zeros([batch_size, table.shape[1]]),),
    )
    records = SessionRecords(model, N_SEEN)
    n_items = len(table)
    vocabulary = Vocabulary(np.arange(n_items), np.ones(n_items, np.int64))
    group_of = {item: f"group-{item % 2}" for item in range(n_items)}
    return Ranking(model, records, vocabulary, k, group_of=group_of, **settings)


def expected_top(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def assert_same(found, scores, k):
    rows, values = (part.numpy() for part in found)
    expected_rows, expected_values = expected_top(scores, k)
    np.testing.assert_array_equal(values, expected_values)
    is_answer = values > -np.inf
    np.testing.assert_array_equal(rows[is_answer], expected_rows[is_answer])


@hypothesis.given(
    kind=strategies.sampled_from(KINDS),
    n_items=strategies.integers(1, 70),
    width=strategies.integers(1, 9),
    size=strategies.sampled_from([1, 2, 5]),
    cells_a_visit=strategies.sampled_from([1, 3, 100]),
    most_read=strategies.sampled_from([0.3, 0.8, 1.0]),
    is_filtered=strategies.booleans(),
    seed=strategies.integers(0, 10**6),
    data=strategies.data(),
)
def test_cells_find_what_a_stable_sort_finds(
    kind, n_items, width, size, cells_a_visit, most_read, is_filtered, seed, data
):
    k = data.draw(strategies.integers(1, n_items))
    random = np.random.default_rng(seed)
    table, bias = make_items(kind, n_items, width, random)
    queries = (random.integers(-16, 17, size=[5, width]) / 8).astype(np.float32)
    queries[0] = 0
    ranking = make_ranking(table, bias, k)
    search = CellSearch(make_cells(table, bias, size), k, cells_a_visit, most_read)
    ranking.search_cells(search, most_searched=5)
    seen = random.integers(-1, n_items, size=[5, N_SEEN])
    known = np.ones([5, 2])
    records = tf.constant(np.concatenate([known, queries, seen + 1], axis=1), tf.float32)
    scores = queries.astype(np.float64) @ table.T.astype(np.float64) + bias
    filters = None
    if is_filtered:
        excluded = random.integers(-1, n_items, size=[5, 4]).astype(np.int32)
        exclude_seen = random.random(5) < 0.5
        groups = np.array([["", ""], ["group-0", ""], ["", "group-1"], ["nothing", ""], ["", ""]], object)
        filters = Filters(tf.constant(excluded), tf.constant(exclude_seen), tf.constant(groups))
        gone = random.integers(n_items, size=2).astype(np.int32)
        ranking.availability.set(tf.constant(gone), tf.constant([False, False]))
        scores[:, gone] = -np.inf
        for session in range(5):
            left_out = [*excluded[session], *(seen[session] if exclude_seen[session] else [])]
            scores[session, [row for row in left_out if row >= 0]] = -np.inf
        parity = np.arange(n_items) % 2
        scores[1, parity == 1] = scores[2, parity == 0] = scores[3] = -np.inf
    assert_same(ranking.top(records, filters), scores, k)


def clustered(n_groups=200, each=10, width=12):
    random = np.random.default_rng(3)
    places = random.normal(size=[n_groups, width])
    table = np.repeat(places, each, axis=0) + random.normal(scale=0.02, size=[n_groups * each, width])
    return table.astype(np.float32), np.zeros(n_groups * each, np.float32), random


def test_little_is_read_where_items_lie_together_and_the_rest_is_left():
    table, bias, random = clustered()
    queries = random.normal(size=[20, 12]).astype(np.float32)
    ranking = make_ranking(table, bias, 5)
    search = CellSearch(make_cells(table, bias, 10), 5, cells_a_visit=4)
    records = tf.constant(np.concatenate([np.ones([20, 2]), queries, np.zeros([20, N_SEEN])], 1), tf.float32)
    rows, scores, is_proven, n_read = ranking.found(search, records)
    assert is_proven.numpy().all()
    assert search.n_cells == 200
    assert n_read.numpy().mean() < 30
    expected_rows, expected_scores = expected_top(queries @ table.T, 5)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, 1e-5)
    # Shorter bounds, less is read; the best is still found where the first cells hold it.
    search.radius_share.assign(0.0)
    assert ranking.found(search, records)[3].numpy().mean() < n_read.numpy().mean()


@pytest.mark.parametrize(
    ("n_sessions", "is_known", "is_searched"), [(2, True, True), (3, True, False), (2, False, False)]
)
def test_large_calls_and_empty_sessions_are_answered_by_the_product(n_sessions, is_known, is_searched):
    table, bias, _ = clustered()
    ranking = make_ranking(table, bias, 5)
    # The cells' weights are doubled, so that the scores show who answers.
    search = CellSearch(make_cells(2 * table, bias, 10), 5, cells_a_visit=4)
    ranking.search_cells(search, most_searched=2)
    queries = table[:n_sessions]
    known = np.tile([1.0, is_known], [n_sessions, 1])
    records = tf.constant(np.concatenate([known, queries, np.zeros([n_sessions, N_SEEN])], 1), tf.float32)
    _, scores = ranking.top(records)
    # One event each: (1 + 1) / (2000 + 2000).
    right = queries @ table.T if is_known else np.full([n_sessions, 2000], np.log(2 / 4000))
    np.testing.assert_allclose(scores, (1 + is_searched) * expected_top(right, 5)[1], 1e-4)
