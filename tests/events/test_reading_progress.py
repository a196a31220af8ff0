"""Lines about a long load, by a clock of our own."""

import pytest

from tfrs_gru4rec.events.reading_progress import Progress


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO", logger="absl")
    return lambda: [record.getMessage() for record in caplog.records]


def test_lines_come_at_intervals_and_tell_count_and_rate(lines):
    clock = iter([100.0, 104.0, 110.0, 114.0, 125.0, 150.0])
    progress = Progress("a.tsv", clock=clock.__next__)
    for count in (40, 60, 20, 130):
        progress.add(count)
    progress.end()
    # 10 s after the start 100 events, 25 s after it 250: the next line is due at 120 s, 10 after the last.
    assert lines() == [
        "Reading a.tsv: 100 events, 10 events/s.",
        "Reading a.tsv: 250 events, 10 events/s.",
        "Read a.tsv: 250 events, 5 events/s.",
    ]


def test_what_took_no_time_has_no_rate(lines):
    progress = Progress("a.csv", "rows", clock=iter([5.0, 5.0, 5.05]).__next__)
    progress.add(7)
    progress.end()
    assert lines() == ["Read a.csv: 7 rows."]
