"""Final activations by name."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.losses import activations

from oracle.tolerance import rounding

X = np.array([-1e4, -2.0, -1e-3, 0.0, 1e-3, 2.0, 1e4])


@pytest.mark.parametrize(
    ("final_act", "expected"),
    [
        ("linear", X),
        ("relu", np.maximum(X, 0)),
        ("tanh", np.tanh(X)),
        ("elu-1", np.where(X > 0, X, np.expm1(np.minimum(X, 0)))),
        ("elu-0.5", np.where(X > 0, X, 0.5 * np.expm1(np.minimum(X, 0)))),
        ("leaky-0.2", np.where(X > 0, X, 0.2 * X)),
        ("leaky-1e-2", np.where(X > 0, X, 0.01 * X)),
        # Scale and alpha of the self-normalising unit (1706.02515).
        ("selu", 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * np.expm1(np.minimum(X, 0)))),
    ],
)
def test_values(final_act, expected):
    actual = activations.get(final_act)(tf.constant(X, tf.float32))
    assert actual.dtype == tf.float32
    # TensorFlow's elu is exp(x) - 1 outside XLA: near 0 it is exact to a rounding of 1, times at most 1.76.
    np.testing.assert_allclose(actual, expected, rtol=rounding(8), atol=rounding(2))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradient_of_elu(jit_compile):
    # 1 above 0, else alpha exp(x); at 0 itself alpha, the slope from the left.
    @tf.function(jit_compile=jit_compile, autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = 3.0 * activations.get("elu-0.5")(x)
        return tape.gradient(y, x)

    actual = gradient(tf.constant(X, tf.float32))
    np.testing.assert_allclose(actual, 3 * np.where(X > 0, 1, 0.5 * np.exp(np.minimum(X, 0))), rtol=1e-5)


@pytest.mark.parametrize(
    "final_act",
    [
        "",
        "softmax",
        "elu",
        "elu-",
        "elu-x",
        "elu-0",
        "elu--1",
        "elu-nan",
        "leaky-inf",
        "relu-1",
        "ELU-1",
        None,
        1,
    ],
)
def test_wrong_names_are_told_the_right_ones(final_act):
    with pytest.raises(ValueError, match=r"linear, relu, selu, tanh, elu-<alpha>, leaky-<alpha>.*Received"):
        activations.get(final_act)
