"""Rows of a warm start, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.upkeep import carried_rows


def vocabulary(**counts):
    return Vocabulary(np.array(list(counts), object), np.array(list(counts.values()), np.int64))


def log_of(*sessions, first_time=0):
    frame = pd.DataFrame(
        [(number, item) for number, items in enumerate(sessions) for item in items],
        columns=["SessionId", "ItemId"],
    )
    frame["Time"] = first_time + np.arange(len(frame))
    return SessionLog.from_frame(frame)


def test_old_items_first_then_new_ones_by_count():
    old, fresh = vocabulary(c=9, a=5, b=5), vocabulary(y=4, a=3, x=2)
    rows = carried_rows.map_rows(old, fresh)
    assert list(rows.vocabulary.ids) == ["c", "a", "b", "y", "x"]
    assert list(rows.old_rows) == [0, 1, 2, -1, -1]
    # c and b are not in the new log: they count as one event, so that they can still be drawn.
    assert list(rows.vocabulary.counts) == [1, 3, 1, 4, 2]
    assert (rows.n_new, rows.n_retired) == (2, 0)


def test_retired_items_close_the_gap_but_not_those_that_the_new_log_has():
    old, fresh = vocabulary(c=9, a=5, b=5), vocabulary(a=3, x=2)
    rows = carried_rows.map_rows(old, fresh, np.array([True, True, False]))
    assert list(rows.vocabulary.ids) == ["a", "b", "x"]
    assert list(rows.old_rows) == [1, 2, -1]
    assert rows.n_retired == 1


def test_old_counts_fade():
    rows = carried_rows.map_rows(vocabulary(c=9, a=6, b=1), vocabulary(a=3, x=2), count_decay=0.3)
    # 2.7 → 3; 1.8 + 3 = 4.8 → 5; 0.3 → 0, but at least 1.
    assert list(rows.vocabulary.counts) == [3, 5, 1, 2]


def test_integers_and_strings_do_not_meet():
    old = Vocabulary(np.array([7, 12]), np.array([2, 1]))
    with pytest.raises(ValueError, match="item_type=integer.*item_id='12'"):
        carried_rows.map_rows(old, vocabulary(**{"12": 3, "x": 1}))


def test_log_in_the_joined_rows_has_the_same_items():
    log = log_of("xay", "ya")
    rows = carried_rows.map_rows(vocabulary(c=9, a=5), log.vocabulary)
    joined = carried_rows.in_rows_of(log, rows.vocabulary)
    assert "".join(joined.vocabulary.ids[joined.items]) == "xayya"
    # y occurs twice and x once, behind c and a.
    assert list(joined.items) == [3, 1, 2, 2, 1]


def test_last_seen_is_the_time_of_the_last_event():
    log = log_of("aba", "bc", first_time=100)
    by_id = dict(zip(log.vocabulary.ids, carried_rows.last_seen(log), strict=True))
    assert by_id == {"a": 102, "b": 103, "c": 104}


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        (0, [False, False, False]),
        (20, [True, False, False]),
        (3, [True, False, True]),
        (1, [True, True, True]),
    ],
)
def test_retired_is_what_was_last_seen_too_long_before_the_end(ticks, expected):
    log = log_of("ab", "cd", first_time=100)  # from 100 to 103
    # Ages at the end: 103 - 80 = 23; not known, so seen at 100: 3; 103 - 90 = 13.
    seen = np.array([80.0, np.nan, 90.0])
    assert list(carried_rows.retired(seen, log, ticks)) == expected


@pytest.mark.parametrize("shape", [(), (2,)])
def test_carried_rows(shape):
    old = np.arange(3 * int(np.prod(shape)), dtype=np.float32).reshape(3, *shape)
    start = np.full((3, *shape), -1, np.float32)
    found = carried_rows.carry_rows(old, start, np.array([2, -1, 0]))
    np.testing.assert_array_equal(found, np.stack([old[2], start[1], old[0]]))
    assert (start == -1).all()


def test_neighbours_mean_by_hand():
    # Rows: a 0, b 1 known; x, y, z new. Sessions: a x b x a | x y | z y. The last a and x do not meet across sessions.
    log = log_of("axbxa", "xy", "zy")
    rows = carried_rows.map_rows(vocabulary(a=1, b=1), log.vocabulary)
    assert list(rows.vocabulary.ids) == ["a", "b", "x", "y", "z"]
    joined = carried_rows.in_rows_of(log, rows.vocabulary)
    old, start = np.array([[1.0, 10.0], [3.0, 30.0]]), np.full((5, 2), -7.0)
    found = carried_rows.neighbour_means(old, start, rows.old_rows, joined)
    # x has the neighbours a, b, b, a; y has x and z, which are new as well; z has y.
    np.testing.assert_allclose(found, [[-7, -7], [-7, -7], [2, 20], [-7, -7], [-7, -7]])
    biases = carried_rows.neighbour_means(np.array([1.0, 4.0]), np.zeros(5), rows.old_rows, joined)
    np.testing.assert_allclose(biases, [0, 0, 2.5, 0, 0])
