"""Fusion: its scores beside slow loops, its loss by hand, what it learns, and its file."""

import numpy as np
import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_sessions
from scipy import sparse

from tfrs_gru4rec.neighbours import Fusion, NextClicks
from tfrs_gru4rec.neighbours.fused_scores import FusedScores, TableRows
from tfrs_gru4rec.neighbours.fusion import checksum_of, position_steps
from tfrs_gru4rec.neighbours.fusion_weights import (
    STRENGTH,
    TEMPERATURE,
    candidates_of_block,
    join,
    learn_weights,
    spread_of,
)
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, Counted, latest_clicks
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import fusion as oracle

N_ITEMS = 15


def random_fusion(log, sides, seed=0):
    weights = np.random.default_rng(seed).normal(size=[4, len(sides) + 3])
    return Fusion.count(log, np.abs(weights) * ([1] * len(sides) + [-1, -1, 1]), sides)


@pytest.fixture(scope="module")
def questions():
    train, test = log_of(random_sessions(1, 80, N_ITEMS), N_ITEMS), random_sessions(2, 20, N_ITEMS)
    test.append([3, 3, 7, 3, 5, 1, 7, 7, 2, 0, 4, 6, 3, 8])  # longer than what is looked at
    test_log = log_of(test, N_ITEMS)
    clicks = NextClicks.of(test_log)
    scores = np.random.default_rng(3).normal(size=[len(clicks), N_ITEMS]).astype(np.float32)
    prefixes = [session[:seen] for session in test for seen in range(1, len(session))]
    return train, test_log, clicks, scores, prefixes


def first_seen(fusion):
    return next(iter(fusion.sides.values())).seen.tolist()


@pytest.mark.parametrize("sides", [["rules"], ["knn"], ["rules", "knn"], ["knn", "rules"]])
def test_scores_are_those_of_slow_loops(questions, sides):
    train, test_log, clicks, scores, prefixes = questions
    fusion = random_fusion(train, sides)
    latest = latest_clicks(test_log.items, clicks, N_CLICKS)
    # Wider than the catalogue, as a served row of scores is.
    wide = np.pad(scores, [[0, 0], [0, 2]])
    found = FusedScores(fusion)(tf.constant(wide), tf.constant(latest)).numpy()
    tables = [fusion.tables[side].toarray().tolist() for side in sides]
    seen = first_seen(fusion)
    expected = [
        oracle.fused_scores(row, tables, seen, fusion.weights.tolist(), prefix)
        for row, prefix in zip(scores, prefixes, strict=True)
    ]
    # A score is a sum of few terms below 30, each good to some units in the last place.
    np.testing.assert_allclose(found[:, :N_ITEMS], expected, rtol=0, atol=30 * 16 * np.finfo(np.float32).eps)
    assert not found[:, N_ITEMS:].any()


