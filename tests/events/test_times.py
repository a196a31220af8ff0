"""Times in a unit; what files and frames may hold is tested in test_log_files.py."""

import numpy as np
import pyarrow as pa
import pytest

from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.times import event_times, in_seconds, read_time


def column(values):
    return LogColumn(pa.chunked_array([values]), {"column": "Time"})


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([1_500, 2_000], "ms", [1.5, 2.0]),
        ([1_000, 2_000], "ms", [1, 2]),
        (["1000", "2000"], "ms", [1, 2]),
        ([1_000.0, 2_500.0], "ms", [1.0, 2.5]),
        ([5.0, 6.0], "s", [5, 6]),
        ([5.0, 6.0], None, [5.0, 6.0]),
        ([1_600_000_000_000_000_001], "ns", [1_600_000_000.000000001]),
        (["1970-01-01T00:00:05Z"], "ms", [5]),  # the unit is that of numbers, and dates are none
    ],
)
def test_numbers_become_seconds_whole_if_all_are(values, unit, expected):
    times = event_times(column(values), unit)
    assert times.tolist() == expected
    assert times.dtype == type(expected[0])


def test_milliseconds_as_seconds_are_the_nearest_floats():
    ticks = 1_400_000_000_000 + np.random.default_rng(0).integers(0, 10**9, 1000)
    assert np.array_equal(in_seconds(ticks, 1_000), ticks / 1_000)


def test_times_beyond_the_year_5000_ask_for_their_unit():
    with pytest.raises(ValueError, match=r"say in which unit.*column='Time', largest=.*1600000000000"):
        event_times(column([1_600_000_000_000]), "s")
    assert event_times(column([1_600_000_000_000])).tolist() == [1_600_000_000_000]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1500", 1.5), ("-1e3", -1.0), ("1970-01-02T00:00:01+01:00", 82_801.0)]
)
def test_one_time_is_a_number_in_its_unit_or_a_date(text, seconds):
    assert read_time(text, "ms") == seconds


@pytest.mark.parametrize("text", ["soon", "", "nan"])
def test_other_texts_are_no_time(text):
    with pytest.raises(ValueError, match="Times must be.*flag='--test_from'"):
        read_time(text, "s")
