"""Runs a loss and its gradient eagerly, in a graph, and compiled by XLA."""

import functools

import numpy as np
import pytest
import tensorflow as tf


def run_in(mode, loss, scores, mask=None, row_weights=None):
    """Returns loss [batch_size] and the gradient of sum(row_weights * loss), like scores."""
    scores = tf.constant(scores, tf.float32)
    weights = tf.ones(scores.shape[0]) if row_weights is None else tf.constant(row_weights, tf.float32)
    mask = None if mask is None else tf.constant(mask)
    if mode == "eager":
        return tuple(tensor.numpy() for tensor in value_and_gradient(loss, scores, mask, weights))
    if isinstance(loss, functools.partial):
        loss, parameters = loss.func, tuple(loss.keywords.items())
    else:
        parameters = ()
    return tuple(tensor.numpy() for tensor in traced(mode, loss, parameters)(scores, mask, weights))


def value_and_gradient(loss, scores, mask, weights):
    with tf.GradientTape() as tape:
        tape.watch(scores)
        values = loss(scores, mask=mask)
        total = tf.reduce_sum(weights * values)
    return values, tape.gradient(total, scores)


@functools.cache
def traced(mode, loss, parameters):
    """One traced function for all tests of a loss: equal shapes are compiled once."""
    bound = functools.partial(value_and_gradient, functools.partial(loss, **dict(parameters)))
    return tf.function(bound, jit_compile=mode == "xla", autograph=False)


@pytest.fixture
def run():
    """`run_in("eager", …)`."""
    return lambda *arguments, **named: run_in("eager", *arguments, **named)


@pytest.fixture
def run_mode():
    return run_in


@pytest.fixture
def scores():
    """[6, 17], float32: moderate scores with ties, in the row and with the target."""
    values = np.random.default_rng(7).normal(0.0, 1.5, [6, 17]).astype(np.float32)
    values[1, 5] = values[1, 9]
    values[2, 3] = values[2, 2]
    values[3, :] = 0.25
    return values


@pytest.fixture
def mask():
    """[6, 17], bool: about a third masked, some of the diagonal too; row 4 keeps one negative, row 5 none."""
    values = np.random.default_rng(8).uniform(size=[6, 17]) > 0.35
    values[0, 0] = values[1, 1] = False
    values[4] = [column == 11 for column in range(17)]
    values[5] = False
    return values
