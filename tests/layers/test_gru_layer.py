"""One GRU step against the oracle and against Keras' own cell."""

import numpy as np
import pytest

from oracle.gru4rec import gru_step, gru_step_reset_after

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.layers.gru_tower import GRULayer


def filled(layer, rng):
    """Gives every weight, the bias too, values that matter."""
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    return layer


@pytest.mark.parametrize("input_width", [5, None])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_step_equals_the_equations(input_width, wrap):
    rng = np.random.default_rng(3)
    layer = filled(GRULayer(4, input_width, (0, 0)), rng)
    inputs = rng.normal(size=(6, input_width or 12)).astype(np.float32)
    state = rng.normal(size=(6, 4)).astype(np.float32)
    kernel = None if input_width is None else layer.kernel.numpy().astype(float)
    weights = kernel, layer.recurrent_kernel.numpy().astype(float), layer.bias.numpy().astype(float)
    expected = [
        gru_step(x, h, *weights)[0] for x, h in zip(inputs.astype(float), state.astype(float), strict=True)
    ]
    np.testing.assert_allclose(wrap(layer)(inputs, state), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("input_width", [5, None])
def test_step_with_the_reset_after_the_product(input_width):
    rng = np.random.default_rng(4)
    layer = filled(GRULayer(4, input_width, (0, 0), reset_after=True), rng)
    inputs, state = rng.normal(size=(6, input_width or 12)), rng.normal(size=(6, 4))
    kernel = None if input_width is None else layer.kernel.numpy().astype(float)
    others = (layer.recurrent_kernel, layer.bias, layer.recurrent_bias)
    weights = kernel, *(variable.numpy().astype(float) for variable in others)
    expected = [gru_step_reset_after(x, h, *weights) for x, h in zip(inputs, state, strict=True)]
    found = tf.function(layer)(inputs.astype(np.float32), state.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_hand_worked_step():
    # One unit, all weights zero but the candidate's bias b = atanh(0.5): r = z = 1/2, candidate = 1/2,
    # h' = (1 - 1/2) * 1 + 1/2 * 1/2 = 0.75.
    layer = GRULayer(1, 1, (0, 0))
    for variable in layer.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    layer.bias.assign([0.0, 0.0, np.arctanh(0.5)])
    assert float(layer(tf.ones([1, 1]), tf.ones([1, 1]))[0, 0]) == pytest.approx(0.75)


@pytest.mark.parametrize("reset_after", [False, True])
def test_update_gate_is_the_complement_of_keras(reset_after):
    # Keras: h' = z h + (1 - z) candidate, so its z needs the negated weights of ours; order there is z, r, h.
    rng = np.random.default_rng(5)
    layer = filled(GRULayer(3, 4, (0, 0), reset_after), rng)
    cell = keras.layers.GRUCell(3, reset_after=reset_after)
    cell.build([None, 4])
    ours = [weights.numpy() for weights in (layer.kernel, layer.recurrent_kernel, layer.bias)]
    theirs = [np.concatenate([-w[..., 3:6], w[..., :3], w[..., 6:]], axis=-1) for w in ours]
    if reset_after:
        recurrent = layer.recurrent_bias.numpy()
        second = np.concatenate([-recurrent[3:6], recurrent[:3], recurrent[6:]])
        theirs[2] = np.stack([theirs[2], second])
    cell.set_weights(theirs)
    inputs, state = rng.normal(size=(2, 4)).astype(np.float32), rng.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(
        layer(inputs, state), cell(tf.constant(inputs), [tf.constant(state)])[0], rtol=1e-5, atol=1e-6
    )


def test_each_gate_is_drawn_by_its_own_shape():
    layer = GRULayer(50, 30, (0, 0))
    for block in np.split(layer.kernel.numpy(), 3, axis=1):
        assert 0.97 * np.sqrt(6 / 80) < np.abs(block).max() <= np.sqrt(6 / 80)
    for block in np.split(layer.recurrent_kernel.numpy(), 3, axis=1):
        assert 0.97 * np.sqrt(6 / 100) < np.abs(block).max() <= np.sqrt(6 / 100)
    first, second, third = np.split(layer.recurrent_kernel.numpy(), 3, axis=1)
    assert not np.allclose(first, second)
    assert not np.allclose(second, third)
    assert not layer.bias.numpy().any()
