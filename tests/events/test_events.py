"""Columns of events in order."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.datasets.events import Events, encode, reorder_codes, sort_events


def test_offsets_say_where_sessions_begin():
    events = Events(np.array([4, 4, 2, 9, 9, 9]), np.zeros(6, np.int32), np.arange(6))
    assert events.offsets.tolist() == [0, 2, 3, 6]


@pytest.mark.parametrize("by_item", [True, False])
def test_sorting_equals_that_of_pandas(by_item):
    rng = np.random.default_rng(0)
    events = Events(*(rng.integers(0, 9, 500).astype(np.int32) for _ in range(3)))
    frame = pd.DataFrame({"s": events.sessions, "t": events.times, "i": events.items, "row": range(500)})
    keys = ["s", "t", "i"] if by_item else ["s", "t"]
    expected = frame.sort_values(keys, kind="stable")
    result = sort_events(events, by_item)
    assert result.sessions.tolist() == expected.s.tolist()
    assert result.times.tolist() == expected.t.tolist()
    assert result.items.tolist() == expected.i.tolist()


def test_sorted_events_are_not_copied():
    events = Events(np.array([1, 1, 2]), np.array([3, 2, 1], np.int32), np.array([0, 0, 0]))
    assert sort_events(events, by_item=False) is events
    assert sort_events(events) is not events


@pytest.mark.parametrize("values", [[30, 10, 30, 20], ["c", "a", "c", "b"]])
def test_codes_sort_as_the_values_do(values):
    array = np.array(values, dtype=object if isinstance(values[0], str) else np.int64)
    codes, distinct = encode(array)
    assert codes.dtype == np.int32
    assert codes.tolist() == [2, 0, 2, 1]
    assert distinct[codes].tolist() == values


def test_codes_of_values_in_any_order_are_renumbered():
    codes, distinct = reorder_codes(np.array([0, 1, 2, 0]), np.array([7, 9, 8]))
    assert distinct.tolist() == [7, 8, 9]
    assert codes.tolist() == [0, 2, 1, 0]
