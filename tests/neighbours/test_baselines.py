"""Popularity, transitions and session kNN: hand-worked logs, and a brute-force oracle on random ones."""

import numpy as np
import pandas as pd
import pytest
from neighbours_support.logs import log_of, random_sessions

from tfrs_gru4rec import metrics
from tfrs_gru4rec.neighbours import (
    VSTAN,
    NextClicks,
    Popularity,
    SessionKNN,
    Transitions,
    evaluate_baselines,
)
from tfrs_gru4rec.neighbours.compare import rank_by
from tfrs_gru4rec.pipelines.session_log import SessionLog

from oracle import baselines as oracle

TIES = ("standard", "conservative", "median")


def test_pairs_are_listed_in_the_order_of_events_and_know_their_position():
    pairs = NextClicks.of(log_of([[4, 1, 2], [3], [0, 4]], 5))
    assert pairs.inputs.tolist() == [4, 1, 0]
    assert pairs.targets.tolist() == [1, 2, 4]
    assert pairs.positions.tolist() == [1, 2, 1]
    assert pairs.starts.tolist() == [0, 0, 4]


def test_popularity_by_hand():
    # Counts: a 3, b 2, c 2, d 1, e 0.
    model = Popularity(log_of([[0, 1], [0, 2, 1], [0, 2, 3]], 5))
    test = log_of([[0, 0, 1, 2, 3, 4]], 5)
    # Targets a, b, c, d, e; b and c are level.
    assert model.ranks(test).tolist() == [1, 2, 2, 4, 5]
    assert model.ranks(test, "conservative").tolist() == [1, 3, 3, 4, 5]
    assert model.ranks(test, "median").tolist() == [1, 2.5, 2.5, 4, 5]


def test_transitions_by_hand():
    # After a: b twice, c once, d once. Counts: a 4, b 3, c 2, d 1, e 1, f 0.
    model = Transitions(log_of([[0, 1], [0, 1, 2], [0, 2], [0, 3], [4, 1]], 6))
    test = log_of([[0, target] for target in range(6)], 6)
    # b; then c before d, once each but c is more popular; then a, e, f, never seen after a, by popularity.
    assert model.ranks(test).tolist() == [4, 1, 2, 3, 5, 6]
    # After f nothing is known: popularity, where d and e are level.
    unseen = log_of([[5, target] for target in range(6)], 6)
    assert model.ranks(unseen).tolist() == [1, 2, 3, 4, 4, 6]
    assert model.ranks(unseen, "conservative").tolist() == [1, 2, 3, 5, 5, 6]


def test_session_knn_by_hand():
    """One prefix (a, b), past sessions oldest first: (a, c), (b, d), (a, b, e), (f, g).

    Weights: a 1/2, b 1. Similarities 1/2, 1, 3/2; the last session shares nothing. w: 1/2, 1, 1.
    Votes sim * w: 1/4, 1, 3/2. Without idf: a 1/4 + 3/2 = 7/4, b 1 + 3/2 = 5/2, c 1/4, d 1, e 3/2, f = g = 0.
    Order b, a, e, d, c, then f and g, level in popularity too.
    With idf, log(4 / 2) = 0.693 for a and b, log(4 / 1) = 1.386 for the others:
    a 1.213, b 1.733, c 0.347, d 1.386, e 2.079: order e, b, d, a, c.
    """
    past = log_of([[0, 2], [1, 3], [0, 1, 4], [5, 6]], 7)
    test = log_of([[0, 1, target] for target in range(7)], 7)
    second = NextClicks.of(test).take(np.arange(1, 14, 2))
    assert second.targets.tolist() == list(range(7))
    plain = SessionKNN(past, idf=False)
    assert plain.ranks(test, clicks=second).tolist() == [2, 1, 5, 4, 3, 6, 6]
    assert plain.ranks(test, "conservative", second).tolist() == [2, 1, 5, 4, 3, 7, 7]
    assert SessionKNN(past).ranks(test, clicks=second).tolist() == [4, 2, 5, 3, 1, 6, 6]
    # One neighbour of the two most recent candidates, (b, d) and (a, b, e): a = b = e = 3/2. Of these a and b
    # have two events each, e one; then popularity alone: c, d, f, g with one each.
    nearest = SessionKNN(past, n_neighbours=1, n_candidates=2, idf=False)
    assert nearest.ranks(test, clicks=second).tolist() == [1, 1, 4, 4, 3, 4, 4]
    assert nearest.ranks(test, "conservative", second).tolist() == [2, 2, 7, 7, 3, 7, 7]
    # One candidate, the most recent that shares an item, is (a, b, e) and not (f, g).
    only = SessionKNN(past, n_neighbours=1, n_candidates=1, idf=False)
    assert only.ranks(test, clicks=second).tolist() == [1, 1, 4, 4, 3, 4, 4]


