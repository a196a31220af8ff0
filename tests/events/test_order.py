"""The order of events, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.order import session_order, sort_events, sort_order

from oracle import session_log as oracle

# Few distinct values, so that ties abound; codes beyond 16 bits, and numbers that are no codes at all.
CODES = st.sampled_from([0, 1, 2, 3, 5, 65_535, 65_536, 70_000, 2**31 - 1])
NUMBERS = st.sampled_from([-(2**63), -(2**31), -7, -1, 0, 1, 2**16, 2**32, 2**48 + 1, 2**63 - 1])
TIMES = st.integers(0, 6)


def as_columns(rows, *kinds):
    return [np.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(CODES, TIMES), max_size=40))
def test_sessions_are_whole_in_time_order_and_visited_by_their_start(rows):
    sessions, times = as_columns(rows, np.int32, np.int64)
    order, offsets = session_order(sessions, times)
    places = np.arange(len(rows)) if order is None else order
    # The item of an event is its place in the input.
    expected = oracle.sessions_in_order([(session, place, at) for place, (session, at) in enumerate(rows)])
    found = [places[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    assert found == [[place for place, _ in session] for session in expected]
    assert offsets[0] == 0
    assert offsets[-1] == len(rows)
    assert offsets.dtype == np.int64
    is_in_order = places.tolist() == list(range(len(rows)))
    assert (order is None) == is_in_order, "events in order need no moving, others do"


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(NUMBERS, TIMES, TIMES), max_size=40), st.booleans())
def test_events_are_sorted_by_session_time_item_and_place(rows, by_item):
    sessions, times, items = as_columns(rows, np.int64, np.float64, np.int32)
    events = Events(sessions, items, times)
    keys = [(session, at, item) if by_item else (session, at) for session, at, item in rows]
    expected = sorted(range(len(rows)), key=keys.__getitem__)  # stable
    found = sort_events(events, by_item)
    for name in ("sessions", "items", "times"):
        assert getattr(found, name).tolist() == getattr(events, name)[expected].tolist()
    assert (found is events) == (expected == list(range(len(rows))))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), TIMES), max_size=40))
def test_numbers_of_32_bits_are_sorted_too(rows):
    order = sort_order(*as_columns(rows, np.int32, np.int64))
    expected = sorted(range(len(rows)), key=rows.__getitem__)
    assert (list(range(len(rows))) if order is None else order.tolist()) == expected


@pytest.mark.parametrize("by_item", [True, False])
def test_many_events(by_item):
    generator = np.random.default_rng(0)
    events = Events(*(generator.integers(0, 900, 5000).astype(np.int32) for _ in range(3)))
    found = sort_events(events, by_item)
    keys = [events.sessions, events.times] + ([events.items] if by_item else [])
    expected = events.select(np.lexsort(keys[::-1]))
    for name in ("sessions", "items", "times"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_contiguous_sessions_in_order_need_no_moving_whatever_their_codes():
    order, offsets = session_order(np.array([7, 7, 0, 3, 3], np.int32), np.array([1, 2, 2, 2, 9]))
    assert order is None
    assert offsets.tolist() == [0, 2, 3, 5]
