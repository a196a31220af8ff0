"""Puts events in order: by session and time, and sessions by their first event's time."""

import math
from typing import Any

import numpy as np

from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.offsets import offsets_of_lengths, offsets_of_runs, positions

_DIGIT_BITS = 16


def sort_order(sessions: np.ndarray, *keys: np.ndarray) -> np.ndarray | None:
    """Finds the order of events by session, then by each key in turn, such as times, and at last as they stand.

    Sessions and keys are numbers [n_events]; so is the order, such that events[order] is sorted, or None if they are
    sorted already.

    >>> sort_order(np.array([5, 2, 5]), np.array([8, 1, 7])).tolist()
    [1, 2, 0]
    """
    order = None if (sessions[1:] >= sessions[:-1]).all() else _stable_order(sessions)
    grouped_keys = [_take(key, order) for key in keys]
    offsets = offsets_of_runs(_take(sessions, order))
    # Logs mostly come in time order, so few sessions are left to sort.
    falls = np.flatnonzero(_falls(grouped_keys)) + 1
    session_of_fall = np.searchsorted(offsets, falls, side="right") - 1
    unsorted = np.unique(session_of_fall[offsets[session_of_fall] != falls])
    if not len(unsorted):
        return order
    lengths = np.diff(offsets)[unsorted]
    at = positions(offsets[unsorted], lengths)
    moved = at[np.lexsort([*(key[at] for key in reversed(grouped_keys)), np.repeat(unsorted, lengths)])]
    order = np.arange(len(sessions)) if order is None else order
    order[at] = order[moved]
    return order


def _stable_order(values: np.ndarray) -> np.ndarray:
    """The stable order of integers; passes over digits of 16 bits are radix sorts: linear time."""
    unsigned = np.uint32 if values.dtype.itemsize <= np.dtype(np.uint32).itemsize else np.uint64
    # Counted from the least value, modulo 2**32 or 2**64: none is below 0, and small numbers have few digits.
    digits = values.astype(unsigned) - values.min().astype(unsigned)
    order = np.argsort(digits.astype(np.uint16), kind="stable")
    for shift in range(_DIGIT_BITS, int(digits.max()).bit_length(), _DIGIT_BITS):
        digit = (digits >> unsigned(shift)).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def _falls(keys: list[np.ndarray]) -> np.ndarray:
    """Which rows but the first lie before the row above in the lexicographic order of the keys, [n - 1]."""
    n_pairs = max(len(keys[0]) - 1, 0)
    falls, tied = np.zeros(n_pairs, bool), np.ones(n_pairs, bool)
    for key in keys:
        falls |= tied & (key[1:] < key[:-1])
        tied &= key[1:] == key[:-1]
    return falls


def _take(values: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    return values if order is None else values[order]


def sort_events(events: Events, by_item: bool = True) -> Events:
    """Sorts events by session, then time, then item; without `by_item` equal times stay in the given order.

    Events that are sorted already are returned themselves.

    >>> events = Events(np.array([2, 1, 1]), np.array([3, 5, 4], np.int32), np.array([7, 9, 9]))
    >>> sort_events(events).items.tolist(), sort_events(events, by_item=False).items.tolist()
    ([4, 5, 3], [5, 4, 3])
    """
    order = sort_order(events.sessions, events.times, *([events.items] if by_item else []))
    return events if order is None else events.select(order)


def visiting_order(first_times: np.ndarray, appearance: np.ndarray | None = None) -> np.ndarray:
    """Finds the order int64 [n_sessions] in which sessions are visited: by their first event's time.

    Between equal times `appearance`, integer [n_sessions], decides, or else the order they stand in.

    >>> visiting_order(np.array([30, 10, 30, 20])).tolist()
    [1, 3, 0, 2]
    """
    if appearance is None:
        return np.argsort(first_times, kind="stable")
    return np.lexsort((appearance, first_times))


def start_of_last(first_times: np.ndarray, share: float) -> Any:
    """Finds the time from which on the last share of the sessions, above 0 and below 1, start, in any order.

    That is the start of the session that is `ceil(share * n_sessions)` from the end, by start.

    >>> int(start_of_last(np.array([10, 50, 30, 20, 40]), 0.3))
    40
    """
    position = len(first_times) - count_of_last(len(first_times), share)
    return np.partition(first_times, position)[position]


def count_of_last(n_sessions: int, share: float) -> int:
    """Returns how many sessions the last share of them is, rounded up.

    >>> count_of_last(100, 0.07)
    7
    """
    return math.ceil(share * n_sessions - 1e-9)  # 0.07 * 100 is above 7 in floating point


def session_order(sessions: np.ndarray, times: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Finds the order of events of sessions [n_events] at times [n_events] that training works in.

    Events of a session go by time, equal times as in the input. Sessions go by the time of their first event,
    equal ones by which appears first in the input.

    Returns:
      order int64 [n_events], such that events[order] is sorted, or None if they are sorted already; and
      offsets int64 [n_sessions + 1] of the sorted sessions.

    >>> order, offsets = session_order(np.array([4, 9, 4, 9]), np.array([30, 10, 20, 40]))
    >>> order.tolist(), offsets.tolist()
    ([1, 3, 2, 0], [0, 2, 4])
    """
    order = sort_order(sessions, times)
    offsets = offsets_of_runs(_take(sessions, order))
    starts, lengths = offsets[:-1], np.diff(offsets)
    appearance = starts if order is None or not len(starts) else np.minimum.reduceat(order, starts)
    visit = visiting_order(_take(times, order)[starts], appearance)
    if not _rises(visit):
        moved = positions(starts[visit], lengths[visit])
        order = moved if order is None else order[moved]
        offsets = offsets_of_lengths(lengths[visit])
    return (None if order is None or _rises(order) else order), offsets


def _rises(values: np.ndarray) -> bool:
    return bool((values[1:] > values[:-1]).all())
