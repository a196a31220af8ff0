"""Scoring in blocks changes nothing but the memory it takes."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.metrics import block_rows, ranks, ranks_in_blocks

from oracle import ranks as oracle

N_ITEMS, UNITS = 50, 4


@pytest.fixture
def catalogue():
    """Item weights with many equal rows, so that ties abound, and biases."""
    weights = np.random.default_rng(0).integers(-2, 3, [N_ITEMS, UNITS]).astype(np.float32)
    return tf.constant(weights), tf.constant(np.arange(N_ITEMS, dtype=np.float32) % 3)


@pytest.fixture
def events():
    generator = np.random.default_rng(1)
    query = generator.integers(-2, 3, [32, UNITS]).astype(np.float32)
    return tf.constant(query), tf.constant(generator.integers(0, N_ITEMS, 32), tf.int32)


@pytest.mark.parametrize("rows", [1, 5, 16, 31, 32, 48, 1000])
@pytest.mark.parametrize("mode", ["eager", "graph", "unknown size", "xla"])
def test_same_ranks_in_any_blocks(catalogue, events, rows, mode):
    weights, bias = catalogue

    def call(query, targets):
        return ranks_in_blocks(query, weights, bias, targets, "median", max_scores_bytes=4 * N_ITEMS * rows)

    if mode != "eager":
        unknown = [tf.TensorSpec([None, UNITS]), tf.TensorSpec([None], tf.int32)]
        signature = unknown if mode == "unknown size" else None
        call = tf.function(call, jit_compile=mode == "xla", autograph=False, input_signature=signature)
    query, targets = events
    actual = call(query, targets)
    scores = query.numpy() @ weights.numpy().T + bias.numpy()
    np.testing.assert_array_equal(actual, oracle.ranks(scores, targets.numpy(), "median"))


def test_more_queries_than_one_compiled_loop_takes(catalogue):
    weights, bias = catalogue
    generator = np.random.default_rng(2)
    query = generator.integers(-2, 3, [9_001, UNITS]).astype(np.float32)
    targets = generator.integers(0, N_ITEMS, len(query))
    found = ranks_in_blocks(query, weights, bias, targets, "median", max_scores_bytes=4 * N_ITEMS * 7)
    scores = query @ weights.numpy().T + bias.numpy()
    np.testing.assert_array_equal(found, oracle.ranks(scores, targets, "median"))


def test_blocks_keep_to_the_budget():
    # 10 million items take 40 MB a row: 268 MB hold 6 rows.
    assert block_rows(10_000_000) == 6
    assert block_rows(1000, max_scores_bytes=4000) == 1
    assert block_rows(1000, max_scores_bytes=7999) == 1
    assert block_rows(1000, max_scores_bytes=8000) == 2
    assert block_rows(10**9) == 1
    # Of a smaller catalogue 24 MiB, or 64 rows: 100,000 items take .4 MB a row.
    assert block_rows(10_000) == 624  # 16 fit 39 times into 24 MiB / 40,000
    assert block_rows(100_000) == 64
    assert block_rows(100_000, max_scores_bytes=4_000_000) == 10


def test_no_events(catalogue):
    weights, bias = catalogue
    empty = ranks_in_blocks(tf.zeros([0, UNITS]), weights, bias, tf.zeros([0], tf.int32))
    assert empty.shape == [0]
    assert ranks(tf.zeros([0, 3]), tf.zeros([0], tf.int32)).shape == [0]


def test_wrong_sizes():
    with pytest.raises(ValueError, match="n_items must be greater than 0"):
        block_rows(0)
    with pytest.raises(ValueError, match="max_scores_bytes must be greater than 0"):
        block_rows(10, max_scores_bytes=0)


def widths(call, *signature):
    """Returns the shapes of all matrix products in a graph of the call."""
    graph = tf.function(call, autograph=False).get_concrete_function(*signature).graph
    bodies = [
        graph,
        *(function.graph for function in graph._functions.values() if hasattr(function, "graph")),
    ]
    return [
        output.shape.as_list()
        for body in bodies
        for operation in body.get_operations()
        if operation.type == "MatMul"
        for output in operation.outputs
    ]


def test_scores_of_a_block_stay_in_the_budget(catalogue):
    def call(query, targets):
        return ranks_in_blocks(query, *catalogue, targets, max_scores_bytes=4 * N_ITEMS * 5)

    assert widths(call, tf.TensorSpec([None, UNITS]), tf.TensorSpec([None], tf.int32)) == [[N_ITEMS, 5]]


def test_a_block_is_no_larger_than_all_queries(catalogue, events):
    assert widths(lambda query, targets: ranks_in_blocks(query, *catalogue, targets), *events) == [
        [N_ITEMS, 32]
    ]
