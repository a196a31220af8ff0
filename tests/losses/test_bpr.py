"""BPR: worked numbers, and the logarithm of zero."""

import numpy as np

from tfrs_gru4rec.losses import bpr

from oracle.tolerance import FEW

LN3 = np.log(3)


def test_worked_number(run):
    # -ln sigmoid(0) = ln 2, -ln sigmoid(-ln 3) = ln 4; their mean is 1.5 ln 2.
    values, gradient = run(bpr, [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.0397208], rtol=FEW)
    # Slopes sigmoid(s - t) / 2 = 1/4 and 3/8, and minus their sum for the target.
    np.testing.assert_allclose(gradient, [[-0.625, 0.25, 0.375]], rtol=FEW)


def test_is_the_mean_so_that_repeating_a_negative_changes_nothing(run):
    once, _ = run(bpr, [[0.3, -1.0]])
    thrice, _ = run(bpr, [[0.3, -1.0, -1.0, -1.0]])
    np.testing.assert_allclose(once, thrice, rtol=FEW)


def test_hopeless_target_does_not_take_the_logarithm_of_zero(run):
    # sigmoid(-20000) is 0 in float32; the loss is the gap.
    values, gradient = run(bpr, [[-1e4, 1e4]])
    np.testing.assert_allclose(values, [2e4], rtol=FEW)
    np.testing.assert_allclose(gradient, [[-1.0, 1.0]], rtol=FEW)
