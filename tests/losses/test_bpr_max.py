"""BPR-max: worked numbers, and the mistakes that re-implementations make."""

import numpy as np
import pytest

from tfrs_gru4rec.losses import bpr_max

from oracle.tolerance import FEW

LN3 = np.log(3)


def weighed(bpreg):
    return lambda scores, mask: bpr_max(scores, mask, bpreg=bpreg)


def test_worked_number_without_regulariser(run):
    # Negatives 0 and ln 3 weigh 1/4 and 3/4; the target, 0, beats them with sigmoid(0) = 1/2 and
    # sigmoid(-ln 3) = 1/4: win = 1/8 + 3/16 = 5/16, loss = ln 3.2. With the target in the softmax the
    # weights would be 1/5 and 3/5.
    values, gradient = run(weighed(0.0), [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.1631508], rtol=FEW)
    # d win / d target = 1/4 * 1/4 + 3/4 * 3/16 = 13/64, over win: -13/20. Of negative j:
    # w_j (win - beaten_j^2) / win = 1/4 (5/16 - 1/4) 16/5 = 1/20 and 3/4 (5/16 - 1/16) 16/5 = 12/20.
    np.testing.assert_allclose(gradient, [[-0.65, 0.05, 0.6]], rtol=0, atol=FEW)


def test_worked_number_of_the_regulariser(run):
    # 3/4 (ln 3)^2 = 0.9052117, times bpreg 2, atop ln 3.2.
    values, _ = run(weighed(2.0), [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.1631508 + 1.8104234], rtol=FEW)


def test_regulariser_is_on_unless_said_otherwise(run):
    values, _ = run(bpr_max, [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.1631508 + 0.9052117], rtol=FEW)


def test_the_target_is_not_regularised(run):
    # One negative at 0 and a target of 100: nothing to pull on.
    values, gradient = run(weighed(5.0), [[100.0, 0.0]])
    np.testing.assert_allclose(values, [0.0], atol=1e-6)
    np.testing.assert_allclose(gradient, [[0.0, 0.0]], atol=1e-6)


def test_a_single_negative_weighs_one_however_high_the_target(run):
    # Softmax over the negatives alone: bpreg * s^2 stays 0.25 when the target runs away.
    values, _ = run(weighed(1.0), [[40.0, -0.5]])
    np.testing.assert_allclose(values, [0.25], rtol=FEW)


def test_hopeless_target_does_not_take_the_logarithm_of_zero(run):
    # sigmoid(-10000) = 0: -ln(1e-24) = 24 ln 10 = 55.262042
    values, gradient = run(weighed(0.0), [[-1e4, 0.0]])
    np.testing.assert_allclose(values, [55.262042], rtol=FEW)
    assert np.all(np.isfinite(gradient))


def test_masking_is_not_adding_a_huge_number(run):
    # A huge negative score squared would swamp the regulariser; masked it takes no part.
    values, _ = run(weighed(1.0), [[40.0, -0.5, -3e36]], [[True, True, False]])
    np.testing.assert_allclose(values, [0.25], rtol=FEW)


def test_negative_bpreg():
    with pytest.raises(ValueError, match="bpreg must be at least 0"):
        bpr_max([[0.0, 1.0]], bpreg=-1.0)
