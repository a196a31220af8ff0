"""TOP1: worked numbers."""

import numpy as np

from tfrs_gru4rec.losses import top1

from oracle.tolerance import FEW

LN3 = np.log(3)


def test_worked_number(run):
    # Against a target of 0: sigmoid(0) + sigmoid(0) = 1 for the negative 0, and for the negative ln 3
    # sigmoid(ln 3) + sigmoid((ln 3)^2) = 0.75 + sigmoid(1.2069490) = 1.5197584; their mean 1.2598792.
    values, _ = run(top1, [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.2598792], rtol=FEW)


def test_the_target_is_not_drawn_to_zero(run):
    # A target of 3 with its negative at 0: were sigmoid(t^2) in the loss, the slope of t would be
    # nearly 0.5 * 2 t sigmoid'(9); it is only -sigmoid'(-3) = -0.0451767.
    values, gradient = run(top1, [[3.0, 0.0]])
    np.testing.assert_allclose(values, [0.0474259 + 0.5], rtol=1e-5)
    np.testing.assert_allclose(gradient, [[-0.0451767, 0.0451767]], rtol=1e-5)
