"""Puts events in order: sessions contiguous and by their first event's time, events by time within them."""

from __future__ import annotations

import numpy as np

_RADIX_BITS = 16


def session_order(sessions: np.ndarray, times: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Finds the order of events that the pipeline works in.

    Events of a session go by time, equal times as in the input. Sessions go by the time of their first event,
    equal ones by which appears first in the input.

    Args:
      sessions: int32 [n_events], session codes; codes without an event are allowed.
      times: [n_events] numbers.

    Returns:
      order int64 [n_events], such that events[order] is sorted, or None if they are sorted already; and
      offsets int64 [n_sessions + 1] of the sorted sessions.
    """
    n_events = len(sessions)
    order = _group(sessions)
    grouped = sessions if order is None else sessions[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if n_events else np.zeros(0, np.int64)
    offsets = np.r_[starts, n_events].astype(np.int64)
    # Stable grouping keeps input order inside a session, so its first event here appeared first in the input.
    appearance = starts if order is None else order[starts]
    order = _sort_within(order, times, offsets)
    first_times = times[starts] if order is None else times[order[starts]]
    visit = np.lexsort((appearance, first_times))
    if (visit[1:] > visit[:-1]).all():
        return order, offsets
    moved = _gather_blocks(offsets, visit)
    lengths = np.diff(offsets)[visit]
    return (moved if order is None else order[moved]), np.r_[0, np.cumsum(lengths)].astype(np.int64)


def _group(sessions: np.ndarray) -> np.ndarray | None:
    """A stable order that makes equal codes adjacent, or None if they are."""
    changes = 1 + np.count_nonzero(sessions[1:] != sessions[:-1])
    if not len(sessions) or changes == np.count_nonzero(np.bincount(sessions)):
        return None
    # Two stable passes over 16-bit digits are radix sorts: linear time.
    order = np.argsort((sessions & 0xFFFF).astype(np.uint16), kind="stable")
    if sessions.max() >> _RADIX_BITS:
        high = (sessions >> _RADIX_BITS).astype(np.uint16)[order]
        order = order[np.argsort(high, kind="stable")]
    return order


def _sort_within(order: np.ndarray | None, times: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
    """Sorts by time, stably, the sessions that are not; logs mostly come in time order, so they are few."""
    grouped = times if order is None else times[order]
    falls = np.flatnonzero(grouped[1:] < grouped[:-1]) + 1
    sessions_of_falls = np.searchsorted(offsets, falls, side="right") - 1
    unsorted = np.unique(sessions_of_falls[offsets[sessions_of_falls] != falls])
    if not len(unsorted):
        return order
    at = _gather_blocks(offsets, unsorted)
    session_of = np.repeat(unsorted, np.diff(offsets)[unsorted])
    order = np.arange(len(times)) if order is None else order
    order[at] = order[at[np.lexsort((grouped[at], session_of))]]
    return order


def _gather_blocks(offsets: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Indices of all events of the given blocks, block after block."""
    lengths = np.diff(offsets)[blocks]
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) + np.repeat(offsets[blocks] - (ends - lengths), lengths)
