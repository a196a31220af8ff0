"""TOP1-max: a worked number."""

import numpy as np

from tfrs_gru4rec.losses import top1_max

from oracle.tolerance import FEW

LN3 = np.log(3)


def test_worked_number(run):
    # Negatives 0 and ln 3 weigh 1/4 and 3/4. Against a target of 0: sigmoid(0) + sigmoid(0) = 1, and
    # sigmoid(ln 3) + sigmoid((ln 3)^2) = 0.75 + sigmoid(1.2069490) = 0.75 + 0.7697584 = 1.5197584.
    # 1/4 * 1 + 3/4 * 1.5197584 = 1.3898188
    values, _ = run(top1_max, [[0.0, 0.0, LN3]])
    np.testing.assert_allclose(values, [1.3898188], rtol=FEW)


def test_target_takes_no_part_in_the_softmax(run):
    # A lone negative of 0 under a target of 30 weighs 1: sigmoid(-30) + sigmoid(0) = 0.5.
    values, _ = run(top1_max, [[30.0, 0.0]])
    np.testing.assert_allclose(values, [0.5], rtol=FEW)
