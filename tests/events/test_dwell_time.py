"""How often an event occurs by its dwell time, worked by hand."""

import numpy as np
import pytest

from tfrs_gru4rec.events.dwell_time import dwell_copies


def test_an_event_occurs_once_more_for_each_full_threshold_of_dwell_time():
    # Dwell times 59, 60, 181, none; 60, none: floor(dwell / 60) + 1 = 1, 2, 4, 1; 2, 1.
    copies = dwell_copies(np.array([0, 59, 119, 300, 0, 60]), np.array([0, 4, 6]), 60)
    assert copies.tolist() == [1, 2, 4, 1, 2, 1]
    assert copies.dtype == np.int64


def test_fractions_of_seconds_count():
    times, offsets = np.array([0.25, 10.2]), np.array([0, 2])
    assert dwell_copies(times, offsets, 9.96).tolist() == [1, 1]
    assert dwell_copies(times, offsets, 9.94).tolist() == [2, 1]


def test_a_dwell_time_of_the_threshold_counts_although_floats_fall_short():
    times = np.array([1_600_000_000, 1_600_000_010.1])
    assert times[1] - times[0] < 10.1  # 10.0999999
    assert dwell_copies(times, np.array([0, 2]), 10.1).tolist() == [2, 1]


def test_ticks_say_the_unit_of_the_times():
    times = np.array([1_400_000_000_000, 1_400_000_059_999, 1_400_000_119_999])
    assert dwell_copies(times, np.array([0, 3]), 60, ticks_per_second=1000).tolist() == [1, 2, 1]


def test_no_events_have_no_copies():
    assert dwell_copies(np.zeros(0), np.zeros(1, np.int64), 60).tolist() == []


@pytest.mark.parametrize(
    "arguments", [{"seconds": 0}, {"seconds": -1}, {"seconds": 1, "ticks_per_second": 0}]
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="must be greater than 0"):
        dwell_copies(np.array([0, 1]), np.array([0, 2]), **arguments)


def test_a_threshold_that_would_explode_the_log_is_refused():
    with pytest.raises(ValueError, match=r"2\*\*31 events.*seconds=1e-06.*repeated_to=5000000002"):
        dwell_copies(np.array([0, 5_000]), np.array([0, 2]), 1e-6)
