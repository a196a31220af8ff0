"""Logs whose rows are given, and random ones."""

import numpy as np

from tfrs_gru4rec.neighbours.rerank_network import N_PLAIN, Network
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


def log_of(sessions, n_items):
    """A log whose rows are the numbers given."""
    items = np.concatenate([np.asarray(session, np.int32) for session in sessions])
    offsets = np.cumsum([0, *map(len, sessions)])
    counts = np.bincount(items, minlength=n_items)
    return SessionLog(items, offsets, np.arange(items.size), Vocabulary(np.arange(n_items), counts))


def random_sessions(seed, n_sessions, n_items, repeats=True):
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, n_items + 1)
    popularity /= popularity.sum()
    lengths = rng.integers(1, 8, n_sessions)
    return [rng.choice(n_items, min(length, n_items), repeats, popularity).tolist() for length in lengths]


def random_network(seed, n_sides, widths=(5, 3)):
    """A network that changes scores by about as much as they differ."""
    random, n_features = np.random.default_rng(seed), n_sides + N_PLAIN
    wide, narrow = widths
    shapes = [(n_features, wide), (1 + n_features, wide), (wide,), (wide, narrow), (narrow,), (narrow,)]
    return Network(*(random.normal(scale=0.3, size=shape).astype(np.float32) for shape in shapes))
