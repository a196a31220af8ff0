"""Statistics of sessions, against numbers counted by hand."""

import numpy as np

from tfrs_gru4rec.datasets.session_statistics import describe, format_table
from tfrs_gru4rec.events.events import Events

EVENTS = Events(
    np.array([1, 1, 1, 2, 2, 3]),
    np.array([4, 4, 0, 1, 0, 0], np.int32),
    np.array([0, 1, 2, 0, 43_200_000, 172_800_000]),
)


def test_counts_days_and_lengths():
    found = describe(EVENTS, ticks_per_second=1_000)
    assert (found.events, found.sessions, found.items, found.pairs) == (6, 3, 3, 3)
    assert found.days == 2.0
    assert (found.mean_length, found.median_length, found.max_length) == (2.0, 2.0, 3)
    assert found.p90_length == 2.8  # between the lengths 2 and 3, four fifths of the way


def test_no_events_give_zeros():
    nothing = EVENTS.select(np.zeros(6, bool))
    assert describe(nothing).events == 0
    assert describe(nothing).days == 0


def test_the_table_has_a_row_for_each_set():
    table = format_table({"train": describe(EVENTS, 1_000), "test": describe(EVENTS, 1_000)})
    header, train, test = table.splitlines()
    assert header.split()[:4] == ["events", "sessions", "items", "days"]
    assert train.split()[:5] == ["train", "6", "3", "3", "2.00"]
    assert test.split()[0] == "test"
