"""Events as three columns, a row an event: what the rules of preparation work on."""

import dataclasses
import functools
from typing import Any

import numpy as np

from tfrs_gru4rec.events.offsets import offsets_of_runs

MAX_INT32 = np.iinfo(np.int32).max

# Marks a rule over `Events` that may have a form for events of another kind, such as Spark's. Typed loosely: mypy wants
# all forms of a function of `functools.singledispatch` to take and return what the first one does.
engine_rule: Any = functools.singledispatch


@dataclasses.dataclass(frozen=True, eq=False)
class Events:
    """Events as columns; whatever speaks of their sessions wants the events of a session side by side.

    >>> events = Events(np.array([4, 4, 9]), np.array([0, 1, 0], np.int32), np.array([50, 60, 55]))
    >>> events.offsets.tolist(), events.first_times.tolist()
    ([0, 2, 3], [50, 55])
    >>> events.select_sessions(events.lengths > 1).items.tolist()
    [0, 1]
    """

    sessions: np.ndarray  # integer [n_events], session (or user) of each event
    items: np.ndarray  # int32 [n_events], item codes, 0 to n_items - 1
    times: np.ndarray  # [n_events] numbers, any unit

    def __len__(self) -> int:
        return len(self.items)

    def select(self, which: np.ndarray) -> "Events":
        """Returns the events that a mask or an index array names."""
        return Events(self.sessions[which], self.items[which], self.times[which])

    def select_sessions(self, is_kept: np.ndarray) -> "Events":
        """Returns the events of some sessions, bool [n_sessions]; the same object if all are kept."""
        return self if is_kept.all() else self.select(np.repeat(is_kept, self.lengths))

    @property
    def offsets(self) -> np.ndarray:
        """Where sessions begin, int64 [n_sessions + 1]: session s is events offsets[s] to offsets[s + 1]."""
        return offsets_of_runs(self.sessions)

    @property
    def lengths(self) -> np.ndarray:
        """Events of each session, int64 [n_sessions]."""
        return np.diff(self.offsets)

    @property
    def first_times(self) -> np.ndarray:
        """Time of the first event of each session, [n_sessions]; events in time order within sessions."""
        return self.times[self.offsets[:-1]]

    @property
    def last_times(self) -> np.ndarray:
        """Time of the last event of each session, [n_sessions]; events in time order within sessions."""
        return self.times[self.offsets[1:] - 1]
