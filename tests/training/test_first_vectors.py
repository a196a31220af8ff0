"""First vectors: counts and PMI against plain loops, the factorisation against LAPACK, and what training does."""

import logging

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, SessionLog
from tfrs_gru4rec.config import TrainingConfig
from tfrs_gru4rec.training import ModelFolder, first_vectors, fit


@pytest.fixture(scope="module")
def log():
    """Sessions within one of four groups of ten items."""
    rng = np.random.default_rng(5)
    sessions = np.repeat(np.arange(400), 6)
    items = rng.integers(0, 10, len(sessions)) + 10 * (sessions % 4)
    return SessionLog.from_frame(
        pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": range(len(items))})
    )


def sessions_of(log):
    return [
        log.items[first:last].tolist() for first, last in zip(log.offsets[:-1], log.offsets[1:], strict=True)
    ]


def test_counts_are_those_of_plain_loops(log):
    expected = np.zeros([40, 40])
    for session in sessions_of(log):
        for later in range(len(session)):
            for earlier in range(max(0, later - 3), later):
                weight = 0.8 ** (later - earlier - 1)
                expected[session[earlier], session[later]] += weight
                expected[session[later], session[earlier]] += weight
    found = first_vectors.co_occurrences(log, window=3).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_information_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, [6, 6]).astype(np.float32)
    counts += counts.T + 1
    context = counts.sum(axis=1) ** 0.75 / (counts.sum(axis=1) ** 0.75).sum()
    expected = np.maximum(np.log(counts / counts.sum(axis=1, keepdims=True) / context), 0)
    found = first_vectors.positive_information(sparse.csr_array(counts)).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert 0 < np.count_nonzero(found) < found.size


def test_the_factorisation_is_nearly_the_exact_one():
    rng = np.random.default_rng(1)
    dense = rng.standard_normal((60, 60)) * (rng.random((60, 60)) < 0.2)
    matrix = sparse.csr_array(dense + dense.T)
    vectors, values = first_vectors.factorise(matrix, 5, rng)
    exact = np.linalg.svd(matrix.toarray(), compute_uv=False)[:5]
    np.testing.assert_allclose(values, exact, rtol=0.05)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-4)
    # What is left of the matrix is hardly more than what the exact factorisation leaves.
    left = matrix.toarray() - vectors @ (vectors.T @ matrix.toarray())
    assert np.linalg.norm(left) < 1.02 * np.sqrt((np.linalg.norm(matrix.toarray()) ** 2) - (exact**2).sum())


def test_items_of_one_group_are_near(log):
    vectors = first_vectors.first_vectors(log, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1).mean(), 1.0, rtol=1e-5)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    group = log.vocabulary.ids // 10
    is_same = group[:, np.newaxis] == group
    similar = directions @ directions.T
    assert similar[is_same].mean() > 0.5
    assert abs(similar[~is_same].mean()) < 0.1


def test_more_units_than_items(log):
    small = log.first_sessions(12)
    assert first_vectors.first_vectors(small, 64).shape == (small.vocabulary.n_items, 64)
    assert np.isfinite(first_vectors.first_vectors(small, 64)).all()


@pytest.mark.parametrize(
    "arrangement",
    [{}, pytest.param({"constrained_embedding": False, "embedding": 6}, marks=pytest.mark.slow)],
)
def test_a_run_begins_with_them_and_goes_on_from_what_it_trained(log, tmp_path, arrangement):
    config = GRU4RecConfig(layers=(8,), n_sample=16, **arrangement)

    def run(path, **training):
        model = GRU4Rec(log.vocabulary, config)
        settings = TrainingConfig(batch_size=20, first_vectors="co-occurrence", **training)
        return model, fit(model, log, settings, ModelFolder(tmp_path / path))

    begun, _ = run("begun", n_epochs=0)
    np.testing.assert_array_equal(begun.embedding.output_table, first_vectors.first_vectors(log, 8))
    if arrangement:
        np.testing.assert_array_equal(
            begun.embedding.input_table, first_vectors.first_vectors(log, 6, seed=1)
        )
    whole, records = run("whole", n_epochs=2)
    run("cut", n_epochs=1)
    resumed, again = run("cut", n_epochs=2)
    np.testing.assert_array_equal(resumed.embedding.output_table, whole.embedding.output_table)
    assert [each["loss"] for each in again] == [each["loss"] for each in records]


def test_they_are_learned_from_sooner(log, tmp_path):
    losses = {}
    for begin in ("random", "co-occurrence"):
        training = TrainingConfig(batch_size=20, n_epochs=1, learning_rate=0.01, first_vectors=begin)
        model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(8,), n_sample=0))
        losses[begin] = fit(model, log, training, ModelFolder(tmp_path / begin))[0]["loss"]
    assert losses["co-occurrence"] < losses["random"]


def test_an_item_without_company_keeps_its_random_vector():
    frame = pd.DataFrame({"SessionId": [1, 1, 1, 2], "ItemId": list("abcd"), "Time": range(4)})
    log = SessionLog.from_frame(frame)
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(3,)))
    before = model.embedding.output_table.numpy()
    first_vectors.set_first_vectors(model, log)
    row = log.vocabulary.rows(["d"])
    np.testing.assert_array_equal(model.embedding.output_table.numpy()[row], before[row])
    assert before[row].any()
    others = log.vocabulary.rows(list("abc"))
    np.testing.assert_array_equal(
        model.embedding.output_table.numpy()[others], first_vectors.first_vectors(log, 3)[others]
    )


def test_of_a_very_long_log_the_last_sessions_are_counted(log):
    last = first_vectors.co_occurrences(log, most_events=60).toarray()  # 10 sessions of 6
    sessions = sessions_of(log)[-11:]
    rows = np.concatenate(sessions)
    assert last.sum() > 0
    assert set(np.flatnonzero(last.any(axis=1))) <= set(rows)
    whole = first_vectors.co_occurrences(log).toarray()
    np.testing.assert_array_equal(first_vectors.co_occurrences(log, most_events=10**9).toarray(), whole)
    assert last.sum() < 0.05 * whole.sum()


def test_workers_begin_with_random_ones(log, caplog):
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(8,)))
    before = model.embedding.output_table.numpy()
    with caplog.at_level(logging.INFO, logger="absl"):
        first_vectors.set_first_vectors(model, log, has_workers=True)
    np.testing.assert_array_equal(model.embedding.output_table, before)
    assert "several workers must begin with the same numbers" in caplog.text
