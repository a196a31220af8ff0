"""The Keras classes: targets from y_true, final activation, weights, reductions, configuration."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec import losses
from tfrs_gru4rec._keras import keras

from oracle import losses as oracle

CASES = [
    (losses.CrossEntropy, {"smoothing": 0.1}, oracle.cross_entropy),
    (losses.BPRMax, {"bpreg": 1.5}, oracle.bpr_max),
    (losses.TOP1Max, {}, oracle.top1_max),
    (losses.BPR, {}, oracle.bpr),
    (losses.TOP1, {}, oracle.top1),
]
every_class = pytest.mark.parametrize(("loss_class", "parameters", "expected"), CASES)
EYE = np.eye(6, 17, dtype=np.float32)


@every_class
def test_reduction_and_weights(scores, loss_class, parameters, expected):
    rows = expected(scores, **parameters)
    weights = np.array([1.0, 0.0, 2.0, 0.5, 1.0, 1.0])
    # Keras divides by the number of rows, not by the sum of weights.
    for reduction, wanted in [
        ("none", weights * rows),
        ("sum", np.sum(weights * rows)),
        ("sum_over_batch_size", np.sum(weights * rows) / 6),
        ("auto", np.sum(weights * rows) / 6),
    ]:
        loss = loss_class(reduction=reduction, **parameters)
        np.testing.assert_allclose(loss(EYE, scores, sample_weight=weights), wanted, rtol=1e-5)
    np.testing.assert_allclose(loss_class(**parameters)(EYE, scores), rows.mean(), rtol=1e-5)


@every_class
def test_final_activation_comes_first(scores, loss_class, parameters, expected):
    activated = np.where(scores > 0, scores, 0.5 * np.expm1(np.minimum(scores, 0)))
    loss = loss_class(final_act="elu-0.5", reduction="none", **parameters)
    np.testing.assert_allclose(loss(EYE, scores), expected(activated, **parameters), rtol=1e-5)


@every_class
def test_targets_are_where_y_true_says(scores, loss_class, parameters, expected):
    order = np.random.default_rng(2).permutation(17)
    loss = loss_class(reduction="none", **parameters)
    wanted = expected(scores, **parameters)
    np.testing.assert_allclose(loss(EYE[:, order], scores[:, order]), wanted, rtol=1e-5)


@every_class
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_candidates_that_tfrs_ruled_out(scores, mask, loss_class, parameters, expected, dtype):
    scores = np.float16(scores).astype(np.float32)
    ruled_out = ~mask & (EYE == 0)
    # What RemoveAccidentalHits and score_mask do; in float16 it becomes minus infinity.
    spoilt = tf.cast(scores + ruled_out * (np.finfo(np.float32).min / 100.0), dtype)
    loss = loss_class(final_act="leaky-0.5", reduction="none", **parameters)
    activated = np.where(scores > 0, scores, 0.5 * scores)
    wanted = expected(activated, mask, **parameters)
    with tf.GradientTape() as tape:
        tape.watch(spoilt)
        actual = loss(EYE, spoilt)
    np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)
    gradient = tape.gradient(actual, spoilt).numpy()
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[ruled_out], 0)


@every_class
def test_a_nan_is_not_taken_for_ruled_out(scores, loss_class, parameters, expected):
    scores[0, 5] = np.nan
    loss = loss_class(**parameters)
    assert np.isnan(loss(EYE, scores))
    assert np.isnan(tf.function(lambda s: loss(EYE, s), autograph=False)(tf.constant(scores)))


@every_class
def test_configuration_round_trip(scores, loss_class, parameters, expected):
    loss = loss_class(final_act="elu-0.5", reduction="sum", name="mine", **parameters)
    config = {"final_act": "elu-0.5", "reduction": "sum", "name": "mine", **parameters}
    assert loss.get_config() == config
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is loss_class
    assert again.get_config() == config
    assert again(EYE, scores) == loss(EYE, scores)


def test_wrong_values():
    with pytest.raises(ValueError, match="final_act must be one of"):
        losses.TOP1(final_act="softmax")
    with pytest.raises(ValueError, match="bpreg must be at least 0"):
        losses.BPRMax(bpreg=-0.5)
    with pytest.raises(ValueError, match="smoothing must be at least 0 and below 1"):
        losses.CrossEntropy(smoothing=1.0)
