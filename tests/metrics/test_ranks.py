"""Ranks under each tie rule."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfrs_gru4rec.metrics import TIES, ranks
from tfrs_gru4rec.metrics.ranks import tie_ranks

from oracle import ranks as oracle

every_tie = pytest.mark.parametrize("tie", TIES)
every_mode = pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "graph", "xla"])


def run(scores, targets, tie, jit_compile=None):
    def call(s, t):
        return ranks(s, t, tie)

    if jit_compile is not None:
        call = tf.function(call, jit_compile=jit_compile, autograph=False)
    result = call(tf.constant(scores, tf.float32), tf.constant(targets, tf.int32))
    assert result.dtype == tf.float32
    return result.numpy()


@pytest.mark.parametrize(
    ("tie", "expected"),
    # The target scores 2. Row 0: one above (3), two level (itself and another). Row 1: alone on top.
    # Row 2: all four level. Row 3: alone at the bottom.
    [
        ("standard", [2, 1, 1, 4]),
        ("conservative", [3, 1, 4, 4]),
        ("median", [2.5, 1, 2.5, 4]),
    ],
)
@every_mode
def test_worked_ranks(tie, expected, jit_compile):
    scores = [[3, 2, 2, 0], [1, 0, 2, -1], [2, 2, 2, 2], [2, 9, 8, 7]]
    np.testing.assert_array_equal(run(scores, [1, 2, 3, 0], tie, jit_compile), expected)


@every_tie
@every_mode
def test_oracle(tie, jit_compile):
    generator = np.random.default_rng(0)
    # Rounded to halves: plenty of ties. Infinities are numbers like others.
    scores = np.round(generator.normal(0, 2, [40, 60]) * 2) / 2
    scores[3, 4], scores[4, 5], scores[5] = np.inf, -np.inf, -np.inf
    targets = generator.integers(0, 60, 40)
    targets[3], targets[4] = 4, 5
    np.testing.assert_array_equal(run(scores, targets, tie, jit_compile), oracle.ranks(scores, targets, tie))


@hypothesis.settings(deadline=None)
@hypothesis.given(st.data(), st.sampled_from(TIES))
def test_any_scores_are_ranked_as_the_oracle_ranks_them(data, tie):
    # Few different values, so that ties abound; infinities are among them.
    values = st.sampled_from([-np.inf, -1.5, 0.0, 0.5, 2.0, np.inf])
    n, n_items = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    scores = data.draw(arrays.arrays(np.float32, (n, n_items), elements=values))
    targets = data.draw(arrays.arrays(np.int32, n, elements=st.integers(0, n_items - 1)))
    expected = oracle.ranks(scores, targets, tie)
    np.testing.assert_array_equal(ranks(tf.constant(scores), tf.constant(targets), tie), expected)
    np.testing.assert_array_equal(ranks(tf.constant(scores.T), tf.constant(targets), tie, True), expected)
    own = scores[np.arange(n), targets][:, np.newaxis]
    above, level = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    np.testing.assert_array_equal(tie_ranks(above.astype(float), level.astype(float), tie), expected)


@every_tie
@every_mode
def test_nan_is_the_worst_case_never_the_best(tie, jit_compile):
    scores = np.array([[1.0, 2.0, 3.0, 0.0]] * 4)
    scores[0] = np.nan  # the model diverged
    scores[1, 2] = np.nan  # the target's own score
    scores[2, 0] = np.nan  # a rival's: counts as above the target, which would have ranked first
    # Row 3 has no NaN: 1.
    np.testing.assert_array_equal(run(scores, [2, 2, 2, 2], tie, jit_compile), [4, 4, 2, 1])


@every_tie
def test_one_item(tie):
    np.testing.assert_array_equal(run([[0.5], [np.nan]], [0, 0], tie), [1, 1])


def test_close_scores_are_no_ties():
    # Neighbouring float32 numbers: nothing may be rounded on the way.
    low, high = np.float32(1.0), np.nextafter(np.float32(1.0), np.float32(2.0))
    assert run([[low, high]], [0], "conservative") == [2]
    assert run([[low, high]], [1], "conservative") == [1]


def test_half_precision_scores():
    scores = tf.constant([[1.0, 2.0, 2.0]], tf.bfloat16)
    np.testing.assert_array_equal(ranks(scores, tf.constant([1]), "median"), [1.5])


def test_a_large_catalogue_is_counted_exactly():
    scores = np.arange(300_000, dtype=np.float32)[np.newaxis]
    np.testing.assert_array_equal(run(scores, [12_345], "standard"), [300_000 - 12_345])


def test_nothing_is_sorted():
    # Sorting 512 events' scores of 43 thousand items would take seconds, counting takes about 10 ms.
    scores, targets = tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)
    counted = tf.function(lambda s, t: ranks(s, t, "median"), autograph=False)
    types = {
        operation.type for operation in counted.get_concrete_function(scores, targets).graph.get_operations()
    }
    assert "Sum" in types
    assert not [name for name in types if "Sort" in name or "TopK" in name]


def test_unknown_tie_rule():
    with pytest.raises(ValueError, match="tie must be one of standard, conservative, median.*'mean'"):
        ranks(tf.zeros([1, 2]), tf.zeros([1], tf.int32), "mean")
