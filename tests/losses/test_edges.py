"""What holds for every loss: masks, empty rows, extremes, ties, shapes, types."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec import losses

from oracle.tolerance import FEW, rounding

# Two sums of 17 candidates, and what each candidate takes by itself.
OF_17 = rounding(48)

every_loss = pytest.mark.parametrize("name", losses.NAMES)
every_mode = pytest.mark.parametrize("mode", ["eager", "xla"])


@every_loss
@every_mode
def test_all_masked_is_zero_without_gradient(run_mode, scores, name, mode):
    values, gradient = run_mode(mode, losses.get(name), scores, np.zeros([6, 17], bool))
    np.testing.assert_array_equal(values, np.zeros(6))
    np.testing.assert_array_equal(gradient, np.zeros([6, 17]))


@every_loss
def test_one_candidate_is_zero_without_gradient(run, name):
    values, gradient = run(losses.get(name), [[3.5]])
    assert values == [0.0]
    assert gradient == [[0.0]]


@every_loss
def test_row_without_negatives_costs_nothing(run, name):
    parameters = {"smoothing": 0.3} if name == "cross-entropy" else {}
    values, gradient = run(losses.get(name, **parameters), [[2.0, 5.0]], [[True, False]])
    assert values == [0.0]
    np.testing.assert_array_equal(gradient, [[0.0, 0.0]])


@every_mode
@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        # The target has a quarter of the probability: ln 4.
        ("cross-entropy", 0.0, 1.3862944),
        ("cross-entropy", 50.0, 1.3862944),
        # It beats each negative with sigmoid(0) = 1/2: ln 2, and the square of the level regularised.
        ("bpr", 50.0, 0.6931472),
        ("bpr-max", 0.0, 0.6931472),
        ("bpr-max", 2.0, 0.6931472 + 4.0),
        # sigmoid(0) = 1/2 and sigmoid(level^2): 1/2 at 0, and 1 at 50, in float32.
        ("top1", 0.0, 1.0),
        ("top1", 50.0, 1.5),
        ("top1-max", 0.0, 1.0),
        ("top1-max", 50.0, 1.5),
    ],
)
def test_all_tied(run_mode, name, level, expected, mode):
    values, gradient = run_mode(mode, losses.get(name), np.full([3, 4], level))
    np.testing.assert_allclose(values, [expected] * 3, rtol=FEW)
    # Negatives that are equal are treated equally, and each row as the other.
    np.testing.assert_allclose(gradient[0, 1:], np.repeat(gradient[0, 1], 3), rtol=FEW)
    np.testing.assert_allclose(gradient[1, [1, 0, 2, 3]], gradient[0], rtol=FEW)


@every_loss
@every_mode
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extremes_stay_finite(run_mode, name, mode, scale):
    # Row 0: the target towers above (or lies below) all; row 1 the other way round; row 2: all extreme.
    extreme = np.array([[1, 0, 0, 0], [1, -1, 0, 1], [1, 1, 1, 1]], np.float32) * scale
    values, gradient = run_mode(mode, losses.get(name), extreme)
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(gradient))


@every_loss
@every_mode
def test_masked_columns_may_hold_anything(run_mode, scores, name, mode):
    mask = np.ones([6, 17], bool)
    mask[:, 8:12] = False
    spoilt = scores.copy()
    spoilt[:, 8:12] = [np.nan, np.inf, -np.inf, 3e38]
    without = np.delete(scores, slice(8, 12), axis=1)
    values, gradient = run_mode(mode, losses.get(name), spoilt, mask)
    wanted_values, wanted_gradient = run_mode("eager", losses.get(name), without)
    np.testing.assert_allclose(values, wanted_values, rtol=OF_17)
    found = np.delete(gradient, slice(8, 12), axis=1)
    np.testing.assert_allclose(found, wanted_gradient, rtol=0, atol=rounding(48, wanted_gradient))
    np.testing.assert_array_equal(gradient[:, 8:12], 0)


@every_loss
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_nan_score_is_not_swallowed(run_mode, scores, name, mode):
    scores[0, 0] = np.nan  # a target
    scores[1, 3] = np.nan  # a negative
    values, _ = run_mode(mode, losses.get(name), scores[:3, :4])
    assert np.all(np.isnan(values[:2]))
    assert np.all(np.isfinite(values[2:]))


@every_loss
def test_the_diagonal_is_the_target_whatever_the_mask_says(run, scores, mask, name):
    unmasked_diagonal = mask | np.eye(6, 17, dtype=bool)
    values, gradient = run(losses.get(name), scores, mask & ~np.eye(6, 17, dtype=bool))
    wanted_values, wanted_gradient = run(losses.get(name), scores, unmasked_diagonal)
    np.testing.assert_array_equal(values, wanted_values)
    np.testing.assert_array_equal(gradient, wanted_gradient)


@every_loss
def test_order_and_place_of_candidates_do_not_matter(run, scores, name):
    order = np.random.default_rng(1).permutation(17)
    targets = np.eye(6, 17, dtype=bool)[:, order]
    loss = losses.get(name)
    values, gradient = run(lambda s, mask: loss(s, mask=mask, targets=targets), scores[:, order])
    wanted_values, wanted_gradient = run(loss, scores)
    np.testing.assert_allclose(values, wanted_values, rtol=OF_17)
    np.testing.assert_allclose(
        gradient, wanted_gradient[:, order], rtol=0, atol=rounding(48, wanted_gradient)
    )


@every_loss
def test_rows_do_not_see_each_other(run, scores, name):
    _, gradient = run(losses.get(name), scores, row_weights=[0, 0, 1, 0, 0, 0])
    assert np.all(gradient[[0, 1, 3, 4, 5]] == 0)
    assert np.any(gradient[2] != 0)


@every_loss
def test_sizes_unknown_until_run(scores, name):
    loss = losses.get(name)
    unknown = tf.TensorSpec([None, None], tf.float32)
    traced = tf.function(lambda s: loss(s), input_signature=[unknown], autograph=False)
    for rows in (2, 6):
        np.testing.assert_allclose(traced(scores[:rows]), loss(scores[:rows]), rtol=OF_17)


@every_loss
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(scores, name, dtype):
    half = tf.cast(scores, dtype)
    actual = losses.get(name)(half)
    assert actual.dtype == tf.float32
    np.testing.assert_array_equal(actual, losses.get(name)(tf.cast(half, tf.float32)))


@every_loss
def test_shapes_and_types_that_are_no_scores(name):
    loss = losses.get(name)
    with pytest.raises(ValueError, match=r"at least as many candidates as rows.*\(3, 2\)|TensorShape"):
        loss(tf.zeros([3, 2]))
    with pytest.raises(ValueError, match=r"scores must be \[batch_size, n_candidates\]"):
        loss(tf.zeros([3]))
    with pytest.raises(ValueError, match="scores must be floating point"):
        loss(tf.zeros([2, 3], tf.int32))
