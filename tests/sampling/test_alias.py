"""The alias table gives every item exactly its share."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from tfrs_gru4rec.sampling import alias_table


def shares(keep, alias):
    """Probability of each item: its own column's keep, and what other columns hand over."""
    return (keep + np.bincount(alias, weights=1 - keep, minlength=keep.size)) / keep.size


def test_worked_table():
    # Scaled to mean 1: 1/2, 3/2, 1. Column 0 keeps itself half the time, else gives item 1.
    keep, alias = alias_table(np.array([1.0, 3.0, 2.0]))
    np.testing.assert_allclose(keep, [0.5, 1.0, 1.0])
    assert alias[0] == 1


@pytest.mark.parametrize(
    "weights",
    [
        [5.0],
        [1.0, 1.0, 1.0],
        [0.0, 0.0, 7.0, 0.0],
        [1e-300, 1.0, 1e300],
        [1e308, 1e308, 1e308],
        np.arange(100),
        2.0 ** -np.arange(60),
    ],
    ids=str,
)
def test_shares(weights):
    weights = np.asarray(weights, np.float64)
    keep, alias = alias_table(weights)
    scaled = weights / weights.max()
    np.testing.assert_allclose(shares(keep, alias), scaled / scaled.sum(), rtol=1e-12, atol=1e-15)
    assert alias.dtype == np.int32


def rounding(n):
    """Bound on the error of a share: the running sums add n numbers up to n, and a share is 1/n of a column."""
    return 4 * n * np.finfo(np.float64).eps


def check_shares(weights):
    """Asserts that the table of `weights` is one, and gives each item its weight's share."""
    keep, alias = alias_table(weights)
    assert np.all((keep >= 0) & (keep <= 1))
    assert np.all((alias >= 0) & (alias < weights.size))
    scaled = weights / weights.max()
    np.testing.assert_allclose(
        shares(keep, alias), scaled / scaled.sum(), rtol=0, atol=rounding(weights.size)
    )
    assert np.all(shares(keep, alias)[weights == 0] == 0), "an item without weight is never drawn"


# Zeros, ties and weights of very different size; the subnormal ones have too few digits for shares.
weight = st.just(0.0) | st.integers(1, 5).map(float) | st.floats(1e-300, 1e300)
some_weights = (
    st.integers(1, 50).flatmap(lambda n: numpy_st.arrays(np.float64, n, elements=weight)).filter(np.any)
)


@given(weights=some_weights)
def test_shares_are_the_weights_and_draws_within_range(weights):
    check_shares(weights)


@given(weights=some_weights, factor=st.sampled_from([2.0**-20, 2.0**20]))
def test_a_scale_of_the_weights_changes_nothing(weights, factor):
    for once, scaled in zip(alias_table(weights), alias_table(weights * factor), strict=True):
        np.testing.assert_array_equal(once, scaled)


@pytest.mark.parametrize("seed", range(20))
def test_shares_of_many_weights(seed):
    generator = np.random.default_rng(seed)
    weights = generator.pareto(0.8, generator.integers(2, 3000)) * (generator.uniform() < 0.5)
    weights += generator.integers(0, 3, weights.size) + (np.arange(weights.size) == 0)
    check_shares(weights)


def test_a_million_items_take_no_python_loop():
    weights = np.random.default_rng(0).zipf(1.3, 1_000_000).clip(0, 10**7).astype(np.float64)
    start = time.perf_counter()
    keep, alias = alias_table(weights)
    # About 0.1 s; a loop over items would take several. Wide, as other work may share the machine.
    assert time.perf_counter() - start < 3
    np.testing.assert_allclose(shares(keep, alias), weights / weights.sum(), rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("weights", [[], [[1.0]], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf]], ids=str)
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="weight"):
        alias_table(np.array(weights))
