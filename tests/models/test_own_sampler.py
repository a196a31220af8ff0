"""Negatives of one's own, drawn by a sampler as a user would write it."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

N_ITEMS = 30


class OfOneShelf:
    """Draws uniformly from the items of one shelf, and can be asked again what it drew."""

    def __init__(self, rows):
        self.rows = tf.constant(rows, tf.int32)

    def sample(self, n_sample, seed):
        places = tf.random.stateless_uniform([n_sample], seed, 0, len(self.rows), tf.int32, alg="philox")
        return tf.gather(self.rows, places)


def make_model(sampler, **settings):
    vocabulary = Vocabulary(np.arange(N_ITEMS), np.full(N_ITEMS, 2))
    return GRU4Rec(vocabulary, GRU4RecConfig(layers=(4,), n_sample=5, **settings), sampler=sampler)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_step_trains_the_targets_and_the_negatives_drawn(run_eagerly):
    sampler = OfOneShelf(range(20, 30))
    model = make_model(sampler, seed=4)
    model.compile(AdagradMomentum(0.1), run_eagerly=run_eagerly)
    live = tf.ones([1, 2], tf.bool)
    block = SessionBatch(tf.constant([[0, 1]]), tf.constant([[2, 3]]), live, live)
    model.fit(tf.data.Dataset.from_tensors(block), verbose=0)
    drawn = sampler.sample(5, tf.constant([4, 0], tf.int64)).numpy()  # the seed of the run, step 0
    moved = np.flatnonzero(model.embedding.output_bias.numpy())
    np.testing.assert_array_equal(moved, np.unique([2, 3, *drawn]))


class Returning:
    def __init__(self, rows):
        self._rows = rows

    def sample(self, n_sample, seed):
        return self._rows


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ("popular", r"A sampler must have a method sample\(n_sample, seed\)"),
        (Returning(np.zeros(3, np.int64)), r"must return int32 \[n_sample\].*dtype='int64'"),
        (Returning(np.zeros(4, np.int32)), r"must return int32 \[n_sample\].*shape=\(4,\), n_sample=3"),
        (
            Returning(np.array([0, 30, 1], np.int32)),
            r"rows from 0 to n_items - 1.*rows=\[0, 30, 1\], n_items=30",
        ),
    ],
)
def test_what_does_not_keep_the_protocol_is_refused(sampler, message):
    with pytest.raises(ValueError, match=message):
        make_model(sampler)


def test_logq_would_correct_for_draws_that_were_not_made():
    with pytest.raises(ValueError, match="with a sampler of your own it must be 0.*logq=1.0"):
        make_model(OfOneShelf(range(5)), logq=1.0)
