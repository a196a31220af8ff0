"""Accidental hits."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.losses import cross_entropy
from tfrs_gru4rec.sampling import negative_mask

from oracle.tolerance import FEW


def test_worked_mask():
    # Lanes want items 4, 7, 4; the extra negatives are 7 and 1.
    mask = negative_mask(tf.constant([4, 7, 4]), tf.constant([4, 7, 4, 7, 1]))
    np.testing.assert_array_equal(
        mask,
        [
            [False, True, False, True, True],
            [True, False, True, False, True],
            [False, True, False, True, True],
        ],
    )


def test_hits_removed_by_mask():
    # All scores 0. Row 0 keeps items 7, 7, 1 beside its target: ln 4. Row 1 keeps 4, 4, 1: ln 4.
    mask = negative_mask(tf.constant([4, 7, 4]), tf.constant([4, 7, 4, 7, 1]))
    np.testing.assert_allclose(cross_entropy(tf.zeros([3, 5]), mask), [1.3862944] * 3, rtol=FEW)
