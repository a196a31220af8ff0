"""Random words against their equation in NumPy, and against chance."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.random_words import mixed, random_words, words_below

N_SEEDS, N_PLACES = 2000, 256


def mixed_by_hand(word):
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        word = (word ^ (word >> shift)) * factor % 2**32
    return word ^ (word >> 16)


def word_by_hand(place, seed):
    key = 0x9E3779B9
    for part in seed:
        for half in (part % 2**32, part // 2**32 % 2**32):
            key = (mixed_by_hand(key ^ half) + 0x9E3779B9) % 2**32
    first = mixed_by_hand((key + 0x9E3779B9 * place) % 2**32)
    return mixed_by_hand(first ^ mixed_by_hand(2**32 - 1 - key))


@pytest.fixture(scope="module")
def words():
    """Of many steps of one run, uint32 [N_SEEDS, N_PLACES]."""
    draw = tf.function(lambda step: random_words((N_PLACES,), tf.stack([7, step])))
    return np.stack([draw(tf.constant(step, tf.int64)).numpy() for step in range(N_SEEDS)]).view(np.uint32)


@pytest.mark.parametrize("options", [None, {}, {"jit_compile": True}], ids=["eager", "graph", "XLA"])
def test_words_are_those_of_the_equation(options):
    draw = random_words if options is None else tf.function(random_words, **options)
    seed = (3 + (1 << 20), (1 << 40) + 7)
    expected = [[word_by_hand(3 * row + column, seed) for column in range(3)] for row in range(2)]
    found = draw((2, 3), tf.constant(seed, tf.int64)).numpy().view(np.uint32)
    np.testing.assert_array_equal(found, expected)


def test_the_hash_is_one_to_one():
    some = np.random.default_rng(0).integers(0, 2**32, 1000, dtype=np.uint32)
    for word, found in zip(some.tolist(), mixed(some).numpy().tolist(), strict=True):
        # Backwards: a shift of 16 undoes itself, one of 13 in three parts, and an odd factor has an inverse.
        found ^= found >> 16
        found = found * pow(0xC2B2AE35, -1, 2**32) % 2**32
        found ^= found >> 13 ^ found >> 26
        found = found * pow(0x85EBCA6B, -1, 2**32) % 2**32
        assert found ^ found >> 16 == word


def test_every_bit_of_every_place_is_a_coin(words):
    bits = (words[:, :, np.newaxis] >> np.arange(32, dtype=np.uint32)) & 1
    # The mean of 2,000 fair coins, in standard deviations; the largest of 8,192 such is below 6 (once in 60,000 runs).
    assert np.abs((bits.mean(axis=0) - 0.5) * 2 * np.sqrt(N_SEEDS)).max() < 6


@pytest.mark.parametrize("shift", [0, 8, 16, 28])
@pytest.mark.parametrize("axis", [0, 1], ids=["steps", "places"])
def test_neighbours_are_independent(words, axis, shift):
    part = np.moveaxis(words >> np.uint32(shift), axis, 0) & 15
    pairs = np.bincount((part[1:] * 16 + part[:-1]).ravel(), minlength=256)
    chi_squared = np.sum((pairs - pairs.mean()) ** 2 / pairs.mean())
    # 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert abs(chi_squared - 255) < 6 * 22.6


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.999, 1 - 2**-40])
def test_words_below_a_bound_have_its_share(words, share):
    n_below = np.count_nonzero(words.view(np.int32) < words_below(share))
    deviation = np.sqrt(share * (1 - share) * words.size)
    assert abs(n_below - share * words.size) <= 6 * deviation + 1


def test_streams_of_a_run_differ():
    first = {random_words((1,), tf.constant([stream, 0], tf.int64)).numpy()[0] for stream in range(1000)}
    # Two of 1,000 words are equal once in 8,600 runs.
    assert len(first) == 1000
