"""What a set of sessions looks like in numbers."""

import dataclasses

import numpy as np
import pandas as pd

from tfrs_gru4rec.events.events import Events

_SECONDS_PER_DAY = 86_400


@dataclasses.dataclass(frozen=True)
class SessionStatistics:
    """Size and shape of a set of sessions."""

    events: int  # number of events
    sessions: int  # number of sessions
    items: int  # number of distinct items
    days: float  # time from the first to the last event, in days
    mean_length: float  # mean number of events of a session
    median_length: float  # median of it
    p90_length: float  # its 90th percentile
    max_length: int  # the longest session

    @property
    def pairs(self) -> int:
        """Number of training pairs, (item now, item next) within a session."""
        return self.events - self.sessions

    def to_line(self, title: str) -> str:
        """Says the numbers in one line."""
        return (
            f"{title}: {self.events:,} events, {self.sessions:,} sessions, {self.items:,} items, "
            f"{self.days:.1f} days; {self.mean_length:.2f} events a session, at most {self.max_length:,}."
        )


def describe(events: Events, ticks_per_second: float = 1) -> SessionStatistics:
    """Counts events, sorted by session and time, whose times are so many ticks a second; all is zero if there are none.

    >>> events = Events(np.array([1, 1, 2]), np.array([0, 1, 0], np.int32), np.array([0, 43_200, 86_400]))
    >>> describe(events).to_line("train")
    'train: 3 events, 2 sessions, 2 items, 1.0 days; 1.50 events a session, at most 2.'
    """
    if not len(events):
        return SessionStatistics(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0)
    lengths = events.lengths
    ticks = float(events.times.max() - events.times.min())
    return SessionStatistics(
        events=len(events),
        sessions=len(lengths),
        items=int(np.count_nonzero(np.bincount(events.items))),
        days=ticks / ticks_per_second / _SECONDS_PER_DAY,
        mean_length=float(lengths.mean()),
        median_length=float(np.median(lengths)),
        p90_length=float(np.percentile(lengths, 90)),
        max_length=int(lengths.max()),
    )


def format_table(statistics: dict[str, SessionStatistics]) -> str:
    """Lays statistics out as a table, a row for each set."""
    frame = pd.DataFrame([dataclasses.asdict(row) for row in statistics.values()], index=list(statistics))
    frame.columns = [name.replace("_", " ") for name in frame.columns]
    return frame.to_string(
        float_format=lambda value: f"{value:,.2f}", formatters=dict.fromkeys(frame.columns[:3], "{:,}".format)
    )
