"""The weights of the network that ranks the best items of a fusion anew; its equation is that of `reranker`."""

from typing import NamedTuple

import numpy as np

N_BEST = 100
N_PLAIN = 6  # features beside those of the sides: leads of z, f and popularity, two of repeats, the place


class Network(NamedTuple):
    """The weights of a network, float32, by the letters of the equation."""

    of_items: np.ndarray  # A, [n_features, width]
    of_sessions: np.ndarray  # B, [1 + n_features, width]
    bias: np.ndarray  # a, [width]
    second: np.ndarray  # D, [width, second_width]
    second_bias: np.ndarray  # d, [second_width]
    last: np.ndarray  # e, [second_width]

    def fits(self, n_sides: int) -> bool:
        """Whether the shapes fit together, and a fusion of so many sides; and all weights are finite."""
        n_features = n_sides + N_PLAIN
        wide, narrow = self.bias.shape, self.last.shape
        shapes = ((n_features, *wide), (1 + n_features, *wide), wide, wide + narrow, narrow, narrow)
        return all(
            part.shape == shape and bool(np.isfinite(part).all())
            for part, shape in zip(self, shapes, strict=True)
        )
