"""Splits by time, on cases small enough to work by hand."""

import numpy as np
import pytest

from tfrs_gru4rec.datasets import time_splits
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.order import start_of_last


def _log(**sessions):
    """Sessions by name as lists of times; item codes are the event's place in its session."""
    rows = [
        (number, place, time)
        for number, times in enumerate(sessions.values())
        for place, time in enumerate(times)
    ]
    sessions, items, times = zip(*rows, strict=True)
    return Events(np.array(sessions), np.array(items, np.int32), np.array(times))


def _sessions(events):
    return sorted(set(events.sessions.tolist()))


def test_a_session_that_straddles_the_split_is_cut():
    log = _log(before=[0, 1], straddles=[8, 9, 10, 11], at=[10, 12], after=[11, 13], stub=[9, 10])
    train, test = time_splits.split_by_start(log, 10)
    # The one at 10 is a test session; the straddling one keeps its two events before; the stub has one left.
    assert train.times.tolist() == [0, 1, 8, 9]
    assert _sessions(test) == [2, 3]


def test_by_end_a_straddling_session_goes_to_the_test_whole():
    log = _log(before=[0, 1, 2], ends_at=[8, 10], straddles=[8, 9, 11, 12], after=[11, 13])
    train, test = time_splits.split_by_end(log, 10)
    assert _sessions(train) == [0]
    # Items are 0, 1, 2 in training: the fourth event of the straddling session is not trained.
    assert test.times.tolist() == [8, 10, 8, 9, 11, 11, 13]


def test_by_end_test_sessions_left_with_one_trained_item_go():
    log = Events(np.array([1, 1, 2, 2]), np.array([5, 6, 5, 7], np.int32), np.array([0, 1, 20, 21]))
    train, test = time_splits.split_by_end(log, 10)
    assert _sessions(train) == [1]
    assert len(test) == 0


def test_tuning_splits_divide_the_training_set_by_its_own_last_event():
    log = _log(a=[0, 1], b=[50, 51], c=[60, 61], d=[88, 89], e=[95, 100])
    splits = time_splits.four_splits(log, lambda part: part.times.max() - 10)
    assert _sessions(splits["test"]) == [4]  # starts at 90 or later
    assert _sessions(splits["train"]) == [0, 1, 2, 3]
    assert _sessions(splits["valid"]) == [3]  # the last event of training is at 89: starts at 79 or later
    assert _sessions(splits["train_tr"]) == [0, 1, 2]


def test_the_tuning_split_may_have_a_time_of_its_own():
    log = _log(a=[0, 1], b=[80, 81], c=[90, 91], d=[99, 100])
    splits = time_splits.four_splits(log, lambda part: 90, lambda part: 80)
    assert [_sessions(splits[name]) for name in time_splits.SPLIT_NAMES] == [[0, 1], [2, 3], [0], [1]]


def test_a_log_of_less_than_a_period_leaves_nothing_to_train_on():
    log = _log(a=[0, 1], b=[5, 6])
    found = time_splits.four_splits(log, lambda part: part.times.max() - 10)
    assert {name: len(part) for name, part in found.items()} == {
        "train": 0, "test": 4, "train_tr": 0, "valid": 0
    }  # fmt: skip
    nothing = log.select(np.zeros(4, bool))
    found = time_splits.four_splits(nothing, lambda part: start_of_last(part.first_times, 0.5))
    assert {len(part) for part in found.values()} == {0}


@pytest.mark.parametrize(("n_sessions", "fraction", "n_test"), [(100, 0.07, 7), (31, 0.1, 4), (10, 0.25, 3)])
def test_a_fraction_of_the_sessions_by_start_is_rounded_up(n_sessions, fraction, n_test):
    log = _log(**{str(number): [10 * number, 10 * number + 1] for number in reversed(range(n_sessions))})
    _, test = time_splits.split_by_start(log, start_of_last(log.first_times, fraction))
    assert len(_sessions(test)) == n_test


def test_the_most_recent_sessions_are_those_that_start_last():
    log = _log(late=[9, 10], early=[0, 99], middle=[5, 6], also_late=[9, 11])
    assert _sessions(time_splits.most_recent(log, 0.25)) == [3]  # of equal starts the later in the table
    assert _sessions(time_splits.most_recent(log, 0.75)) == [0, 2, 3]
    assert _sessions(time_splits.most_recent(log, 1.0)) == [0, 1, 2, 3]
    assert _sessions(time_splits.most_recent(log, 0.01)) == [3]