def test_session_knn_takes_the_more_recent_of_equally_similar_sessions_and_the_last_of_repeated_clicks():
    past = log_of([[0, 1], [0, 2], [0, 3]], 4)
    model = SessionKNN(past, n_neighbours=2, idf=False)
    # Neighbours of (a): the second and third session. Scores a 2, c 1, d 1, b 0.
    assert model.ranks(log_of([[0, target] for target in range(4)], 4)).tolist() == [1, 4, 2, 2]
    # Prefix (a, b, a): a weighs 1, b 2/3. Session (a, c) 1, (b, d) 2/3: c before d, though a was there first.
    past = log_of([[0, 2], [1, 3]], 4)
    test = log_of([[0, 1, 0, 2], [0, 1, 0, 3]], 4)
    last = NextClicks.of(test).take(np.array([2, 5]))
    assert SessionKNN(past, idf=False).ranks(test, clicks=last).tolist() == [1, 3]


def test_equal_similarities_are_equal_in_floating_point_too():
    # Prefix (a, b, c, d, e): (a, b, g) has 1/5 + 2/5, which floats make more than the 3/5 of (c, f).
    past = log_of([[0, 1, 6], [2, 5]], 7)
    test = log_of([[0, 1, 2, 3, 4, 5]], 7)
    last = NextClicks.of(test).take(np.array([4]))
    assert SessionKNN(past, n_neighbours=1, idf=False).ranks(test, clicks=last).tolist() == [1]


def expected_ranks(sessions, prefixes, n_items, tie, score):
    counts = oracle.popularity_counts(sessions, n_items)
    return [
        oracle.rank(score(test[:seen]), counts, test[seen], tie)
        for test in prefixes
        for seen in range(1, len(test))
    ]


@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ranks_equal_brute_force_on_random_logs(seed, tie):
    n_items = 14 + 3 * seed
    train, test = random_sessions(seed, 60, n_items), random_sessions(seed + 10, 25, n_items)
    log, test_log = log_of(train, n_items), log_of(test, n_items)
    counts = oracle.popularity_counts(train, n_items)
    assert Popularity(log).ranks(test_log, tie).tolist() == expected_ranks(
        train, test, n_items, tie, lambda prefix: counts
    )
    assert Transitions(log).ranks(test_log, tie).tolist() == expected_ranks(
        train, test, n_items, tie, lambda prefix: oracle.transition_scores(train, n_items, prefix)
    )
    for n_neighbours, n_candidates, idf in (
        (500, 5000, True),
        (500, 5000, False),
        (5, 20, True),
        (3, 3, False),
    ):
        model = SessionKNN(log, n_neighbours, n_candidates, idf)
        expected = expected_ranks(
            train,
            test,
            n_items,
            tie,
            lambda prefix, settings=(n_neighbours, n_candidates, idf): oracle.session_knn_scores(
                train, n_items, prefix, *settings
            ),
        )
        assert model.ranks(test_log, tie).tolist() == expected


def test_the_last_shared_click_of_a_long_session_is_found():
    # 300 clicks on 250 items: sums of powers that no float64 holds to the last digit.
    rng, n_items = np.random.default_rng(3), 250
    train, test = random_sessions(4, 60, n_items), [rng.integers(0, n_items, 300).tolist()]
    clicks = NextClicks.of(log_of(test, n_items)).take(np.array([60, 150, 298]))
    found = SessionKNN(log_of(train, n_items)).scores(log_of(test, n_items).items, clicks).toarray()
    for row, seen in zip(found, clicks.positions, strict=True):
        expected = oracle.session_knn_scores(train, n_items, test[0][:seen], 500, 5000, True)
        np.testing.assert_allclose(row, np.multiply(expected, float(seen) ** 2), 1e-12)


def test_what_is_shared_more_than_500_clicks_ago_weighs_as_500_ago():
    test = log_of([list(range(701))], 905)
    old = list(range(100))
    past = log_of([[3, 901], [650, 902], [*old, 903], [*old, 200, 904]], 905)
    model = SessionKNN(past, idf=False)
    scores = model.scores(test.items, NextClicks.of(test).take(slice(699, 700))).toarray()[0]
    # 700 seen: item 3 at position 4, w = 700 - 500; item 650 at 651; a hundred old ones; and one more, 499 ago.
    assert scores[901:].tolist() == [4 * 200, 651 * 651, 5050 * 200, (5050 + 201) * 201]


def test_vstan_equals_the_formula_in_slow_loops():
    # No two similarities are alike, so that the order of equals does not matter.
    train, test, n_items = random_sessions(11, 60, 15), random_sessions(12, 12, 15), 15
    test_log = log_of(test, n_items)
    clicks = NextClicks.of(test_log)
    for settings, decays in (((500, 5000), (4.0, 1e5, 2.0)), ((7, 20), (1.3, 9.0, 0.7))):
        names = dict(zip(("lambda_spw", "lambda_snh", "lambda_inh"), decays, strict=True))
        found = VSTAN(log_of(train, n_items), *settings, **names).scores(test_log.items, clicks).toarray()
        prefixes = [session[:place] for session in test for place in range(1, len(session))]
        expected = [oracle.vstan_scores(train, n_items, prefix, *settings, decays) for prefix in prefixes]
        np.testing.assert_allclose(found, expected, 1e-9, 1e-12)


