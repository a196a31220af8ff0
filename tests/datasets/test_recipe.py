"""The rules as settings: what each setting does, on a log small enough to work by hand."""

import numpy as np
import pytest

from tfrs_gru4rec.datasets.recipe import (
    Recipe,
    augment_training,
    divide_sessions,
    prepare_sessions,
    split_sessions,
)
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.raw_log import RawLog

DAY = 86_400
ANY = Recipe(min_length=1, min_support=1)


def _events(*rows):
    sessions, items, times = zip(*rows, strict=True)
    return Events(np.array(sessions), np.array(items, np.int32), np.array(times))


def _log(*rows, ticks_per_second=1):
    events = _events(*rows)
    item_ids = np.arange(events.items.max() + 1)
    return RawLog(events, item_ids, ticks_per_second=ticks_per_second)


def _rows(events):
    return list(zip(events.sessions.tolist(), events.items.tolist(), events.times.tolist(), strict=True))


def test_a_session_cut_by_the_split_must_keep_the_least_length():
    log = _events(
        (1, 1, 0), (1, 2, 1), (1, 3, 2), (2, 1, 8), (2, 2, 9), (2, 3, 20), (3, 1, 20), (3, 2, 21), (3, 3, 22)
    )
    for min_length, kept in ((2, [1, 2]), (3, [1])):
        recipe = Recipe(min_length=min_length, min_support=1, test_from=10, tuning_splits=False)
        splits = split_sessions(log, recipe)
        assert sorted(set(splits["train"].sessions.tolist())) == kept
        assert set(splits["test"].sessions.tolist()) == {3}


def test_repeats_stay_if_asked_for():
    log = _log((1, 5, 3), (1, 5, 2), (1, 6, 1))
    kept = Recipe(min_length=1, min_support=1, collapse_repeats=False)
    assert _rows(prepare_sessions(log, kept)) == [(1, 6, 1), (1, 5, 2), (1, 5, 3)]
    assert _rows(prepare_sessions(log, ANY)) == [(1, 6, 1), (1, 5, 2)]


def test_unwanted_events_count_for_pauses_only_if_asked_for():
    log = _log((7, 1, 0), (7, -1, 50), (7, 2, 100))
    of_wanted = Recipe(gap_seconds=60, min_length=1, min_support=1)
    of_all = Recipe(gap_seconds=60, gap_over_all_events=True, min_length=1, min_support=1)
    assert _rows(prepare_sessions(log, of_wanted)) == [(0, 1, 0), (1, 2, 100)]
    assert _rows(prepare_sessions(log, of_all)) == [(0, 1, 0), (0, 2, 100)]


def test_a_user_of_many_events_keeps_the_last_ones():
    log = _log((7, 1, 0), (7, -1, 2), (7, 2, 2), (7, 3, 1), (8, 4, 9))
    of_wanted = Recipe(max_user_events=2, min_length=1, min_support=1)
    seen = {}
    found = prepare_sessions(log, of_wanted, lambda rule, events: seen.setdefault(rule, _rows(events)))
    assert _rows(found) == [(7, 3, 1), (7, 2, 2), (8, 4, 9)]
    assert seen["cap"] == _rows(found)
    # Of all events, that of another kind at 2 goes before the wanted one at 2, so it is the last but one.
    of_all = Recipe(max_user_events=2, gap_seconds=60, gap_over_all_events=True, min_length=1, min_support=1)
    assert _rows(prepare_sessions(log, of_all)) == [(0, 2, 2), (1, 4, 9)]


def test_events_are_sorted_by_session_time_and_item_before_repeats_collapse():
    log = _log((2, 1, 9), (1, 2, 5), (1, 1, 5), (1, 2, 4), (2, 2, 8), (1, 1, 5))
    # Session 1 in order: 2 at 4, then 1, 1, 2 at 5.
    expected = [(1, 2, 4), (1, 1, 5), (1, 2, 5), (2, 2, 8), (2, 1, 9)]
    assert _rows(prepare_sessions(log, ANY)) == expected


def test_a_gap_in_seconds_is_exact_in_a_log_of_milliseconds():
    start = 1_400_000_000_001
    rows = [(7, 1, start), (7, 2, start + 3_600_000), (7, 3, start + 7_200_001)]
    log = _log(*rows, ticks_per_second=1_000)
    recipe = Recipe(gap_seconds=3_600, min_length=1, min_support=1)
    assert prepare_sessions(log, recipe).sessions.tolist() == [0, 0, 1]


def test_days_count_back_from_the_end_of_the_log_where_it_is_told():
    log = _events(*((day, 1, 1_000 * day * DAY) for day in range(5)))
    recipe = Recipe(min_length=1, min_support=1, test_days=1, log_end=5 * DAY)
    splits = divide_sessions(log, recipe, ticks_per_second=1_000)
    found = {name: part.sessions.tolist() for name, part in splits.items()}
    # The test starts with day 4, and the tuning test one day before: the last event does not matter.
    assert found == {"train": [0, 1, 2, 3], "test": [4], "train_tr": [0, 1, 2], "valid": [3]}


def test_an_empty_split_is_refused_where_it_cannot_be_used():
    log = _events((1, 1, 0), (2, 1, DAY))
    recipe = Recipe(min_length=1, min_support=1, test_from=2 * DAY)
    assert len(divide_sessions(log, recipe)["test"]) == 0
    with pytest.raises(ValueError, match="Each split must keep an event.*split='test'"):
        split_sessions(log, recipe)


def test_days_count_back_from_the_last_event():
    log = _events(*((day, 1, day * DAY) for day in range(5)), *((day, 2, day * DAY + 1) for day in range(5)))
    log = log.select(np.argsort(log.sessions, kind="stable"))
    splits = split_sessions(log, Recipe(min_length=1, min_support=1, test_days=1))
    found = {name: sorted(set(part.sessions.tolist())) for name, part in splits.items()}
    # The last event is 1 s into day 4, so the test starts 1 s into day 3 and train keeps the first event of
    # session 3; that is its own last one, at the start of day 3, so valid starts with day 2.
    assert found == {"train": [0, 1, 2, 3], "test": [4], "train_tr": [0, 1], "valid": [2, 3]}


def test_only_what_is_trained_on_is_augmented():
    part = _events((1, 5, 0), (1, 6, 10), (2, 7, 11))
    splits = augment_training(
        dict.fromkeys(["train", "test", "train_tr", "valid"], part), Recipe(dwell_seconds=5)
    )
    assert {name: len(found) for name, found in splits.items()} == {
        "train": 5,
        "test": 3,
        "train_tr": 5,
        "valid": 3,
    }
    assert _rows(splits["train"]) == [(1, 5, 0)] * 3 + [(1, 6, 10), (2, 7, 11)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_length": 0}, "min_length must be at least 1"),
        ({"max_user_events": 0}, "max_user_events must be at least 1"),
        ({"gap_seconds": 0}, "gap_seconds must be greater than 0"),
        ({"test_days": 1, "test_from": 5}, "At most one of.*test_days=1, test_from=5"),
        ({"log_end": 5}, "log_end needs test_days"),
        ({"test_fraction": 1.5}, "test_fraction must be greater than 0 and below 1"),
        ({"test_fraction": 1}, "test_fraction must be greater than 0 and below 1"),
        ({"gap_over_all_events": True}, "needs gap_seconds"),
        ({"dwell_seconds": -1}, "dwell_seconds must be greater than 0"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**settings)
