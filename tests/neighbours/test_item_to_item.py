"""Sequential rules and item neighbours beside slow loops over plain lists, and by hand."""

import numpy as np
import pytest
from neighbours_support.logs import log_of, random_sessions

from tfrs_gru4rec.neighbours import ItemKNN, NextClicks, SequentialRules, Transitions
from tfrs_gru4rec.neighbours.item_to_item import top_of_rows

from oracle import baselines as oracle

N_ITEMS = 15
# Sums of at most a few hundred positive terms in double precision, each rounded a few times.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def dense_scores(model, test):
    log = log_of(test, N_ITEMS)
    return model.scores(log.items, NextClicks.of(log)).toarray()


def expected_scores(table, test, n_clicks):
    prefixes = [session[:seen] for session in test for seen in range(1, len(session))]
    return [oracle.item_to_item_scores(table, prefix, n_clicks) for prefix in prefixes]


def test_rules_by_hand():
    # Session (a, b, a, c): a has two clicks. b after a: 1; a after a: 1/2; c after a: 1/3 + 1; divided by 2.
    rules = SequentialRules(log_of([[0, 1, 0, 2]], 3))
    np.testing.assert_allclose(rules.table.toarray()[0], [1 / 4, 1 / 2, 2 / 3], rtol=1e-15)
    # After (a, b): b's row, 1 for a and 1/2 for c, and .8 of a's.
    test = log_of([[0, 1, 2]], 3)
    found = rules.scores(test.items, NextClicks.of(test)).toarray()[1]
    np.testing.assert_allclose(found, [1 + 0.8 / 4, 0.8 / 2, 1 / 2 + 0.8 * 2 / 3], rtol=1e-15)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("n_top", "n_clicks"), [(None, 10), (3, 2)])
def test_scores_are_those_of_slow_loops(seed, n_top, n_clicks):
    train, test = random_sessions(seed, 60, N_ITEMS), random_sessions(seed + 10, 20, N_ITEMS)
    log = log_of(train, N_ITEMS)
    settings = {"n_top": n_top, "n_clicks": n_clicks}
    for model, table in (
        (SequentialRules(log, 3, **settings), oracle.sequential_rules_table(train, N_ITEMS, 3)),
        (ItemKNN(log, 7, 4.0, **settings), oracle.item_knn_table(train, N_ITEMS, 7, 4.0)),
    ):
        table = oracle.cut_table(table, n_top) if n_top else table
        expected = expected_scores(table, test, n_clicks)
        np.testing.assert_allclose(dense_scores(model, test), expected, **CLOSE)


def test_rows_are_bounded_and_blocks_do_not_change_them(monkeypatch):
    log = log_of(random_sessions(2, 60, N_ITEMS), N_ITEMS)
    whole = ItemKNN(log, n_top=4).table
    assert np.diff(whole.indptr).max() == 4
    rules = SequentialRules(log).table
    monkeypatch.setattr("tfrs_gru4rec.neighbours.item_to_item.table_of.__defaults__", (5,))
    np.testing.assert_array_equal(ItemKNN(log, n_top=4).table.toarray(), whole.toarray())
    np.testing.assert_array_equal(SequentialRules(log).table.toarray(), rules.toarray())


def test_transitions_are_rules_of_distance_1():
    train = random_sessions(3, 60, N_ITEMS)
    table = oracle.sequential_rules_table(train, N_ITEMS, 1)
    np.testing.assert_allclose(Transitions(log_of(train, N_ITEMS)).table.toarray(), table, **CLOSE)


def test_bad_numbers_are_refused():
    log = log_of([[0, 1]], 2)
    for model, setting, rule in (
        (SequentialRules, {"max_distance": 0}, "max_distance must be at least 1"),
        (ItemKNN, {"n_sessions": 0}, "n_sessions must be at least 1"),
        (ItemKNN, {"half_life": -1.0}, "half_life must be greater than 0"),
        (ItemKNN, {"n_clicks": 0}, "n_clicks must be at least 1"),
    ):
        with pytest.raises(ValueError, match=rule):
            model(log, **setting)
    with pytest.raises(ValueError, match="n must be at least 1"):
        top_of_rows(SequentialRules(log).table, 0)


@pytest.mark.parametrize("decay", [1.0, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_logs_added_one_by_one_give_what_they_give_together(seed, decay):
    days = [random_sessions(10 * seed + day, 20, N_ITEMS) for day in range(3)]
    rules = knn = None
    for sessions in days:
        log = log_of(sessions, N_ITEMS)
        rules = SequentialRules(log, 3, None, before=rules and rules.counted, decay=decay)
        knn = ItemKNN(log, 60, 4.0, None, before=knn and knn.counted, decay=decay)
    sessions, weights = sum(days, []), [decay**age for age in (2, 1, 0) for _ in range(20)]
    for model, expected in (
        (rules, oracle.sequential_rules_table(sessions, N_ITEMS, 3, weights)),
        (knn, oracle.item_knn_table(sessions, N_ITEMS, 60, 4.0, weights)),
    ):
        np.testing.assert_allclose(model.table.toarray(), expected, **CLOSE)
        assert model.counted.n_sessions == pytest.approx(sum(weights))


def test_a_log_is_added_in_the_rows_of_another_vocabulary():
    # Items 0 to 9 at first; then 3 and 8 have gone, 10 and 11 are new, and rows have changed places.
    ids = np.array([7, 0, 11, 2, 1, 4, 9, 10, 5, 6])
    first, second = random_sessions(5, 30, 10), random_sessions(6, 30, len(ids))
    both = [*first, *([int(ids[row]) for row in session] for session in second)]
    old_rows = np.where(ids < 10, ids, -1)
    for model, table in (
        (SequentialRules, oracle.sequential_rules_table(both, 12, 10)),
        (ItemKNN, oracle.item_knn_table(both, 12, 200, 40.0)),
    ):
        before = model(log_of(first, 10), n_top=None).counted.moved(old_rows)
        found = model(log_of(second, len(ids)), n_top=None, before=before)
        np.testing.assert_allclose(found.table.toarray(), np.array(table)[np.ix_(ids, ids)], **CLOSE)
        assert np.diff(model(log_of(second, len(ids)), n_top=3, before=before).table.indptr).max() == 3
