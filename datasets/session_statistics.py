"""What a set of sessions looks like in numbers."""

import dataclasses

import numpy as np
import pandas as pd

from tfrs_gru4rec.events.events import Events, engine_rule

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


@engine_rule
def describe(events: Events, ticks_per_second: float = 1) -> SessionStatistics:
    """Counts events, sorted by session and time, whose times are so many ticks a second; all is zero if there are none.

    >>> events = Events(np.array([1, 1, 2]), np.array([0, 1, 0], np.int32), np.array([0, 43_200, 86_400]))
    >>> describe(events).to_line("train")
    'train: 3 events, 2 sessions, 2 items, 1.0 days; 1.50 events a session, at most 2.'
    """
    if not len(events):
        return SessionStatistics(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0)
    n_items = int(np.count_nonzero(np.bincount(events.items)))
    span = float(events.times.max() - events.times.min()) / ticks_per_second
    return describe_lengths(np.bincount(events.lengths), n_items, span)


def describe_lengths(n_sessions: np.ndarray, n_items: int, seconds: float) -> SessionStatistics:
    """Makes the numbers from how many sessions there are of each length.

    Args:
      n_sessions: int64 [max_length + 1], sessions by their number of events.
      n_items: number of distinct items.
      seconds: time from the first to the last event.

    >>> describe_lengths(np.array([0, 1, 1]), 2, 86_400.0).mean_length
    1.5
    """
    at_most = np.cumsum(n_sessions)
    events, sessions = int(n_sessions @ np.arange(len(n_sessions))), int(at_most[-1])

    def quantile(share: float) -> float:
        place = (sessions - 1) * share
        around = np.searchsorted(at_most, [int(place), min(int(place) + 1, sessions - 1)], side="right")
        return float(np.quantile(around, place - int(place)))

    return SessionStatistics(
        events=events,
        sessions=sessions,
        items=n_items,
        days=seconds / _SECONDS_PER_DAY,
        mean_length=events / sessions,
        median_length=quantile(0.5),
        p90_length=quantile(0.9),
        max_length=len(n_sessions) - 1,
    )


def format_table(statistics: dict[str, SessionStatistics]) -> str:
    """Lays statistics out as a table, a row for each set."""
    frame = pd.DataFrame([dataclasses.asdict(row) for row in statistics.values()], index=list(statistics))
    frame.columns = [name.replace("_", " ") for name in frame.columns]
    return frame.to_string(
        float_format=lambda value: f"{value:,.2f}", formatters=dict.fromkeys(frame.columns[:3], "{:,}".format)
    )
