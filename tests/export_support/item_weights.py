"""Items' weights of many kinds, whose scores float32 holds exactly."""

import numpy as np

KINDS = ("random", "clustered", "tied", "zero", "huge", "equal")


def make_items(kind, n_items, width, random):
    """Weights and biases in eighths, so that float32 scores with like queries are exact."""
    items = random.integers(-32, 33, size=[n_items, width + 1]) / 8
    if kind == "clustered":
        items = (
            items[random.integers(min(5, n_items), size=n_items)] + random.integers(-1, 2, items.shape) / 8
        )
    elif kind == "tied":
        items = items[random.integers(min(3, n_items), size=n_items)]
    elif kind == "zero":
        items[random.random(n_items) < 0.7] = 0
    elif kind == "huge":
        items[random.random(n_items) < 0.3] *= 2.0**45
    elif kind == "equal":
        items[:] = items[0]
    items = items.astype(np.float32)
    return items[:, :-1], items[:, -1]
