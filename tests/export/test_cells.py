"""Cells of items: each item in one, each score below its cell's bound, the same from the same seed."""

import hypothesis
import numpy as np
import pytest
from export_support.item_weights import KINDS, make_items
from hypothesis import strategies

from tfrs_gru4rec.export.cells import make_cells


@hypothesis.given(
    kind=strategies.sampled_from(KINDS),
    n_items=strategies.integers(1, 70),
    width=strategies.integers(1, 9),
    size=strategies.sampled_from([1, 2, 5, 64]),
    seed=strategies.integers(0, 10**6),
)
def test_every_score_is_below_its_cells_bound(kind, n_items, width, size, seed):
    random = np.random.default_rng(seed)
    table, bias = make_items(kind, n_items, width, random)
    queries = random.normal(size=[20, width]).astype(np.float32)
    cells = make_cells(table, bias, size)
    rows = cells.rows.ravel()
    assert sorted(rows[:n_items].tolist()) == list(range(n_items))
    assert (rows[n_items:] == n_items).all()
    # In double precision, so that the slack for float32 is all there is to spare.
    asked = np.concatenate([queries, np.ones([20, 1])], axis=1).astype(np.float64)
    lengths = np.linalg.norm(asked, axis=1)[:, np.newaxis]
    bounds = asked @ cells.centres + lengths * (cells.radii + cells.slack)
    scores = np.pad(queries.astype(np.float64) @ table.T + bias, [[0, 0], [0, 1]], constant_values=-np.inf)
    assert (scores[:, cells.rows] <= bounds[:, :, np.newaxis]).all()
    items = np.pad(np.concatenate([table, bias[:, np.newaxis]], axis=1, dtype=np.float64), [[0, 1], [0, 0]])
    distances = np.linalg.norm(items[cells.rows] - cells.centres.T[:, np.newaxis], axis=2)
    farthest = np.where(cells.rows < n_items, distances, 0.0).max(axis=1)
    np.testing.assert_allclose(cells.radii, farthest, 1e-4, 1e-6 * np.abs(items).max())
    # The cells' weights are those of their items.
    padded = np.pad(table, [[0, 1], [0, 0]])
    np.testing.assert_array_equal(cells.weights, padded[cells.rows].swapaxes(1, 2))


def test_cells_part_what_lies_apart():
    random = np.random.default_rng(0)
    places = random.normal(scale=100, size=[8, 6])
    group = random.permutation(np.repeat(np.arange(8), 4))
    table = (places[group] + random.normal(scale=0.1, size=[32, 6])).astype(np.float32)
    cells = make_cells(table, np.zeros(32, np.float32), size=4)
    assert all(len(set(group[rows])) == 1 for rows in cells.rows)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_makes_the_same_cells(seed):
    random = np.random.default_rng(7)
    arguments = random.normal(size=[3000, 4]).astype(np.float32), np.zeros(3000, np.float32)
    first, second, other = (make_cells(*arguments, seed=number) for number in (seed, seed, seed + 1))
    assert all(np.array_equal(*parts) for parts in zip(first, second, strict=True))
    assert not np.array_equal(first.rows, other.rows)
