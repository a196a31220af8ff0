"""The simulator of shop sessions and its best possible recall."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.datasets.synthetic_sessions.optimum import (
    next_click_distributions,
    optimal_metrics,
    optimal_recall,
)
from tfrs_gru4rec.datasets.synthetic_sessions.simulator import FIRST_SECOND, simulate, split_by_time
from tfrs_gru4rec.datasets.synthetic_sessions.world import SimulatorConfig, build_world

from oracle import synthetic_sessions as oracle

SMALL = SimulatorConfig(
    n_items=15, neighbourhood_size=5, n_sessions=400, n_days=5, test_days=2, max_length=9, drift=0.3, seed=3
)


def shop_of(config):
    world = build_world(config)
    return {
        "rings": world.neighbourhoods.tolist(),
        "decay": config.walk_decay,
        "tilt": config.popularity_tilt,
        "predictability": config.predictability,
    }, world.popularity


def pairs_of(frame):
    same = frame["SessionId"].to_numpy()[1:] == frame["SessionId"].to_numpy()[:-1]
    items = frame["ItemId"].to_numpy() - 1
    return items[:-1][same], items[1:][same]


def recall_of_scores(scores, targets, k):
    own = scores[np.arange(targets.size), targets]
    return np.mean((scores > own[:, np.newaxis]).sum(axis=1) < k)


def test_the_frame_is_a_sorted_log_of_whole_sessions():
    frame = simulate(SMALL)
    assert list(frame.columns) == ["SessionId", "ItemId", "Time"]
    assert all(dtype == np.int64 for dtype in frame.dtypes)
    assert frame["SessionId"].nunique() == SMALL.n_sessions
    assert frame.groupby("SessionId")["Time"].min().is_monotonic_increasing
    same = frame["SessionId"].diff().to_numpy()[1:] == 0
    assert (frame["Time"].diff().to_numpy()[1:][same] >= 1).all()
    lengths = frame.groupby("SessionId").size()
    assert lengths.min() == 2
    assert lengths.max() == SMALL.max_length
    assert set(frame["ItemId"]) <= set(range(1, SMALL.n_items + 1))


def test_default_sessions_are_as_long_as_a_shop_s():
    lengths = simulate(SimulatorConfig()).groupby("SessionId").size()
    # 2 + floor(X), X log-normal with median 2 and sigma 0.9: P(X < 9) = Phi(ln(4.5) / 0.9) = Phi(1.671) =
    # 0.953; the median of 2 + floor(X) is 4 or just below; P(length > 30) = 1 - Phi(ln(14.5) / 0.9) = 0.0015.
    assert (lengths <= 10).mean() == pytest.approx(0.953, abs=0.006)
    assert lengths.median() in (3, 4)
    assert (lengths > 30).mean() == pytest.approx(0.0015, abs=0.001)


def test_equal_settings_give_equal_sessions_and_another_seed_gives_others():
    pd.testing.assert_frame_equal(simulate(SMALL), simulate(SMALL))
    other = simulate(dataclasses.replace(SMALL, seed=4))
    assert not np.array_equal(other["ItemId"].to_numpy()[:50], simulate(SMALL)["ItemId"].to_numpy()[:50])


@pytest.mark.parametrize("predictability", [0.0, 0.6, 1.0])
def test_next_click_distributions_equal_brute_force(predictability):
    config = dataclasses.replace(SMALL, predictability=predictability)
    shop, popularity = shop_of(config)
    frame = simulate(config).query("SessionId % 20 == 0")
    days = (frame.groupby("SessionId")["Time"].min() - FIRST_SECOND) // 86_400
    expected = {}
    for session, items in frame.groupby("SessionId")["ItemId"]:
        clicks = (items - 1).tolist()
        for seen in range(1, len(clicks)):
            law = oracle.next_probabilities(shop, popularity[days[session]], clicks[:seen])
            expected.setdefault((days[session], seen), []).append((law, clicks[seen]))
    expected = [pair for key in sorted(expected) for pair in expected[key]]
    laws, targets = zip(*next_click_distributions(config, frame), strict=True)
    np.testing.assert_allclose(np.concatenate(laws), [law for law, _ in expected], rtol=1e-9, atol=1e-12)
    assert np.concatenate(targets).tolist() == [target for _, target in expected]
    best = np.mean([sum(sorted(law)[-3:]) for law, _ in expected])
    assert optimal_recall(config, frame, 3) == pytest.approx(best, rel=1e-9)
    mrr = np.mean([sum(p / rank for rank, p in enumerate(sorted(law)[:-4:-1], 1)) for law, _ in expected])
    assert optimal_metrics(config, frame, (3,))["mrr"]["3"] == pytest.approx(mrr, rel=1e-9)


def test_simulated_clicks_follow_the_stated_distribution():
    """Every triple of clicks occurs as often as the definition says; no filter is involved."""
    config = SimulatorConfig(
        n_items=6,
        neighbourhood_size=3,
        n_sessions=120_000,
        n_days=3,
        test_days=1,
        drift=0.0,
        max_length=3,
        length_scale=50.0,
        predictability=0.7,
        seed=11,
    )
    shop, popularity = shop_of(config)
    clicks = simulate(config)["ItemId"].to_numpy().reshape(-1, 3) - 1
    counts = np.bincount(clicks @ [36, 6, 1], minlength=216)
    expected = np.array(
        [
            sum(oracle.joint_probability(shop, popularity[0], intent, triple) for intent in range(4))
            for triple in itertools.product(range(6), repeat=3)
        ]
    )
    assert expected.sum() == pytest.approx(1.0)
    deviation = (counts - config.n_sessions * expected) / np.sqrt(config.n_sessions * expected)
    # Chi-square with 215 degrees of freedom: mean 215, standard deviation sqrt(430) = 20.7.
    assert np.sum(deviation**2) < 215 + 5 * 20.7


@pytest.mark.parametrize("predictability", [0.0, 0.5, 0.8, 1.0])
def test_the_true_ranking_reaches_the_optimum_and_item_to_item_transitions_do_not(predictability):
    config = SimulatorConfig(
        predictability=predictability, n_items=400, n_sessions=9_000, n_days=9, test_days=3
    )
    parts = split_by_time(config, simulate(config))
    hits = [
        (law > law[np.arange(targets.size), targets][:, np.newaxis]).sum(axis=1) < 20
        for law, targets in next_click_distributions(config, parts["test"])
    ]
    hits = np.concatenate(hits)
    best = optimal_recall(config, parts["test"], 20)
    assert hits.mean() == pytest.approx(best, abs=4 * np.sqrt(best * (1 - best) / hits.size))
    popularity = np.bincount(parts["train"]["ItemId"] - 1, minlength=config.n_items)
    last, following = pairs_of(parts["train"])
    transitions = np.zeros((config.n_items, config.n_items))
    np.add.at(transitions, (last, following), 1.0)
    transitions += popularity / popularity.sum() / 1e3
    last, targets = pairs_of(parts["test"])
    reached = recall_of_scores(transitions[last], targets, 20)
    by_popularity = recall_of_scores(np.tile(popularity, (targets.size, 1)), targets, 20)
    if predictability == 0.0:
        # Nothing beyond popularity can be learnt; what the optimum has over it is the day's drift alone.
        assert reached < by_popularity
        assert best == pytest.approx(by_popularity, abs=0.02)
    else:
        assert max(reached, by_popularity) < 0.85 * best


def test_the_optimum_grows_with_the_knob_from_popularity_to_near_certainty():
    best = []
    for predictability in (0.0, 0.25, 0.5, 0.75, 1.0):
        config = SimulatorConfig(
            predictability=predictability, n_items=400, n_sessions=1_400, n_days=7, test_days=3
        )
        best.append(optimal_recall(config, split_by_time(config, simulate(config))["test"], 20))
    assert best == sorted(best)
    assert best[0] < 0.25
    assert best[-1] > 0.9


def test_without_predictability_the_optimum_is_the_day_s_popularity():
    config = dataclasses.replace(SMALL, predictability=0.0)
    _, popularity = shop_of(config)
    frame = simulate(config)
    starts = frame.groupby("SessionId")["Time"].min().to_numpy()
    lengths = frame.groupby("SessionId").size().to_numpy()
    top = np.sort(popularity, axis=1)[:, -5:].sum(axis=1)
    expected = np.average(top[(starts - FIRST_SECOND) // 86_400], weights=lengths - 1)
    assert optimal_recall(config, frame, 5) == pytest.approx(expected, rel=1e-12)


def test_popularity_has_a_tail():
    config = SimulatorConfig(predictability=0.0, drift=0.0, n_items=2000)
    counts = np.sort(np.bincount(simulate(config)["ItemId"] - 1, minlength=config.n_items))[::-1]
    # The sum over ranks 1..m of 1 / (rank + 20) is ln((m + 20.5) / 20.5) to three digits.
    for head in (20, 200, 1000):
        expected = np.log((head + 20.5) / 20.5) / np.log(2020.5 / 20.5)
        assert counts[:head].sum() / counts.sum() == pytest.approx(expected, rel=0.04)
    assert counts[-1] > 0


def test_drift_moves_popularity_from_day_to_day_and_none_leaves_it():
    still = build_world(dataclasses.replace(SMALL, drift=0.0)).popularity
    assert np.ptp(still, axis=0).max() == 0.0
    config = SimulatorConfig(drift=0.2, n_days=28)
    logs = np.log(build_world(config).popularity)
    # x_d = 0.9 x_{d-1} + 0.2 e: variance 0.04 / (1 - 0.81) = 0.2105; over g days the change has the variance
    # 2 * 0.2105 * (1 - 0.9 ** g): 0.0421 for one day, 0.3430 for 16.
    for gap, variance in ((1, 0.0421), (16, 0.3430)):
        change = logs[gap:] - logs[:-gap]
        change -= change.mean(axis=1, keepdims=True)
        assert change.var() == pytest.approx(variance, rel=0.05)


def test_drift_ages_what_was_learnt():
    gains = {}
    for drift in (0.0, 0.5):
        config = SimulatorConfig(predictability=0.0, drift=drift, n_items=400, n_sessions=9_000)
        parts = split_by_time(config, simulate(config))
        counts = np.bincount(parts["train"]["ItemId"] - 1, minlength=config.n_items)
        targets = pairs_of(parts["test"])[1]
        ranks = np.argsort(np.argsort(-counts, kind="stable"))[targets]
        gains[drift] = optimal_recall(config, parts["test"], 20) / np.mean(ranks < 20)
    assert gains[0.0] < 1.05
    assert gains[0.5] > 1.2


def test_splits_follow_time_and_cut_sessions_that_straddle():
    frame = pd.DataFrame(
        {"SessionId": [1, 1, 2, 2, 2, 3, 3, 4, 4], "ItemId": [1] * 9, "Time": [0, 1, 2, 3, 4, 3, 4, 5, 9]}
    )
    day = 86_400
    end = FIRST_SECOND + 5 * day
    # A clock on which 2 is one second before the last two days begin, 3 the moment itself.
    frame["Time"] += end - 2 * day - 3
    parts = split_by_time(dataclasses.replace(SMALL, n_days=5, test_days=2), frame)
    assert parts["test"]["SessionId"].tolist() == [3, 3, 4, 4]
    assert parts["train"]["SessionId"].tolist() == [1, 1]  # session 2 keeps one click and goes
    assert parts["valid"]["SessionId"].tolist() == [1, 1]
    assert parts["train_tr"].empty


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"predictability": 1.1}, "predictability must be 0 to 1"),
        ({"n_items": 100, "neighbourhood_size": 30}, "multiple of neighbourhood_size"),
        ({"n_days": 8, "test_days": 4}, "n_days must exceed twice test_days"),
        ({"drift": -0.1}, "drift must be at least 0"),
        ({"walk_decay": 0.0}, "walk_decay must be greater than 0 and at most 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, rule):
    with pytest.raises(ValueError, match=rule):
        SimulatorConfig(**settings)
