"""Events as columns."""

import numpy as np

from tfrs_gru4rec.events.events import Events

EVENTS = Events(np.array([4, 4, 2, 9, 9, 9]), np.arange(6, dtype=np.int32), np.array([5, 7, 1, 2, 2, 8]))


def test_sessions_begin_where_the_number_changes():
    assert EVENTS.offsets.tolist() == [0, 2, 3, 6]
    assert EVENTS.lengths.tolist() == [2, 1, 3]
    assert EVENTS.first_times.tolist() == [5, 1, 2]
    assert EVENTS.last_times.tolist() == [7, 1, 8]


def test_sessions_are_selected_whole():
    assert EVENTS.select_sessions(np.array([True, False, True])).items.tolist() == [0, 1, 3, 4, 5]
    assert EVENTS.select_sessions(np.ones(3, bool)) is EVENTS
    nothing = EVENTS.select_sessions(np.zeros(3, bool))
    assert len(nothing) == 0
    assert nothing.offsets.tolist() == [0]
