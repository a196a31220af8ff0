"""The tower: layers in order, dropout on every one and on the state that is carried."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.layers import GRUTower

from oracle.tolerance import rounding


def test_each_layer_feeds_the_next():
    tower = GRUTower((3, 5, 2), input_width=4, seed=1)
    inputs = tf.random.stateless_normal([6, 4], [1, 2])
    state = tuple(tf.random.stateless_normal([6, units], [units, 2]) for units in (3, 5, 2))
    query, next_state = tower.step(inputs, state)
    outputs = inputs
    for layer, before, after in zip(tower.gru_layers, state, next_state, strict=True):
        outputs = layer(outputs, before)
        np.testing.assert_array_equal(outputs, after)
    np.testing.assert_array_equal(query, outputs)


def test_initial_state_is_zero():
    assert [part.shape.as_list() for part in GRUTower((3, 5), 4).initial_state(7)] == [[7, 3], [7, 5]]
    assert not any(part.numpy().any() for part in GRUTower((3, 5), 4).initial_state(7))


def test_dropout_drops_its_share_on_every_layer_and_is_carried():
    tower = GRUTower((400, 300), input_width=8, dropout_p_hidden=0.25)
    inputs, state = tf.ones([50, 8]), tuple(tf.ones([50, units]) for units in (400, 300))
    query, next_state = tower.step(inputs, state, tf.constant([1, 2], tf.int64))
    np.testing.assert_array_equal(query, next_state[-1])
    # The standard error of a share of 15,000 draws is 0.0035.
    for part in next_state:
        assert abs(np.mean(part.numpy() == 0) - 0.25) < 0.02
    undropped = tower.gru_layers[0](inputs, state[0]).numpy()
    kept = next_state[0].numpy() != 0
    np.testing.assert_allclose(next_state[0].numpy()[kept], undropped[kept] / 0.75, rtol=rounding(4))


def test_inference_never_drops():
    tower = GRUTower((400,), input_width=8, dropout_p_hidden=0.9)
    query, _ = tower.step(tf.ones([5, 8]), tower.initial_state(5))
    assert np.all(query.numpy() != 0)


def test_layers_draw_masks_of_their_own():
    tower = GRUTower((200, 200), input_width=8, dropout_p_hidden=0.5)
    _, (first, second) = tower.step(tf.ones([5, 8]), tower.initial_state(5), tf.constant([1, 2], tf.int64))
    assert not np.array_equal(first.numpy() == 0, second.numpy() == 0)
