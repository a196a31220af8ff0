"""MovieLens ratings as sessions: a user's ratings in time order."""

import dataclasses

import numpy as np

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, SessionSplits, read_files, split_by_recipe
from tfrs_gru4rec.events.delimited import Layout
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.raw_files import RawFile

TEST_FRACTION = 0.1
CALENDAR_TRAIN_START = "1995-01-09"
CALENDAR_LENGTHS = (6, 100)
_CALENDAR_TRAIN_END = "2013-03-01"
_CALENDAR_VALID = ("2013-04-01", "2014-04-01")
_CALENDAR_TEST = ("2014-04-02", "2015-04-01")


@dataclasses.dataclass(frozen=True)
class Archive:
    """Where an archive of grouplens.org keeps its ratings, and how; rating a movie counts as having seen it."""

    file: str  # name of the ratings file inside the archive's folder
    layout: Layout = Layout()  # how the file is laid out
    # What its columns mean; times are in seconds since 1970 UTC.
    columns: Columns = Columns(session="userId", item="movieId", time="timestamp")


_CSV = Archive("ratings.csv")
ARCHIVES = {
    "100k": Archive("u.data", Layout("\t", ("userId", "movieId", "rating", "timestamp"))),
    # Its separator is "::", so every second field is empty.
    "1m": Archive("ratings.dat", Layout(":", ("userId", "1", "movieId", "2", "rating", "3", "timestamp"))),
    "20m": _CSV,
    "25m": _CSV,
    "32m": _CSV,
}


def calendar_splits(events: Events, train_start: str = CALENDAR_TRAIN_START) -> dict[str, Events]:
    """Cuts ratings by calendar windows, as the Keras port of GRU4Rec does with MovieLens 20M.

    In each window a user's ratings are one session if they are 6 to 100. Both days that bound a window belong
    to it, from midnight to midnight UTC. The windows leave nothing of `valid` in `train`, so `train_tr` equals `train`.
    The events are sorted by user, time, movie; sessions are users, times seconds since 1970 UTC.
    """
    train = _window(events, train_start, _CALENDAR_TRAIN_END)
    return {
        "train": train,
        "test": _window(events, *_CALENDAR_TEST),
        "train_tr": train,
        "valid": _window(events, *_CALENDAR_VALID),
    }


def _window(events: Events, first_day: str, last_day: str) -> Events:
    begin, end = np.array([first_day, last_day], "datetime64[D]") + np.array([0, 1])
    seconds = np.array([begin, end]).astype("datetime64[s]").astype(np.int64)
    inside = events.select((events.times >= seconds[0]) & (events.times < seconds[1]))
    shortest, longest = CALENDAR_LENGTHS
    return inside.select_sessions((inside.lengths >= shortest) & (inside.lengths <= longest))


def load_splits(
    file: RawFile, archive: str, gap_seconds: int | None = None, calendar_start: str | None = None
) -> SessionSplits:
    """Reads a ratings file of one of `ARCHIVES` and splits it; arguments as for `MovieLensSessionsConfig`."""
    log = read_files([file], ARCHIVES[archive].layout, ARCHIVES[archive].columns)
    if calendar_start is not None:
        return SessionSplits(calendar_splits(log.sorted_wanted(), calendar_start), log.item_ids)
    recipe = Recipe(gap_seconds=gap_seconds, test_fraction=TEST_FRACTION)
    return SessionSplits(split_by_recipe(log, recipe), log.item_ids)
