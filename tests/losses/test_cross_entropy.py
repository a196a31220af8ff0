"""Cross-entropy: worked numbers, and the mistakes that re-implementations make."""

import numpy as np
import pytest

from tfrs_gru4rec.losses import cross_entropy

from oracle.tolerance import FEW

LN3 = np.log(3)


def test_worked_number(run):
    # exp: 1, 1, 3, so the target's probability is 1/5 and the loss ln 5.
    values, gradient = run(cross_entropy, [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.6094379], rtol=FEW)
    np.testing.assert_allclose(gradient, [[0.2 - 1, 0.2, 0.6]], rtol=FEW)


def test_worked_number_with_mask(run):
    # Without the last column exp is 1, 1: ln 2.
    values, gradient = run(cross_entropy, [[0.0, 0.0, LN3]], [[True, True, False]])
    np.testing.assert_allclose(values, [0.6931472], rtol=FEW)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0.0]], rtol=FEW)


def test_worked_number_with_smoothing(run):
    # smoothing 0.3 over 3 candidates wants 0.8, 0.1, 0.1:
    # ln 5 - 0.8 * 0 - 0.1 * 0 - 0.1 * ln 3 = 1.6094379 - 0.1098612
    values, gradient = run(lambda s, mask: cross_entropy(s, mask, smoothing=0.3), [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.4995767], rtol=FEW)
    np.testing.assert_allclose(gradient, [[0.2 - 0.8, 0.2 - 0.1, 0.6 - 0.1]], rtol=FEW)


def test_smoothing_counts_live_candidates_only(run):
    # Two of three live: 0.3 wants 0.85 and 0.15, ln 2 - 0.15 * 0 with scores 0, 0; and with scores 0, 1:
    # ln(1 + e) - 0.15 * 1 = 1.3132617 - 0.15
    smoothed = lambda s, mask: cross_entropy(s, mask, smoothing=0.3)  # noqa: E731
    values, gradient = run(smoothed, [[0.0, 1.0, 9.0]], [[True, True, False]])
    np.testing.assert_allclose(values, [1.1632617], rtol=FEW)
    np.testing.assert_allclose(gradient, [[0.2689414 - 0.85, 0.7310586 - 0.15, 0.0]], rtol=1e-5)


def test_softmax_is_applied_once(run):
    # A sure right answer costs nothing. Were softmax applied to the scores first, they would be 1, 0, 0
    # and the loss -ln(e / (e + 2)) = 0.55.
    values, _ = run(cross_entropy, [[50.0, 0.0, 0.0]])
    np.testing.assert_allclose(values, [0.0], atol=1e-6)


def test_lowest_scores_do_not_take_the_logarithm_of_zero(run):
    # The target's probability is exp(-20000), 0 in float32; the loss is the gap.
    values, gradient = run(cross_entropy, [[-1e4, 1e4]])
    np.testing.assert_allclose(values, [2e4], rtol=FEW)
    np.testing.assert_allclose(gradient, [[-1.0, 1.0]], rtol=FEW)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.5])
def test_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match="smoothing must be at least 0 and below 1"):
        cross_entropy([[0.0, 1.0]], smoothing=smoothing)
