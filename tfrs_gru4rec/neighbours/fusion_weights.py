"""Learns what the sides of a fusion weigh, so that the true next items rank high.

    rank(q)  = 1 + sum over candidates j of sigmoid((score(j) - score(target)) / temperature)
    loss     = mean over questions q of log(rank(q)) + STRENGTH * |weights / spread|^2

A smooth rank: Qin, Liu and Li 2010, "A general approximation framework for direct optimization of information
retrieval measures". Cross-entropy would make probabilities right rather than ranks, and depends on the model's scores
being such; a rank does not. `spread` is how far the model's best score lies above the 20th, on average, so that models
of any loss are treated alike. Of a catalogue only candidates matter: the model's best items, and all that a side names.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from scipy import optimize, sparse

from tfrs_gru4rec.neighbours.fusion import FIRST_POSITIONS, FREE, REPEATS

BEST = 100  # of the model's items are candidates; sides only raise, so the best 20 but for popularity are among these
DEPTH = 20
TEMPERATURE = 0.125  # of a spread
FIRST_WEIGHT = 0.075  # of a spread, where the search begins
STRENGTH = 0.001


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """The items that may be among the best of each question, those of one question after the other.

    Attributes:
      first: int64 [n_questions + 1], where the questions' candidates begin.
      scores: float64 [n], the model's.
      features: float64 [n, n_features], what weights multiply.
      targets: int64 [n_questions], which candidate is clicked next.
      steps: int64 [n_questions], the row of weights for each question.
    """

    first: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    targets: np.ndarray
    steps: np.ndarray

    @property
    def questions(self) -> np.ndarray:
        """The question of each candidate, int64 [n]."""
        return np.repeat(np.arange(len(self.steps)), np.diff(self.first))

    def take(self, is_taken: np.ndarray) -> "Candidates":
        """Returns the candidates of marked questions, bool [n_questions]."""
        sizes = np.diff(self.first)
        kept = np.repeat(is_taken, sizes)
        first = np.concatenate([[0], np.cumsum(sizes[is_taken])])
        targets = (self.targets - self.first[:-1])[is_taken] + first[:-1]
        return Candidates(first, self.scores[kept], self.features[kept], targets, self.steps[is_taken])

    def ranks(self, weights: np.ndarray) -> np.ndarray:
        """Returns int64 [n_questions], the targets' ranks under weights; right up to `DEPTH`."""
        fused = self.scores + np.sum(self.features * weights[self.steps[self.questions]], axis=1)
        is_above = fused > fused[self.targets][self.questions]
        return 1 + np.bincount(self.questions, is_above, minlength=len(self.steps)).astype(np.int64)


def candidates_of_block(
    scores: tf.Tensor,
    features: list[sparse.csr_array],
    popularity: np.ndarray,
    targets: np.ndarray,
    steps: np.ndarray,
) -> Candidates:
    """Finds the candidates of some questions.

    Args:
      scores: [n_questions, n_items], the model's.
      features: sparse, each [n_questions, n_items]: of the sides, of the last click, of earlier ones.
      popularity: float [n_items, n], features that go between these.
      targets: int [n_questions], the items clicked next.
      steps: int [n_questions], as the attribute.
    """
    shape = tuple(scores.shape)
    best = tf.math.top_k(scores, min(BEST, shape[1])).indices.numpy()
    columns = np.concatenate([best, targets[:, np.newaxis]], axis=1)
    first = np.arange(shape[0] + 1) * columns.shape[1]
    union = sparse.csr_array((np.ones(columns.size), columns.ravel(), first), shape=shape)
    for feature in features:
        union = union + sparse.csr_array((np.ones(feature.nnz), feature.indices, feature.indptr), shape=shape)
    union.sum_duplicates()
    questions = np.repeat(np.arange(shape[0]), np.diff(union.indptr))
    keys = questions * shape[1] + union.indices
    values = np.zeros([union.nnz, len(features)])
    for number, feature in enumerate(features):
        rows = np.repeat(np.arange(shape[0]), np.diff(feature.indptr))
        values[np.searchsorted(keys, rows * shape[1] + feature.indices), number] = feature.data
    sides, repeats = np.split(values, [-len(REPEATS)], axis=1)
    values = np.concatenate([sides, popularity[union.indices], repeats], axis=1)
    found = tf.gather_nd(scores, np.stack([questions, union.indices], axis=1)).numpy().astype(np.float64)
    places = np.searchsorted(keys, np.arange(shape[0]) * shape[1] + targets)
    return Candidates(union.indptr.astype(np.int64), found, values, places, steps)


def join(parts: list[Candidates]) -> Candidates:
    """Joins blocks of questions."""
    sizes = np.cumsum([0, *(len(part.scores) for part in parts)])
    return Candidates(
        np.concatenate([[0], *(part.first[1:] + before for part, before in zip(parts, sizes, strict=False))]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.targets + before for part, before in zip(parts, sizes, strict=False)]),
        np.concatenate([part.steps for part in parts]),
    )


def spread_of(candidates: Candidates) -> float:
    """Returns by how much the model's best score exceeds the 20th, on average over the questions."""
    order = np.lexsort((-candidates.scores, candidates.questions))
    low = np.minimum(candidates.first[:-1] + DEPTH, candidates.first[1:]) - 1
    best, last = candidates.scores[order[candidates.first[:-1]]], candidates.scores[order[low]]
    return float(max(np.mean(best - last), np.finfo(np.float32).tiny))


def learn_weights(candidates: Candidates) -> np.ndarray:
    """Minimises the loss of the module.

    Args:
      candidates: of the questions to learn from; the last features are those of `FREE`, whose weights may be
        negative, as those of sides may not.

    Returns:
      float64 [len(FIRST_POSITIONS), n_features].
    """
    spread, n_sides = spread_of(candidates), candidates.features.shape[1] - len(FREE)
    # In units of the spread, and as differences to the target.
    questions, first, targets = candidates.questions, candidates.first[:-1], candidates.targets
    lead = (candidates.scores - candidates.scores[targets][questions]) / spread
    features = candidates.features - candidates.features[targets][questions]
    steps = candidates.steps[questions]
    shape = (len(FIRST_POSITIONS), n_sides + len(FREE))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        ahead = (lead + np.sum(features * weights[steps], axis=1)) / TEMPERATURE
        above = 1 / (1 + np.exp(-np.clip(ahead, -50, 50)))
        above[targets] = 0.0
        ranks = 1 + np.add.reduceat(above, first)
        slope = above * (1 - above) / (TEMPERATURE * ranks[questions])
        pull = [np.bincount(steps, slope * column, minlength=shape[0]) for column in features.T]
        gradient = np.stack(pull, axis=1) / len(ranks) + 2 * STRENGTH * weights
        return float(np.mean(np.log(ranks)) + STRENGTH * np.sum(weights**2)), gradient.ravel()

    start = np.zeros(shape)
    start[:, :n_sides] = FIRST_WEIGHT
    bounds = ([(0, None)] * n_sides + [(None, None)] * len(FREE)) * shape[0]
    found = optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x.reshape(shape) * spread
