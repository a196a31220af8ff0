"""Adagrad with momentum by hand and against the oracle, dense and sparse."""

import numpy as np
import pytest

from oracle.gru4rec import Adagrad

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.optimizers import AdagradMomentum


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_sparse_and_dense_updates_equal_the_oracle(momentum, wrap):
    rng = np.random.default_rng(0)
    table, weights = tf.Variable(rng.normal(size=(7, 3)), dtype=tf.float32), tf.Variable(tf.ones([2, 2]))
    optimizer = AdagradMomentum(0.1, momentum)
    optimizer.build([table, weights])
    oracle = Adagrad(0.1, momentum)
    expected, expected_weights = table.numpy().astype(float), np.ones((2, 2))
    apply = wrap(
        lambda rows, values, dense: optimizer.apply_gradients(
            [(tf.IndexedSlices(values, rows, tf.constant([7, 3])), table), (dense, weights)]
        )
    )
    for _ in range(5):
        rows = rng.integers(0, 7, 4)  # repeats a row most of the time
        values, dense = rng.normal(size=(4, 3)), rng.normal(size=(2, 2))
        apply(tf.constant(rows), tf.constant(values, tf.float32), tf.constant(dense, tf.float32))
        summed = np.zeros((7, 3))
        np.add.at(summed, rows, values)
        oracle.apply("table", expected, summed, rows)
        oracle.apply("weights", expected_weights, dense)
    np.testing.assert_allclose(table, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights, expected_weights, rtol=1e-5, atol=1e-6)


def test_first_update_has_the_size_of_the_learning_rate():
    # a = 1e-6 + 9, so the update is -0.05 * 3 / sqrt(9.000001) = -0.05 to seven digits. With an accumulator that
    # starts at 0.1 it would be -0.0497, and with a gradient of 0.003 the difference is all there is:
    # -0.05 * 0.003 / sqrt(1e-6 + 9e-6) = -0.0474, against -0.00047.
    weight = tf.Variable([1.0, 1.0])
    AdagradMomentum(0.05).apply_gradients([(tf.constant([3.0, 0.003]), weight)])
    np.testing.assert_allclose(weight, [1 - 0.05, 1 - 0.0474342], rtol=1e-6)


def test_momentum_moves_only_touched_rows():
    table = tf.Variable(tf.zeros([3, 1]))
    optimizer = AdagradMomentum(1.0, momentum=0.5)
    for row in (0, 1, 1):
        optimizer.apply_gradients([(tf.IndexedSlices([[1.0]], [row], [3, 1]), table)])
    # Row 0: -1 once, and no drift afterwards. Row 1: -1, then -0.5 - 1/sqrt(2).
    np.testing.assert_allclose(table, [[-1.0], [-1 - 0.5 - 2**-0.5], [0.0]], rtol=1e-5)


def test_config_round_trip_and_clipping():
    optimizer = AdagradMomentum(0.2, momentum=0.3, global_clipnorm=1.0)
    again = AdagradMomentum.from_config(optimizer.get_config())
    assert (float(again.learning_rate), again.momentum, again.global_clipnorm) == (
        pytest.approx(0.2),
        0.3,
        1.0,
    )
    assert isinstance(again, keras.optimizers.Optimizer)
    one, other = tf.Variable([0.0]), tf.Variable([0.0])
    optimizer.apply_gradients([(tf.constant([30.0]), one), (tf.constant([40.0]), other)])
    accumulators = sorted(float(optimizer.with_slots(variable).accumulator[0]) for variable in (one, other))
    # Clipped to norm 1: gradients 0.6 and 0.8.
    np.testing.assert_allclose(accumulators, [0.36, 0.64], rtol=1e-4)


def test_rejects_momentum_out_of_range():
    with pytest.raises(ValueError, match="momentum must be at least 0 and below 1. Received: momentum=1.0"):
        AdagradMomentum(momentum=1.0)


@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_sparse_update_never_reads_the_whole_table(momentum):
    table = tf.Variable(tf.zeros([50, 3]))
    optimizer = AdagradMomentum(0.1, momentum)
    optimizer.build([table])

    @tf.function
    def apply(values):
        optimizer.apply_gradients(
            [(tf.IndexedSlices(values, tf.constant([1, 2]), tf.constant([50, 3])), table)]
        )

    operations = apply.get_concrete_function(tf.zeros([2, 3])).graph.get_operations()
    shapes = [
        output.shape.as_list()
        for operation in operations
        for output in operation.outputs
        if output.shape.rank
    ]
    assert [50, 3] not in shapes
