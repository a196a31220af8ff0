"""Training and test sets by time, never at random: a test on the past would leak the future."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfrs_gru4rec.datasets.preparation import drop_short_sessions
from tfrs_gru4rec.events.events import Events, engine_rule
from tfrs_gru4rec.events.order import start_of_last, visiting_order

SplitTime = Callable[[Any], float]
Divider = Callable[[Any, float], tuple[Any, Any]]

SPLIT_NAMES = ("train", "test", "train_tr", "valid")


@engine_rule
def split_by_start(events: Events, split_time: float, min_length: int = 2) -> tuple[Events, Events]:
    """Splits events, sorted by session and time, as the published sets but RSC15 do.

    Returns:
      The training events: all before `split_time`, so that a session that straddles it is cut, less the sessions that
      this leaves with fewer than `min_length`. The test events: the sessions that start at `split_time` or later.

    >>> events = Events(np.array([1, 1, 1, 2, 2]), np.zeros(5, np.int32), np.array([0, 1, 9, 9, 10]))
    >>> train, test = split_by_start(events, 5)
    >>> train.times.tolist(), test.times.tolist()
    ([0, 1], [9, 10])
    """
    train = events.select(events.times < split_time)
    return drop_short_sessions(train, min_length), events.select_sessions(events.first_times >= split_time)


def split_by_end(events: Events, split_time: float, min_length: int = 2) -> tuple[Events, Events]:
    """Splits events, sorted by session and time, as RSC15 does.

    Returns:
      The training events: the sessions that end before `split_time`, whole. The test events: those of the other
      sessions whose item is trained, less the sessions that this leaves with fewer than `min_length`.
    """
    is_test = events.last_times >= split_time
    train = events.select_sessions(~is_test)
    test = events.select_sessions(is_test)
    return train, drop_short_sessions(test.select(np.isin(test.items, train.items)), min_length)


@engine_rule
def last_time(events: Events) -> float:
    """Returns the time of the last event."""
    return events.times.max()


@engine_rule
def start_quantile(events: Events, share: float) -> float:
    """Returns the time from which on the last share of the sessions, rounded up, start; see `start_of_last`."""
    return start_of_last(events.first_times, share)


def four_splits(
    events: Events, split_at: SplitTime, tuning_at: SplitTime | None = None, divide: Divider = split_by_start
) -> dict[str, Events]:
    """Splits off a test set, and splits the training set once more for tuning.

    Args:
      events: sorted by session, then time.
      split_at: gives the time at which events are divided in (train, test); it is not asked about none.
      tuning_at: gives the time at which the training events are divided in (train_tr, valid); None asks
        `split_at` about them.
      divide: `split_by_start` or `split_by_end`.

    Returns:
      The events of `train` (train_full in the literature), `test`, `train_tr` and `valid`.

    >>> events = Events(np.repeat(np.arange(4), 2), np.zeros(8, np.int32), np.arange(8))
    >>> splits = four_splits(events, lambda part: part.times.max() - 1)
    >>> {name: part.times.tolist() for name, part in splits.items()}
    {'train': [0, 1, 2, 3, 4, 5], 'test': [6, 7], 'train_tr': [0, 1, 2, 3], 'valid': [4, 5]}
    """
    train, test = divide(events, split_at(events)) if len(events) else (events, events)
    train_tr, valid = divide(train, (tuning_at or split_at)(train)) if len(train) else (train, train)
    return {"train": train, "test": test, "train_tr": train_tr, "valid": valid}


def most_recent(events: Events, fraction: float) -> Events:
    """Keeps the most recent share of the sessions, rounded down but one at least, by start.

    Of equal starts those later in the table are kept.

    >>> events = Events(np.arange(4), np.zeros(4, np.int32), np.array([30, 10, 40, 20]))
    >>> most_recent(events, 1 / 2).times.tolist()
    [30, 40]
    """
    if fraction == 1:
        return events
    order = visiting_order(events.first_times)
    is_kept = np.zeros(len(order), bool)
    is_kept[order[-max(int(len(order) * fraction), 1) :]] = True
    return events.select_sessions(is_kept)
