"""A next-item model small enough to follow by hand, in NumPy.

Two layers: h1 = tanh(h1 / 2 + E[item]), h2 = 0.9 h2 + h1[:2]; scores = W h2 + b.
"""

import functools

import numpy as np

N_ITEMS = 12
UNITS = (3, 2)


@functools.cache
def weights():
    """Returns E [n_items, 3], W [n_items, 2], b [n_items]."""
    random = np.random.default_rng(7)
    return tuple(random.normal(size=shape).astype(np.float32) for shape in ((12, 3), (12, 2), (12,)))


def counts():
    """Returns the items' training events: 120, 110, … 10."""
    return np.arange(120, 0, -10)


def advance(state, row):
    """Returns the state (h1, h2) after an item; None is a new session."""
    first, second = state or (np.zeros(3, np.float32), np.zeros(2, np.float32))
    first = np.tanh(0.5 * first + weights()[0][row])
    return first, 0.9 * second + first[:2]


def scores(state):
    """Returns the scores [n_items] of a state; log((count + 1) / (all + n_items)) for a new session."""
    if state is None:
        return np.log((counts() + 1) / (counts().sum() + N_ITEMS))
    return weights()[1] @ state[1] + weights()[2]


def fold(rows):
    """Returns the state after rows, None if there are none; -1 is passed over."""
    state = None
    for row in rows:
        if row >= 0:
            state = advance(state, row)
    return state


def top(state, k, excluded=()):
    """Returns the rows and the scores of the k best items, best first."""
    values = scores(state).astype(np.float64)
    values[list(excluded)] = -np.inf
    rows = np.argsort(-values, kind="stable")[:k]
    return rows.tolist(), values[rows]
