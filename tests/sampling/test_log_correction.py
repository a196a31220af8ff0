"""logQ correction."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.losses import cross_entropy
from tfrs_gru4rec.sampling import NegativeSampler, log_correction, log_counts

from oracle.tolerance import rounding


def test_worked_numbers():
    # ln 1, ln 10, ln 100; in-batch targets get logq ln(count), sampled logq ln(count^alpha).
    logs = log_counts(np.array([1, 10, 100]))
    actual = log_correction(tf.constant(logs), [2, 0], [1, 2, 1], sample_alpha=0.75, logq=0.5)
    assert actual.dtype == tf.float32
    expected = [0.5 * 4.6051702, 0.0, 0.5 * 0.75 * 2.3025851, 0.5 * 0.75 * 4.6051702, 0.5 * 0.75 * 2.3025851]
    np.testing.assert_allclose(actual, expected, rtol=rounding(6))


def test_no_strength_no_correction():
    logs = tf.constant(log_counts(np.array([1, 10, 100])))
    np.testing.assert_array_equal(log_correction(logs, [0, 2], [1], 0.5, logq=0.0), [0.0, 0.0, 0.0])


def test_count_zero_does_not_take_the_logarithm_of_zero():
    np.testing.assert_array_equal(log_counts(np.array([0, 1])), [0.0, 0.0])
    assert log_counts(np.array([5])).dtype == np.float32


def test_corrected_negatives_stand_for_the_whole_catalogue():
    # What the correction is for: with exp(s - ln q) in place of exp(s), the mean over draws from q is the
    # sum over all items. So 20,000 negatives drawn by count^0.5 give the loss of the full softmax.
    counts = np.random.default_rng(5).zipf(1.5, 300).clip(1, 1000)
    scores = np.random.default_rng(6).normal(0, 1, 300) + np.log(counts)
    sampled = NegativeSampler(counts, 0.5).sample(20_000, tf.constant([1, 1])).numpy()
    logs = tf.constant(log_counts(counts))
    full = np.log(np.exp(scores).sum()) - scores[7]

    def loss_of_sample(sample_alpha):
        # The correction's normalising constant, left out by design: expected draws are this x count^alpha.
        constant = np.log(20_000 / np.sum(counts**sample_alpha))
        correction = log_correction(logs, [7], sampled, sample_alpha).numpy()[1:] + constant
        row = np.concatenate([scores[[7]], scores[sampled] - correction])
        return cross_entropy(row[np.newaxis].astype(np.float32)).numpy()[0]

    assert abs(loss_of_sample(0.5) - full) < 0.04
    assert abs(loss_of_sample(0.0) - full) > 0.12
    assert abs(loss_of_sample(1.0) - full) > 0.12


def test_whole_numbers_are_strengths_too():
    logs = tf.constant(log_counts(np.array([1, 10, 100])))
    found = log_correction(logs, [2], [1], sample_alpha=1, logq=1)
    np.testing.assert_allclose(found, np.log([100, 10]), rtol=rounding(6))
