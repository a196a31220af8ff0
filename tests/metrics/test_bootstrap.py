"""The bootstrap over sessions: against one that draws the pairs of each session by hand, and by its properties."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from tfrs_gru4rec.metrics import RankedPairs
from tfrs_gru4rec.metrics.bootstrap import bootstrap_means
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


def random_pairs(seed, n_sessions=40, worst=30):
    """Sessions of one to five pairs, in the order of a log; good and bad sessions, so that their pairs are alike."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, n_sessions)
    sessions = np.repeat(np.arange(n_sessions), lengths)
    positions = np.concatenate([np.arange(1, length + 1) for length in lengths])
    ranks = rng.integers(1, worst, n_sessions)[sessions] + rng.integers(0, 3, len(sessions))
    starts = np.cumsum(lengths + 1) - (lengths + 1)
    return RankedPairs(ranks.astype(np.float32), positions, events=starts[sessions] + positions), sessions


def slow_interval(values, sessions, resamples, seed):
    """Draws sessions one resample at a time and puts their pairs side by side."""
    rng, names = np.random.default_rng(seed), np.unique(sessions)
    means = []
    for _ in range(resamples):
        drawn = rng.choice(names, len(names))
        means.append(np.mean(np.concatenate([values[sessions == name] for name in drawn])))
    return np.percentile(means, [2.5, 97.5])


def test_intervals_equal_those_of_slow_resampling():
    found, sessions = random_pairs(0)
    hits = (found.ranks <= 10).astype(float)
    mean, interval = bootstrap_means([hits], sessions, resamples=4000, seed=1)
    assert mean == [pytest.approx(hits.mean())]
    # The ends are quantiles of 4,000 draws each: at 2.5 % their standard error is sqrt(.025 * .975 / 4000) / density =
    # .0025 * sd / .058 = .043 sd of the mean, so two of them differ by less than 4 * sqrt(2) * .043 = .24 sd.
    width = interval[0, 1] - interval[0, 0]  # about 3.9 sd
    slow = slow_interval(hits, sessions, 4000, seed=2)
    np.testing.assert_allclose(interval[0], slow, atol=0.24 * width / 3.9)
    # Pairs drawn one by one would give too narrow an interval, for those of a session are alike.
    _, by_pair = bootstrap_means([hits], np.arange(len(hits)), seed=1)
    assert by_pair[0, 1] - by_pair[0, 0] < 0.75 * width


def test_two_sessions_by_hand():
    # Resamples hold the first twice (a quarter), the second twice (a quarter), or both (half): with values 1, 1 and 4
    # their means are 1, 4 and 2, and the ends of the middle 95 % lie in the outer quarters.
    mean, interval = bootstrap_means([np.array([1.0, 1.0, 4.0])], np.array([3, 3, 8]))
    assert mean.tolist() == [2.0]
    assert interval.tolist() == [[1.0, 4.0]]


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_an_interval_covers_its_figure(seed, n_sessions):
    found, _ = random_pairs(seed, n_sessions)
    figures, intervals = found.figures((1, 20)), found.intervals((1, 20))
    assert figures.keys() == intervals.keys()
    for name, by_k in figures.items():
        for k, value in by_k.items():
            low, high = intervals[name][k]
            assert low - 1e-12 <= value <= high + 1e-12


def test_equal_evaluations_differ_by_nothing():
    found, _ = random_pairs(3)
    compared = found.compare(found, (5, 20))
    assert compared["pairs"] == len(found.ranks)
    for name in ("recall", "mrr", "ndcg", "precision"):
        assert compared[name] == {"5": 0.0, "20": 0.0}
        assert compared["intervals"][name] == {"5": [0.0, 0.0], "20": [0.0, 0.0]}


