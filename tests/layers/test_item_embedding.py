"""Input and output tables in their three arrangements."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.layers import ItemEmbedding

ARRANGEMENTS = {"shared": (True, 0), "separate": (False, 7), "one-hot": (False, 0)}


def embedding(name):
    shared, width = ARRANGEMENTS[name]
    return ItemEmbedding(20, output_width=5, first_units=4, shared=shared, width=width)


@pytest.mark.parametrize(("name", "width"), [("shared", 5), ("separate", 7), ("one-hot", 12)])
def test_input_rows(name, width):
    found = embedding(name)
    assert found.input_table.shape == [20, width]
    assert (found.input_table is found.output_table) == (name == "shared")
    assert found.looks_up_gates == (name == "one-hot")
    np.testing.assert_array_equal(found.look_up([3, 3, 0]), found.input_table.numpy()[[3, 3, 0]])


def test_scores_are_products_plus_bias():
    found = embedding("shared")
    found.output_bias.assign(tf.range(20.0))
    query = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    expected = query @ found.output_table.numpy().T + np.arange(20)
    np.testing.assert_allclose(found.scores(query), expected, rtol=1e-5, atol=1e-6)
    _, weights, biases = gathered(found, [0], [4, 1])
    np.testing.assert_allclose(
        query @ weights.numpy().T + biases.numpy(), expected[:, [4, 1]], rtol=1e-5, atol=1e-6
    )


def gathered(found, inputs, candidates):
    return [tf.gather(table, rows) for table, rows in found.touched(inputs, candidates)]


def value_of(rows, weights, biases):
    return tf.reduce_sum(rows**3) + tf.reduce_sum(tf.sin(weights)) + tf.reduce_sum(tf.exp(biases))


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_gradients_by_touched_rows_equal_dense_ones(name):
    found = embedding(name)
    inputs, candidates = tf.constant([2, 2, 5]), tf.constant([5, 1, 1, 9])
    touched = found.touched(inputs, candidates)
    by_rows = [tf.gather(table, rows) for table, rows in touched]
    with tf.GradientTape() as tape:
        tape.watch(by_rows)
        value = value_of(*by_rows)
    sparse = tape.gradient(value, by_rows)
    tables = {table.ref(): table for table in found.trainable_variables}.values()
    with tf.GradientTape() as tape:
        again = value_of(
            found.look_up(inputs),
            tf.gather(found.output_table, candidates),
            tf.gather(found.output_bias, candidates),
        )
    assert float(value) == pytest.approx(float(again), rel=1e-6)
    dense = {
        table.ref(): tf.convert_to_tensor(gradient)
        for table, gradient in zip(tables, tape.gradient(again, list(tables)), strict=True)
    }
    assert len(touched) == 3
    scattered = {table.ref(): tf.zeros_like(table) for table, _ in touched}
    for gradient, (table, rows) in zip(sparse, touched, strict=True):
        scattered[table.ref()] += tf.math.unsorted_segment_sum(gradient, rows, table.shape[0])
    assert set(scattered) == set(dense)
    for table, gradient in scattered.items():
        np.testing.assert_allclose(gradient, dense[table], rtol=1e-6)
