"""The task's scores, masks and scale, by hand and against TFRS' own task."""

import numpy as np
import pytest

from tfrs_gru4rec._keras import keras, tfrs  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.losses.candidates import hardest_negatives
from tfrs_gru4rec.tasks import SessionRetrieval

from oracle.tolerance import FEW


def random_step(lanes=3, candidates=7, units=4):
    rng = np.random.default_rng(2)
    query, weights = rng.normal(size=(lanes, units)), rng.normal(size=(candidates, units))
    biases = rng.normal(size=candidates)
    return [tf.constant(values, tf.float32) for values in (query, weights, biases)]


def test_cross_entropy_equals_the_task_of_recommenders():
    query, weights, _ = random_step()
    ours = SessionRetrieval("cross-entropy")(query, weights)
    theirs = tfrs.tasks.Retrieval(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, reduction="sum")
    )
    assert float(ours) == pytest.approx(float(theirs(query, weights)) / 3, rel=1e-5)


def test_hand_worked_scores():
    # One lane, h = (1, 2); items W = (1, 0), (0, 1), biases 0.5 and -1: scores 1.5 and 1.
    # logQ 0.25 and 0: 1.25 and 1, so the loss is log(1 + e^(1 - 1.25)).
    loss = SessionRetrieval("cross-entropy")(
        tf.constant([[1.0, 2.0]]),
        tf.constant([[1.0, 0.0], [0.0, 1.0]]),
        candidate_biases=tf.constant([0.5, -1.0]),
        log_correction=tf.constant([0.25, 0.0]),
    )
    assert float(loss) == pytest.approx(np.log1p(np.exp(-0.25)), rel=FEW)


def test_final_activation_comes_before_the_correction():
    # tanh(1) = .7616 and tanh(0) = 0; the correction of 0.7616 levels them: log 2.
    loss = SessionRetrieval("cross-entropy", final_act="tanh")(
        tf.constant([[1.0]]),
        tf.constant([[1.0], [0.0]]),
        log_correction=tf.constant([np.tanh(1.0), 0.0], tf.float32),
    )
    assert float(loss) == pytest.approx(np.log(2), rel=1e-5)


def test_weight_zero_leaves_a_lane_out_but_not_of_the_divisor():
    query, weights, biases = random_step()
    task = SessionRetrieval("bpr-max", bpreg=0.5)
    alone = [
        float(task(query, weights, biases, sample_weight=tf.constant(np.eye(3)[lane], tf.float32)))
        for lane in range(3)
    ]
    assert float(task(query, weights, biases)) == pytest.approx(sum(alone), rel=1e-5)


def test_lane_without_weight_may_be_infinite():
    query = tf.constant([[1.0], [np.inf]])
    with tf.GradientTape() as tape:
        weights = tf.Variable([[1.0], [2.0], [0.5]])
        loss = SessionRetrieval("cross-entropy")(query, weights, sample_weight=tf.constant([1.0, 0.0]))
    assert np.isfinite(float(loss))
    assert tape.gradient(loss, weights) is not None


def test_masked_column_is_no_negative():
    query, weights, biases = random_step()
    mask = tf.constant([[True, True, True, True, False, True, False]])
    kept = tf.constant([0, 1, 2, 3, 5])
    task = SessionRetrieval("top1-max")
    masked = task(query, weights, biases, score_mask=mask)
    fewer = task(query, tf.gather(weights, kept), tf.gather(biases, kept))
    assert float(masked) == pytest.approx(float(fewer), rel=1e-5)


def test_candidates_that_share_a_place_share_a_gradient():
    query, weights, biases = random_step(candidates=5)
    places = tf.constant([3, 0, 3, 4, 4, 1])  # item 2 is no candidate
    task = SessionRetrieval("top1-max")
    results = []
    for chosen in (places, None):
        with tf.GradientTape() as tape:
            tape.watch([query, weights, biases])
            parts = (
                (weights, biases) if chosen is not None else [tf.gather(p, places) for p in (weights, biases)]
            )
            loss = task(query, parts[0], candidate_biases=parts[1], places=chosen)
        results.append([loss, *map(tf.convert_to_tensor, tape.gradient(loss, [query, weights, biases]))])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.all(results[0][2][2] == 0)


def test_unknown_names_list_what_is_allowed():
    with pytest.raises(ValueError, match="cross-entropy"):
        SessionRetrieval("softmax")
    with pytest.raises(ValueError, match="final_act must be one of"):
        SessionRetrieval("bpr-max", final_act="gelu")


@pytest.mark.parametrize(("n", "loss"), [(1, "cross-entropy"), (3, "cross-entropy"), (3, "bpr-max")])
def test_hard_negatives_are_the_highest_of_a_sorted_row(n, loss):
    query, weights, biases = random_step(lanes=4, candidates=40)
    mask = np.random.default_rng(5).random([4, 40]) < 0.7
    wide = np.array(query @ tf.transpose(weights) + biases)
    lanes, kept = np.arange(4), np.zeros([4, 40], bool)
    is_negative = mask & (lanes[:, np.newaxis] != np.arange(40))
    order = np.argsort(np.where(is_negative, -wide, np.inf), axis=1)
    np.put_along_axis(kept, order[:, :n], True, axis=1)

    def loss_and_slope(mask, **settings):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            found = SessionRetrieval(loss, **settings)(query, weights, biases, score_mask=tf.constant(mask))
        return found, tape.gradient(found, weights)

    found, slope = loss_and_slope(mask, n_hard_negatives=n)
    wanted, wanted_slope = loss_and_slope(kept)
    assert float(found) == pytest.approx(float(wanted), rel=FEW)
    np.testing.assert_allclose(slope, wanted_slope, rtol=1e-5, atol=1e-6)
    is_idle = ~(kept.any(axis=0) | (np.arange(40) < 4))
    assert is_idle.any()
    assert not np.array(slope)[is_idle].any()


def test_hard_negatives_of_rows_that_have_few_or_equal_ones():
    scores = tf.constant([[0.0, 5.0, 5.0, 5.0, -9.0], [0.0, 0.0, 1.0, 2.0, 3.0], [7.0, 7.0, 7.0, 7.0, 7.0]])
    mask = tf.constant([[True] * 5, [False, False, True, False, False], [False] * 5])
    found = hardest_negatives(scores, mask, 2).numpy().astype(int).tolist()
    # Of equals none is left out, and what is fewer than two is left as it is.
    assert found == [[0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    everything = hardest_negatives(scores, None, 9).numpy()
    np.testing.assert_array_equal(everything, ~np.eye(3, 5, dtype=bool))
    with pytest.raises(ValueError, match="n_hard_negatives must be at least 0.*-1"):
        SessionRetrieval("cross-entropy", n_hard_negatives=-1)
