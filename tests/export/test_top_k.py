"""Exact top-k: the same as sorting, ties and all."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.export.top_k import BLOCK, top_k


@pytest.mark.parametrize("n_values", [2, 7, 10**6])
@pytest.mark.parametrize(("n_blocks", "k"), [(1, 1), (3, 64), (5, 4), (40, 1), (40, 20), (40, 40), (2, 128)])
def test_top_k_equals_a_stable_sort(n_blocks, k, n_values):
    random = np.random.default_rng(n_blocks * k)
    scores = random.integers(n_values, size=[5, n_blocks * BLOCK]).astype(np.float32)
    scores[0] = 1.0
    scores[1, k:] = -np.inf
    values, columns = top_k(tf.constant(scores), k)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(columns, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, expected, axis=1))
