"""Recall@k and MRR@k from ranks."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.metrics import MRR, RankedPairs, Recall
from tfrs_gru4rec.metrics.figures import require_list_lengths

from oracle import ranks as oracle


def test_worked_numbers():
    # Ranks 1, 2, 5 and 6 at 5: three of four found; (1 + 1/2 + 1/5) / 4.
    recall, mrr = Recall(5), MRR(5)
    for metric in (recall, mrr):
        metric.update_state(tf.constant([1.0, 5.0]))
        metric.update_state(tf.constant([2.0, 6.0]))
    assert recall.result() == 0.75
    np.testing.assert_allclose(mrr.result(), 0.425, rtol=1e-6)


def test_rank_k_itself_is_found():
    for metric, value in ((Recall(20), 1.0), (MRR(20), 0.05)):
        np.testing.assert_allclose(metric(tf.constant([20.0])), value, rtol=1e-6)


def test_a_median_rank_between_k_and_the_next_is_not_found():
    assert Recall(1)(tf.constant([1.5])) == 0
    assert MRR(1)(tf.constant([1.5])) == 0


@pytest.mark.parametrize("k", [1, 3, 20])
def test_oracle(k):
    ranks = np.random.default_rng(0).integers(1, 40, 500)
    np.testing.assert_allclose(Recall(k)(tf.constant(ranks, tf.float32)), oracle.recall(ranks, k), rtol=1e-6)
    np.testing.assert_allclose(MRR(k)(tf.constant(ranks, tf.float32)), oracle.mrr(ranks, k), rtol=1e-6)
    found = RankedPairs(ranks.astype(np.float32), np.ones(500, int))
    # Sums of 500 float64 numbers of at most 1.
    assert found.recall(k) == pytest.approx(oracle.recall(ranks, k), rel=500 * 2**-52)
    assert found.mrr(k) == pytest.approx(oracle.mrr(ranks, k), rel=500 * 2**-52)


def test_weights():
    # Weights 2, 0, 1: the middle row is padding. Recall 2/3, MRR (2 * 1/2) / 3.
    ranks, weights = tf.constant([2.0, 1.0, 9.0]), tf.constant([2.0, 0.0, 1.0])
    np.testing.assert_allclose(Recall(5)(ranks, sample_weight=weights), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(MRR(5)(ranks, sample_weight=weights), 1 / 3, rtol=1e-6)


def test_nothing_seen_yet_and_reset():
    metric = Recall(5)
    assert metric.result() == 0
    metric.update_state(tf.constant([1.0]))
    metric.reset_state()
    assert metric.result() == 0


def test_in_a_graph():
    metric = MRR(2)

    @tf.function
    def update(ranks):
        metric.update_state(ranks)

    update(tf.constant([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(metric.result(), 0.5, rtol=1e-6)


def test_many_events_are_counted_exactly():
    # A float32 counter stops at 2**24 = 16.8 million: adding 1 there changes nothing.
    metric = Recall(5)
    metric.update_state(tf.constant([1.0]), sample_weight=tf.constant([2.0**25]))
    for rank in (9.0, 1.0, 9.0):
        metric.update_state(tf.constant([rank]))
    assert metric.count.numpy() == 2**25 + 3
    assert metric.total.numpy() == 2**25 + 1


@pytest.mark.parametrize(("metric_class", "name"), [(Recall, "recall_at_10"), (MRR, "mrr_at_10")])
def test_configuration_round_trip(metric_class, name):
    metric = metric_class(10)
    assert metric.name == name
    assert metric_class(10, name="mine").name == "mine"
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is metric_class
    assert again.get_config() == metric.get_config()
    assert (again.k, again.name) == (10, name)


@pytest.mark.parametrize("metric_class", [Recall, MRR])
def test_k_out_of_range(metric_class):
    with pytest.raises(ValueError, match="k must be at least 1.*k=0"):
        metric_class(0)


@pytest.mark.parametrize("k", [(), (5, 0)])
def test_list_lengths_out_of_range(k):
    with pytest.raises(ValueError, match="k must name list lengths above 0"):
        require_list_lengths(k)
