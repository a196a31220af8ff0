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
    return [found.look_up(inputs), *found.candidates(candidates)]


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_gradients_name_the_rows_that_were_looked_up(name):
    found = embedding(name)
    inputs, candidates = np.array([2, 2, 5]), np.array([5, 1, 1, 9])
    with tf.GradientTape() as tape:
        rows, weights, biases = gathered(found, inputs, candidates)
        value = tf.reduce_sum(rows**3) + tf.reduce_sum(tf.sin(weights)) + tf.reduce_sum(tf.exp(biases))
    gradients = tape.gradient(value, found.trainable_variables)
    # By hand: 3 x², cos w and exp b, at each row as often as it was looked up.
    expected = {variable.ref(): np.zeros(variable.shape) for variable in found.trainable_variables}
    np.add.at(expected[found.input_table.ref()], inputs, 3 * rows.numpy() ** 2)
    np.add.at(expected[found.output_table.ref()], candidates, np.cos(weights))
    np.add.at(expected[found.output_bias.ref()], candidates, np.exp(biases))
    for gradient, variable in zip(gradients, found.trainable_variables, strict=True):
        assert isinstance(gradient, tf.IndexedSlices)
        assert set(gradient.indices.numpy()) <= {*inputs, *candidates}
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient), expected[variable.ref()], rtol=1e-5, atol=1e-6
        )
