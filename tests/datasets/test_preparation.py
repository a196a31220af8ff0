"""The preparation rules, one by one, on cases small enough to work by hand."""

import numpy as np

from tfrs_gru4rec.datasets import preparation
from tfrs_gru4rec.events.events import Events


def _events(*rows):
    sessions, items, times = zip(*rows, strict=True)
    return Events(np.array(sessions), np.array(items, np.int32), np.array(times))


def _items(events):
    return [events.items[a:b].tolist() for a, b in zip(events.offsets[:-1], events.offsets[1:], strict=True)]


def test_only_immediate_repeats_within_a_session_collapse():
    events = _events((1, 5, 0), (1, 5, 1), (1, 5, 2), (1, 6, 3), (1, 5, 4), (2, 5, 5))
    left = preparation.collapse_repeats(events)
    assert _items(left) == [[5, 6, 5], [5]]
    assert left.times.tolist() == [0, 3, 4, 5]


def test_short_sessions_are_dropped():
    events = _events((1, 5, 0), (2, 5, 0), (2, 6, 1), (3, 5, 0), (3, 6, 1), (3, 7, 2))
    assert _items(preparation.drop_short_sessions(events, 2)) == [[5, 6], [5, 6, 7]]
    assert _items(preparation.drop_short_sessions(events, 1)) == [[5], [5, 6], [5, 6, 7]]


def test_items_below_the_support_are_dropped_and_those_at_it_stay():
    events = _events((1, 5, 0), (1, 6, 1), (2, 5, 0), (2, 6, 1), (2, 7, 2), (3, 5, 0))
    assert _items(preparation.drop_rare_items(events, 2)) == [[5, 6], [5, 6], [5]]
    assert _items(preparation.drop_rare_items(events, 3)) == [[5], [5], [5]]


def test_one_pass_of_the_filters_is_not_enough():
    # Support 2. Item 3 occurs once: session 2 shrinks to one event and goes; then item 2 occurs once: session
    # 1 goes with it.
    events = _events((1, 1, 0), (1, 2, 1), (2, 2, 0), (2, 3, 1), (3, 1, 0), (3, 1, 1))
    assert _items(preparation.filter_until_stable(events, 2, 2)) == [[1, 1]]


def test_filters_may_leave_nothing():
    events = _events((1, 1, 0), (1, 2, 1))
    left = preparation.filter_until_stable(events, 2, 5)
    assert len(left) == 0
    assert left.offsets.tolist() == [0]
