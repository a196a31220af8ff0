"""Dwell-time augmentation, worked by hand."""

import numpy as np
import pytest

from tfrs_gru4rec.datasets.dwell_time import repeat_by_dwell
from tfrs_gru4rec.datasets.events import Events


def test_an_event_occurs_once_more_for_each_full_threshold_of_dwell_time():
    events = Events(
        np.array([1, 1, 1, 1, 2, 2]),
        np.array([7, 8, 9, 7, 5, 6], np.int32),
        np.array([0, 59, 119, 300, 0, 60]),
    )
    # Dwell times 59, 60, 181, none; 60, none: floor(dwell / 60) + 1 = 1, 2, 4, 1; 2, 1.
    result = repeat_by_dwell(events, 60)
    assert result.items.tolist() == [7, 8, 8, 9, 9, 9, 9, 7, 5, 5, 6]
    assert result.times.tolist() == [0, 59, 59, 119, 119, 119, 119, 300, 0, 0, 60]
    assert result.sessions.tolist() == [1] * 8 + [2] * 3


def test_fractions_of_seconds_count():
    events = Events(np.array([1, 1]), np.array([3, 4], np.int32), np.array([0.25, 10.2]))
    assert repeat_by_dwell(events, 9.96).items.tolist() == [3, 4]
    assert repeat_by_dwell(events, 9.94).items.tolist() == [3, 3, 4]


def test_a_dwell_time_of_the_threshold_counts_although_floats_fall_short():
    events = Events(np.array([1, 1]), np.array([3, 4], np.int32), np.array([1_600_000_000, 1_600_000_010.1]))
    assert events.times[1] - events.times[0] < 10.1  # 10.0999999
    assert repeat_by_dwell(events, 10.1).items.tolist() == [3, 3, 4]


@pytest.mark.parametrize("seconds", [0, -1])
def test_the_threshold_must_be_positive(seconds):
    events = Events(np.array([1, 1]), np.array([3, 4], np.int32), np.array([0, 1]))
    with pytest.raises(ValueError, match="seconds must be greater than 0"):
        repeat_by_dwell(events, seconds)


def test_a_threshold_that_would_explode_the_log_is_refused():
    events = Events(np.array([1, 1]), np.array([3, 4], np.int32), np.array([0, 5_000]))
    with pytest.raises(ValueError, match=r"beyond 2\*\*31.*repeats_to=5000000002"):
        repeat_by_dwell(events, 1e-6)