def test_differences_are_of_the_pairs_that_both_have_ranked():
    # Sessions of 2, 1 and 1 pairs. The other has not ranked the last pair, and its order is another one.
    found = RankedPairs(np.array([1.0, 8.0, 2.0, 9.0]), np.array([1, 2, 1, 1]), events=np.array([1, 2, 4, 6]))
    other = RankedPairs(np.array([4.0, 2.0, 1.0]), np.array([1, 1, 2]), events=np.array([4, 1, 2]))
    compared = found.compare(other, (5,))
    # Hits 1, 0, 1 against 1, 1, 1; reciprocal ranks 1, 0, 1/2 against 1/2, 1, 1/4.
    assert compared["pairs"] == 3
    assert compared["recall"]["5"] == pytest.approx(-1 / 3)
    assert compared["mrr"]["5"] == pytest.approx((1.5 - 1.75) / 3)
    # Of the two sessions one alone has -1/2 of two pairs and the other 0.
    assert compared["intervals"]["recall"]["5"] == [-0.5, 0.0]
    turned = other.compare(found, (5,))
    assert turned["recall"]["5"] == pytest.approx(1 / 3)
    assert turned["intervals"]["recall"]["5"] == [0.0, 0.5]


def test_a_paired_interval_is_narrower_than_that_of_a_figure():
    found, _ = random_pairs(4, n_sessions=400)
    rng = np.random.default_rng(5)
    better = dataclasses.replace(
        found, ranks=np.maximum(found.ranks - rng.integers(0, 2, len(found.ranks)), 1)
    )
    low, high = better.compare(found, (20,))["intervals"]["mrr"]["20"]
    of_figure = found.intervals((20,))["mrr"]["20"]
    assert 0 < low < high
    assert high - low < of_figure[1] - of_figure[0]


def log_with_unknown_items(seed, n_sessions=120):
    """Events (session, item) of which the model knows the items below 20; some sessions have no other ones."""
    rng = np.random.default_rng(seed)
    frames = []
    for session in range(n_sessions):
        lowest = rng.choice([0, 10, 20], p=[0.4, 0.2, 0.4])
        items = rng.integers(lowest, 30 if lowest else 20, rng.integers(1, 8))
        frames.append(
            pd.DataFrame(
                {"SessionId": session, "ItemId": items, "Time": 10 * session + np.arange(len(items))}
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_intervals_of_all_pairs_equal_those_of_slow_resampling_of_raw_sessions():
    frame = log_with_unknown_items(7)
    log = SessionLog.from_frame(frame, Vocabulary.from_items(range(20)))
    clicks = NextClicks.of(log)
    ranks = np.random.default_rng(8).integers(1, 7, len(clicks)).astype(np.float32)
    found = clicks.ranked(ranks, log, 0.0)

    # Anew from the raw events: hits and pairs of each session. Ranks are in the order of the log, which is the frame's.
    hits, pairs, next_rank = [], [], iter(ranks)
    for _, items in frame.groupby("SessionId").ItemId:
        n_ranked = max(sum(item < 20 for item in items) - 1, 0)
        hits.append(sum(next(next_rank) <= 5 for _ in range(n_ranked)))
        pairs.append(len(items) - 1)
    hits, pairs = np.array(hits), np.array(pairs)
    assert next(next_rank, None) is None
    of_all = found.of_all_pairs()
    assert of_all.recall(5) == pytest.approx(hits.sum() / pairs.sum())
    rng, slow = np.random.default_rng(9), []
    for _ in range(4000):
        drawn = rng.integers(0, len(hits), len(hits))
        slow.append(hits[drawn].sum() / pairs[drawn].sum())
    slow = np.percentile(slow, [2.5, 97.5])
    # As above; of 1,000 and 4,000 draws: 4 * .043 * sqrt(4 + 1) = .39 sd, and the width is about 3.9 sd.
    tolerance = 0.39 * (slow[1] - slow[0]) / 3.9
    np.testing.assert_allclose(of_all.intervals((5,))["recall"]["5"], slow, atol=tolerance)
    # The interval of the known pairs, made smaller by their share, is another one: it takes that share for certain.
    scaled = np.array(found.intervals((5,))["recall"]["5"]) * len(ranks) / pairs.sum()
    assert np.abs(scaled - slow).max() > 1.5 * tolerance


def test_what_cannot_be_compared():
    found, _ = random_pairs(6)
    with pytest.raises(ValueError, match=r"one and the same log.*common=0"):
        found.compare(dataclasses.replace(found, events=found.events + 10**6))
    with pytest.raises(ValueError, match="one and the same log"):
        found.compare(dataclasses.replace(found, positions=found.positions + 1))
    with pytest.raises(ValueError, match="events of the pairs"):
        found.compare(dataclasses.replace(found, events=None))
    with pytest.raises(ValueError, match="k must name list lengths"):
        found.intervals(())