@pytest.mark.parametrize("tie", TIES)
def test_the_tie_rules_are_those_of_the_model_s_evaluation(tie):
    train, test = log_of(random_sessions(9, 40, 25), 25), log_of(random_sessions(10, 30, 25), 25)
    targets = NextClicks.of(test).targets
    counts = np.bincount(train.items, minlength=25).astype(np.float32)
    assert len(set(counts.tolist())) < 25  # There are ties.
    expected = metrics.ranks(np.tile(counts, (len(targets), 1)), targets, tie)
    assert Popularity(train).ranks(test, tie).tolist() == expected.numpy().tolist()


@pytest.mark.parametrize("baseline", [Popularity, Transitions, SessionKNN, VSTAN])
def test_blocks_do_not_change_ranks(baseline):
    train, test = random_sessions(3, 80, 20), log_of(random_sessions(4, 30, 20), 20)
    model = baseline(log_of(train, 20))
    np.testing.assert_array_equal(model.ranks(test), model.ranks(test, block_entries=7))


def test_evaluation_reports_the_figures_of_the_ranks():
    train, test = log_of(random_sessions(5, 80, 30), 30), log_of(random_sessions(6, 40, 30), 30)
    figures = evaluate_baselines(train, test, k=(1, 5), tie="median")
    assert list(figures) == ["popularity", "transitions", "session_knn"]
    for name, model in (
        ("popularity", Popularity),
        ("transitions", Transitions),
        ("session_knn", SessionKNN),
    ):
        ranks = model(train).ranks(test, "median")
        assert figures[name]["recall"]["5"] == pytest.approx(np.mean([rank <= 5 for rank in ranks]))
        reciprocal = [1 / rank if rank <= 5 else 0 for rank in ranks]
        assert figures[name]["mrr"]["5"] == pytest.approx(np.mean(reciprocal))
        assert figures[name]["events"] == test.n_pairs
        assert figures[name]["seconds"] >= 0
    by_position = rank_by(Transitions(train), test).at_position(1, 1)
    first = NextClicks.of(test).positions == 1
    np.testing.assert_array_equal(by_position.ranks, Transitions(train).ranks(test)[first])


def test_sampling_asks_session_knn_a_seeded_share_of_the_pairs():
    train, test = log_of(random_sessions(7, 80, 30), 30), log_of(random_sessions(8, 40, 30), 30)
    everything = SessionKNN(train).ranks(test)
    pairs = NextClicks.of(test)
    chosen = np.sort(np.random.default_rng(1).choice(len(pairs), 25, replace=False))
    found = rank_by(SessionKNN(train), test, clicks=pairs.sample(25, seed=1))
    np.testing.assert_array_equal(found.ranks, everything[chosen])
    np.testing.assert_array_equal(found.positions, pairs.positions[chosen])
    np.testing.assert_array_equal(test.items[found.events], pairs.targets[chosen])
    figures = evaluate_baselines(train, test, k=(5,), max_pairs=25, seed=1)
    assert figures["popularity"]["events"] == test.n_pairs
    assert figures["session_knn"]["events"] == 25
    assert figures["session_knn"]["mrr"] == found.figures((5,))["mrr"]
    assert len(pairs.sample(10**6, 0)) == len(pairs)


def test_logs_of_different_vocabularies_and_logs_without_a_pair_are_refused():
    train = log_of([[0, 1], [1, 2]], 3)
    with pytest.raises(ValueError, match=r"training log's vocabulary.*train_items=3, test_items=4"):
        evaluate_baselines(train, log_of([[0, 3]], 4))
    with pytest.raises(ValueError, match="two known items"):
        evaluate_baselines(train, log_of([[0], [2]], 3))
    with pytest.raises(ValueError, match="tie must be one of standard, conservative, median"):
        evaluate_baselines(train, train, tie="kind")
    with pytest.raises(ValueError, match="n_candidates must be at least 500"):
        SessionKNN(train, n_candidates=100)


def test_a_log_read_from_a_frame_is_ranked_in_its_own_vocabulary():
    train = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("xyxyxz"), "Time": range(6)})
    test = pd.DataFrame({"SessionId": [9, 9, 9], "ItemId": list("xqz"), "Time": range(3)})
    log = SessionLog.from_frame(train)
    test_log = SessionLog.from_frame(test, log.vocabulary)
    # The unknown q is dropped, so z is asked for after x: y followed twice, z once.
    assert Transitions(log).ranks(test_log).tolist() == [2]
    assert rank_by(Transitions(log), test_log).dropped_events == 1


def test_learning_leaves_the_log_as_it_is():
    log = log_of([[0, 1, 0], [2, 2, 1]], 3)
    before = log.items.copy(), log.offsets.copy()
    for baseline in (Popularity, Transitions, SessionKNN):
        baseline(log).ranks(log)
    np.testing.assert_array_equal(log.items, before[0])
    np.testing.assert_array_equal(log.offsets, before[1])
