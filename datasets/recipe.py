"""The preparation rules as settings: for the published sets and for a log of one's own."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

import numpy as np

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.datasets import preparation, time_splits
from tfrs_gru4rec.events.dwell_time import dwell_copies
from tfrs_gru4rec.events.events import Events, engine_rule
from tfrs_gru4rec.settings import Range, Settings

SplitTimes = tuple[time_splits.SplitTime | None, time_splits.SplitTime | None]

_SECONDS_PER_DAY = 86_400
_ONE_SPLIT_RULE = "At most one of test_days, test_fraction and test_from may be given."
_EMPTY_RULE = "Each split must keep an event: choose another test period or ask less of sessions and items."


@dataclasses.dataclass(frozen=True)
class Recipe(Settings):
    """What to do with a log; times in seconds.

    Attributes:
      max_user_events: keep only the last so many events of each user, or session as given; None keeps all.
      gap_seconds: a longer pause starts a new session; None keeps sessions as given.
      gap_over_all_events: whether events that are dropped for their kind count for pauses.
      collapse_repeats: whether immediate repeats of an item become one event.
      min_length: least number of events of a session.
      min_support: least number of events of an item.
      test_days: test sessions start within so many days of the last event, or of `log_end`.
      test_fraction: so large a share of the sessions, by start, is the test.
      test_from: test sessions start at this time or later.
      log_end: the time from which `test_days` count back; None for the last event of what is split.
      tuning_splits: whether to split the training set once more, into `train_tr` and `valid`.
      dwell_seconds: threshold of the dwell-time augmentation of `train` and `train_tr`; None for none.

    >>> Recipe(gap_seconds=3600, test_days=1).min_support
    5
    >>> Recipe(test_days=0)
    Traceback (most recent call last):
    ValueError: test_days must be greater than 0. Received: test_days=0.
    """

    max_user_events: Annotated[int | None, Range(at_least=1)] = None
    gap_seconds: Annotated[float | None, Range(above=0)] = None
    gap_over_all_events: bool = False
    collapse_repeats: bool = True
    min_length: Annotated[int, Range(at_least=1)] = 2
    min_support: Annotated[int, Range(at_least=1)] = 5
    test_days: Annotated[float | None, Range(above=0)] = None
    test_fraction: Annotated[float | None, Range(above=0, below=1)] = None
    test_from: float | None = None
    log_end: float | None = None
    tuning_splits: bool = True
    dwell_seconds: Annotated[float | None, Range(above=0)] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        ways = {name: getattr(self, name) for name in ("test_days", "test_fraction", "test_from")}
        given = {name: value for name, value in ways.items() if value is not None}
        require(len(given) <= 1, _ONE_SPLIT_RULE, **given)
        rule = "log_end needs test_days, which count back from it."
        require(self.log_end is None or self.test_days is not None, rule, log_end=self.log_end)
        rule = "gap_over_all_events needs gap_seconds."
        require(not self.gap_over_all_events or self.gap_seconds is not None, rule, gap_seconds=None)


class Log(Protocol):
    """A raw log: a `RawLog`, or one on Spark."""

    @property
    def ticks_per_second(self) -> int:
        """Unit of the times."""

    def sorted_wanted(self) -> Any:
        """The wanted events by session, then time, then item."""

    def capped(self, max_events: int, over_all_events: bool = False) -> "Log":
        """The last events of each session or user."""

    def cut_at_gaps(self, gap: float, over_all_events: bool = False) -> Any:
        """The wanted events, in sessions without longer pauses."""


def prepare_sessions(
    log: Log, recipe: Recipe, observe: preparation.Observer = lambda rule, events: None
) -> Events:
    """Applies the rules up to the splits to a log, whose events may be in any order.

    After each rule that applies, `observe` is called with its name ("cap", "gaps", "repeats", "length", "support") and
    the events left.

    Returns:
      The events left, sorted by session, time, item. With a gap, sessions are numbered anew.

    >>> from tfrs_gru4rec.events.raw_log import RawLog
    >>> views = Events(np.array([1, 1, 1]), np.array([0, 0, 1], np.int32), np.array([5, 6, 7]))
    >>> log = RawLog(views, item_ids=np.array([214, 305]))
    >>> prepare_sessions(log, Recipe(min_support=1)).times.tolist()  # the repeat is gone
    [5, 7]
    """
    gap = None if recipe.gap_seconds is None else recipe.gap_seconds * log.ticks_per_second
    if recipe.max_user_events is not None:
        log = log.capped(recipe.max_user_events, recipe.gap_over_all_events)
        observe("cap", log.sorted_wanted())
    if gap is None:
        events = log.sorted_wanted()
    else:
        events = log.cut_at_gaps(gap, recipe.gap_over_all_events)
        observe("gaps", events)
    if recipe.collapse_repeats:
        events = preparation.collapse_repeats(events)
        observe("repeats", events)
    return preparation.filter_until_stable(events, recipe.min_length, recipe.min_support, observe)


def divide_sessions(events: Events, recipe: Recipe, ticks_per_second: int = 1) -> dict[str, Events]:
    """Splits events, as `prepare_sessions` returns them, whose times are so many ticks a second.

    The splits are `train`, and `test`, `train_tr` and `valid` if the recipe asks for them; one may come out empty.
    """
    split_at, tuning_at = _split_times(events, recipe, ticks_per_second)
    if split_at is None:
        return {"train": events}
    divide = functools.partial(time_splits.split_by_start, min_length=recipe.min_length)
    splits = time_splits.four_splits(events, split_at, tuning_at, divide)
    names = time_splits.SPLIT_NAMES if recipe.tuning_splits else ("train", "test")
    return {name: splits[name] for name in names}


def _split_times(events: Events, recipe: Recipe, ticks_per_second: int) -> SplitTimes:
    """What gives the start of the test period, and that of the tuning period if another rule does."""
    if recipe.test_fraction is not None:
        share = recipe.test_fraction
        return lambda part: time_splits.start_quantile(part, share), None
    if recipe.test_from is not None:
        start = recipe.test_from * ticks_per_second
        period = max(time_splits.last_time(events), start) - start if len(events) else 0
    elif recipe.test_days is not None:
        period = recipe.test_days * _SECONDS_PER_DAY * ticks_per_second
        if recipe.log_end is None:
            return lambda part: time_splits.last_time(part) - period, None
        start = recipe.log_end * ticks_per_second - period
    else:
        return None, None
    return lambda part: start, lambda part: start - period


def split_sessions(events: Events, recipe: Recipe, ticks_per_second: int = 1) -> dict[str, Events]:
    """Splits prepared events as `divide_sessions` does, into splits that can be used.

    Raises:
      ValueError: a split would be empty.
    """
    require(len(events) > 0, _EMPTY_RULE, events=0)
    splits = divide_sessions(events, recipe, ticks_per_second)
    for name, part in splits.items():
        require(len(part) > 0, _EMPTY_RULE, split=name)
    return splits


def augment_training(
    splits: Mapping[str, Events], recipe: Recipe, ticks_per_second: int = 1
) -> dict[str, Events]:
    """Augments the splits that are trained on by dwell time, if the recipe says so; tests ask for each next item once.

    All copies of an event carry its time, so they stay in order.
    """
    augmented = dict(splits)
    if recipe.dwell_seconds:
        for name in {"train", "train_tr"} & splits.keys():
            augmented[name] = repeat_by_dwell(splits[name], recipe.dwell_seconds, ticks_per_second)
    return augmented


@engine_rule
def repeat_by_dwell(events: Events, seconds: float, ticks_per_second: int) -> Events:
    """Repeats events in place as `dwell_copies` says."""
    copies = dwell_copies(events.times, events.offsets, seconds, ticks_per_second)
    return events.select(np.repeat(np.arange(len(events)), copies))
