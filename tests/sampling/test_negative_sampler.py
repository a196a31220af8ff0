"""Draws follow count ** sample_alpha, and the same seed gives the same draw everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.sampling import NegativeSampler

COUNTS = np.concatenate([[90_000, 20_000, 3_000], np.random.default_rng(4).zipf(1.4, 497).clip(1, 5_000)])
N_DRAWS = 1_000_000


def chi_square(drawn, share):
    """Normalised deviation of draws from their shares: about standard normal if these are right."""
    expected = share * drawn.sum()
    statistic = np.sum((drawn - expected) ** 2 / expected)
    freedom = share.size - 1
    return (statistic - freedom) / np.sqrt(2 * freedom)


def draw(sampler, n=N_DRAWS, seed=(11, 13)):
    return np.bincount(sampler.sample(n, tf.constant(seed)).numpy(), minlength=sampler.n_items)


@pytest.mark.parametrize("sample_alpha", [0.0, 0.2, 0.5, 0.75, 1.0, 1.3])
def test_distribution(sample_alpha):
    share = COUNTS**sample_alpha / np.sum(COUNTS**sample_alpha)
    assert abs(chi_square(draw(NegativeSampler(COUNTS, sample_alpha)), share)) < 4


def test_the_chi_square_tells_neighbouring_alphas_apart():
    share = COUNTS**0.5 / np.sum(COUNTS**0.5)
    assert chi_square(draw(NegativeSampler(COUNTS, 0.52)), share) > 10


def test_draws_are_independent_of_each_other():
    # Pairs of neighbouring draws from 20 items fill the 400 cells evenly.
    rows = NegativeSampler(np.ones(20), 0.0).sample(N_DRAWS, tf.constant([1, 2])).numpy()
    pairs = np.bincount(rows[:-1:2] * 20 + rows[1::2], minlength=400)
    assert abs(chi_square(pairs, np.full(400, 1 / 400))) < 4


def test_draws_of_neighbouring_seeds_are_independent():
    # A step's seed is usually the last one's plus one.
    sampler = NegativeSampler(np.ones(20), 0.0)
    draw_step = tf.function(lambda step: sampler.sample(1000, tf.stack([5, step])), autograph=False)
    rows = np.concatenate([draw_step(tf.constant(step)) for step in range(300)])
    assert abs(chi_square(np.bincount(rows, minlength=20), np.full(20, 1 / 20))) < 4
    pairs = np.bincount(rows[:-1000] * 20 + rows[1000:], minlength=400)
    assert abs(chi_square(pairs, np.full(400, 1 / 400))) < 4


def test_draws_with_replacement():
    assert np.all(draw(NegativeSampler([3, 1], 1.0), n=100) > 2)


def test_same_seed_same_draw_everywhere():
    sampler = NegativeSampler(COUNTS, 0.5)
    graph = tf.function(lambda seed: sampler.sample(5000, seed), autograph=False)
    xla = tf.function(lambda seed: sampler.sample(5000, seed), autograph=False, jit_compile=True)
    rows = sampler.sample(5000, tf.constant([1, 2]))
    assert rows.dtype == tf.int32
    assert rows.shape == [5000]
    for draw_again in (graph, xla):
        np.testing.assert_array_equal(draw_again(tf.constant([1, 2])), rows)
        np.testing.assert_array_equal(draw_again(tf.constant([1, 2], tf.int64)), rows)
        assert np.mean(draw_again(tf.constant([1, 3])).numpy() == rows) < 0.5


def test_an_item_never_seen_is_never_drawn():
    drawn = draw(NegativeSampler([0, 5, 0, 5], 0.0), n=10_000)
    np.testing.assert_array_equal(drawn[[0, 2]], 0)
    assert abs(drawn[1] - 5000) < 250  # five standard deviations


def test_one_item():
    np.testing.assert_array_equal(NegativeSampler([7], 0.5).sample(4, tf.constant([0, 0])), [0, 0, 0, 0])


def test_no_negatives():
    assert NegativeSampler([7, 1], 0.5).sample(0, tf.constant([0, 0])).shape == [0]


def test_saved_and_loaded(tmp_path):
    class Holder(tf.Module):
        def __init__(self):
            super().__init__()
            self.sampler = NegativeSampler(COUNTS, 0.75)

        @tf.function(input_signature=[tf.TensorSpec([2], tf.int32)])
        def sample(self, seed):
            return self.sampler.sample(64, seed)

    holder = Holder()
    assert holder.variables == ()
    tf.saved_model.save(holder, str(tmp_path / "holder"))
    loaded = tf.saved_model.load(str(tmp_path / "holder"))
    seed = tf.constant([3, 4])
    np.testing.assert_array_equal(loaded.sample(seed), holder.sample(seed))


@pytest.mark.parametrize(
    ("counts", "sample_alpha"),
    [([1, 2], -0.1), ([0, 0], 1.0), ([1, -1], 0.0), ([[1]], 0.0), ([np.nan], 0.5)],
)
def test_wrong_values(counts, sample_alpha):
    with pytest.raises(ValueError, match="counts must be|sample_alpha must be at least 0"):
        NegativeSampler(np.array(counts), sample_alpha)
