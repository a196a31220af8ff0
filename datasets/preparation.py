"""The rules that choose events: collapse repeats, drop what is too short or too rare.

Pure functions over `Events`; each returns a subset of the events it is given. With `events/gaps.py` they are
the published preprocessing of the session data sets, shared by every builder and by `gru4rec-prepare`. A rule that
looks at columns is an `engine_rule`: `spark_engine.py` registers its form for Spark.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfrs_gru4rec.events.events import Events, engine_rule

Observer = Callable[[str, Any], None]  # the events are `Events`, or Spark's


@engine_rule
def collapse_repeats(events: Events) -> Events:
    """Keeps the first of immediate repeats of an item within a session: i, i, j, i becomes i, j, i.

    >>> events = Events(np.ones(4), np.array([5, 5, 6, 5], np.int32), np.arange(4))
    >>> collapse_repeats(events).items.tolist()
    [5, 6, 5]
    """
    keep = np.ones(len(events), bool)
    keep[1:] = events.sessions[1:] != events.sessions[:-1]
    keep[1:] |= events.items[1:] != events.items[:-1]
    return events.select(keep)


@engine_rule
def drop_short_sessions(events: Events, min_length: int) -> Events:
    """Drops sessions of fewer than `min_length` events."""
    return events.select_sessions(events.lengths >= min_length)


@engine_rule
def drop_rare_items(events: Events, min_support: int) -> Events:
    """Drops items with fewer than `min_support` events."""
    is_frequent = (np.bincount(events.items) >= min_support)[events.items]
    return events if is_frequent.all() else events.select(is_frequent)


def filter_until_stable(
    events: Events, min_length: int = 2, min_support: int = 5, observe: Observer | None = None
) -> Events:
    """Drops short sessions and rare items in turn until neither rule finds any.

    Dropping an item may leave a session short, dropping a session may make an item rare, so one pass is not enough.

    Args:
      events: sorted by session.
      min_length: least number of events of a session.
      min_support: least number of events of an item.
      observe: called with "length" and "support" and the events left when each rule was applied once; the rounds
        after that remove what the rules leave to each other.

    >>> events = Events(np.array([1, 1, 2, 2]), np.array([5, 6, 6, 7], np.int32), np.arange(4))
    >>> len(filter_until_stable(events, min_length=2, min_support=2))  # 5 and 7 go, then both sessions
    0
    """
    before = -1
    while before != len(events):
        is_first, before = before < 0, len(events)
        events = drop_short_sessions(events, min_length)
        if observe and is_first:
            observe("length", events)
        events = drop_rare_items(events, min_support)
        if observe and is_first:
            observe("support", events)
    return events
