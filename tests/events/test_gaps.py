"""Sessions from pauses, worked by hand and against plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.gaps import cut_at_gaps
from tfrs_gru4rec.events.raw_log import RawLog


def test_a_pause_longer_than_the_gap_cuts_and_one_as_long_does_not():
    events = Events(np.array([7, 7, 7, 8, 8]), np.arange(5, dtype=np.int32), np.array([0, 10, 21, 22, 32]))
    assert cut_at_gaps(events, gap=10).sessions.tolist() == [0, 0, 1, 2, 2]


def test_events_of_other_kinds_bridge_a_gap_before_they_are_dropped():
    events = Events(np.array([7, 7, 7]), np.array([3, 1, -1], np.int32), np.array([18, 0, 9]))
    views = RawLog(events, np.arange(4)).cut_at_gaps(10, over_all_events=True)  # at 9 the visitor was there
    assert views.sessions.tolist() == [0, 0]
    assert views.items.tolist() == [1, 3]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=30), st.integers(1, 12))
def test_sessions_are_those_of_a_walk_through_the_events(rows, gap):
    rows = sorted(rows)
    expected, number = [], -1
    for place, (owner, at) in enumerate(rows):
        number += place == 0 or owner != rows[place - 1][0] or at - rows[place - 1][1] > gap
        expected.append(number)
    owners, times = (np.array([row[place] for row in rows], np.int64) for place in (0, 1))
    cut = cut_at_gaps(Events(owners, np.zeros(len(rows), np.int32), times), gap)
    assert cut.sessions.tolist() == expected
    assert cut.sessions.dtype == np.int32
