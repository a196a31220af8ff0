"""From long pauses to sessions."""

import numpy as np

from tfrs_gru4rec.events.events import Events


def cut_at_gaps(events: Events, gap: float) -> Events:
    """Starts a new session wherever an owner pauses for longer than `gap`; sessions are numbered anew, from 0.

    Events are sorted by owner (the user, or a session that may be cut further), then time, in whose unit the gap is.

    >>> events = Events(np.array([7, 7, 7, 8]), np.zeros(4, np.int32), np.array([0, 10, 21, 22]))
    >>> cut_at_gaps(events, gap=10).sessions.tolist()
    [0, 0, 1, 2]
    """
    is_start = np.ones(len(events), bool)
    is_start[1:] = events.sessions[1:] != events.sessions[:-1]
    is_start[1:] |= np.diff(events.times) > gap
    return Events(np.cumsum(is_start, dtype=np.int32) - np.int32(1), events.items, events.times)