def features_of(fusion, latest):
    """What the weights multiply but for popularity, dense, [n, n_features, N_ITEMS]."""
    found = np.zeros([len(latest), fusion.weights.shape[1] - 1, N_ITEMS])
    for number, (places, values) in enumerate(FusedScores(fusion).features(tf.constant(latest), N_ITEMS)):
        found[places // N_ITEMS, number, places % N_ITEMS] = values
    return found


def test_candidates_have_the_ranks_of_all_items(questions):
    train, test_log, clicks, scores, prefixes = questions
    fusion = random_fusion(train, ["rules", "knn"])
    tables = [table.toarray().tolist() for table in fusion.tables.values()]
    expected = np.array(
        [
            oracle.fused_scores(row, tables, first_seen(fusion), fusion.weights.tolist(), prefix)
            for row, prefix in zip(scores, prefixes, strict=True)
        ]
    )
    dense = features_of(fusion, latest_clicks(test_log.items, clicks, N_CLICKS))
    features = [sparse.csr_array(dense[:, number]) for number in range(dense.shape[1])]
    steps = position_steps(clicks.positions)
    popularity = np.log(1 + np.array(first_seen(fusion)))[:, np.newaxis]
    halves = [slice(0, 30), slice(30, None)]
    parts = [
        candidates_of_block(
            tf.constant(scores[half]),
            [each[half] for each in features],
            popularity,
            clicks.targets[half],
            steps[half],
        )
        for half in halves
    ]
    own = expected[np.arange(len(clicks)), clicks.targets]
    together = join(parts)
    np.testing.assert_array_equal(
        together.ranks(fusion.weights), 1 + (expected > own[:, np.newaxis]).sum(axis=1)
    )
    is_taken = np.arange(len(clicks)) % 3 == 0
    np.testing.assert_array_equal(
        together.take(is_taken).ranks(fusion.weights), together.ranks(fusion.weights)[is_taken]
    )


def test_rows_are_read_as_they_are():
    tables = [[[0, 2.0, 3.0], [0, 0, 0], [4.0, 0, 0]], [[5.0, 0, 6.0], [0, 0, 0], [7.0, 0, 0]]]
    sides = {
        name: Counted(sparse.csr_array(np.array(table)), np.ones(3), 1.0)
        for name, table in zip(("rules", "knn"), tables, strict=True)
    }
    fusion = Fusion(sides, np.zeros([4, 5]), 0)
    places, columns, values, sums = TableRows(fusion).look_up(tf.constant([[2, -1], [1, 0]]))
    assert places.numpy().tolist() == [0, 3, 3, 3]
    assert columns.numpy().tolist() == [0, 0, 1, 2]
    assert values.numpy().tolist() == [[4.0, 7.0], [0.0, 5.0], [2.0, 0.0], [3.0, 6.0]]
    assert sums.numpy().tolist() == [[[4.0, 7.0], [0.0, 0.0]], [[0.0, 0.0], [5.0, 11.0]]]


def test_items_of_every_session_say_nothing():
    log = log_of([[0, 1], [1, 0]], 3)  # their idf is 0
    latest = latest_clicks(log.items, NextClicks.of(log), N_CLICKS)
    fused = FusedScores(Fusion.count(log, np.tile([1.0, 0.0, 0.0, 0.0], [4, 1]), ["knn"]))
    assert not fused(tf.zeros([2, 3]), tf.constant(latest)).numpy().any()


def one_side(scores, side, targets):
    """Candidates of questions at position 1 that one side, dense, speaks of, and no repeated click."""
    none = sparse.csr_array(side.shape)
    features = [sparse.csr_array(side), none, none]
    popularity = np.zeros([side.shape[1], 1])
    steps = np.zeros(len(targets), np.int64)
    return candidates_of_block(tf.constant(scores), features, popularity, targets, steps)


def test_learned_weights_are_the_best_there_are():
    random = np.random.default_rng(5)
    targets = random.integers(N_ITEMS, size=200)
    scores = random.normal(size=[200, N_ITEMS])
    side = np.where(random.random([200, N_ITEMS]) < 0.3, random.random([200, N_ITEMS]), 0.0)
    side[np.arange(200), targets] += random.random(200)
    candidates = one_side(scores, side, targets)
    spread = spread_of(candidates)
    assert spread == pytest.approx(np.mean(scores.max(axis=1) - scores.min(axis=1)))
    [weight, *others] = learn_weights(candidates)[0]
    assert others == [0.0, 0.0, 0.0]

    def loss(weight):
        ranks = [
            oracle.log_smooth_rank(row, target, TEMPERATURE * spread)
            for row, target in zip((scores + weight * side).tolist(), targets, strict=True)
        ]
        return np.mean(ranks) + STRENGTH * (weight / spread) ** 2

    # The minimum is flat: a tenth to either side is worse, and it is better than no fusion.
    assert loss(weight) < min(loss(0.9 * weight), loss(1.1 * weight), loss(0.0))


def test_a_side_that_misleads_gets_no_weight_and_scores_may_have_any_scale():
    random = np.random.default_rng(6)
    targets = random.integers(N_ITEMS, size=200)
    scores = random.normal(size=[200, N_ITEMS])
    wrong = np.where(np.arange(N_ITEMS) == targets[:, np.newaxis], 0.0, random.random([200, N_ITEMS]))
    assert learn_weights(one_side(scores, wrong, targets))[0, 0] == 0.0
    right = 1.0 * (np.arange(N_ITEMS) == targets[:, np.newaxis])
    weight = learn_weights(one_side(scores, right, targets))[0, 0]
    assert weight > 0
    assert learn_weights(one_side(8 * scores, right, targets))[0, 0] == pytest.approx(8 * weight, rel=1e-3)


def test_a_file_gives_back_what_was_saved(tmp_path):
    log = log_of(random_sessions(4, 40, N_ITEMS), N_ITEMS)
    fusion = random_fusion(log, ["rules", "knn"])
    fusion.save(tmp_path)
    loaded = Fusion.load(tmp_path)
    np.testing.assert_array_equal(loaded.weights, fusion.weights)
    assert loaded.checksum == fusion.checksum
    assert list(loaded.tables) == ["rules", "knn"]
    for side, table in fusion.tables.items():
        np.testing.assert_array_equal(loaded.tables[side].toarray(), table.toarray())
        np.testing.assert_array_equal(loaded.sides[side].seen, fusion.sides[side].seen)
        assert loaded.sides[side].n_sessions == 40
    assert [path.name for path in tmp_path.iterdir()] == ["fusion.npz"]


def test_what_is_damaged_or_does_not_fit_is_refused(tmp_path):
    log = log_of([[0, 1], [1, 2]], 3)
    with pytest.raises(ValueError, match=r"weights must be \(4, 4\).*shape=\(4, 3\)"):
        Fusion.count(log, np.zeros([4, 3]), ["rules"])
    with pytest.raises(ValueError, match="needs a side"):
        Fusion.count(log, np.zeros([4, 3]), [])
    with pytest.raises(ValueError, match="must be finite"):
        Fusion.count(log, np.full([4, 4], np.nan), ["rules"])
    fusion = random_fusion(log, ["rules"])
    with pytest.raises(ValueError, match="of the model's vocabulary"):
        fusion.require_vocabulary(Vocabulary.from_items([5, 6, 7]))
    assert checksum_of(log.vocabulary) == fusion.checksum
    assert Fusion.load(tmp_path) is None
    fusion.save(tmp_path)
    path = tmp_path / "fusion.npz"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole.replace(b"checksum", b"checksun")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"fusion\.npz is damaged"):
            Fusion.load(tmp_path)
