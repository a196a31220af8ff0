"""TFDS builder of MovieLens ratings as sessions."""

import contextlib
import dataclasses
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from tfrs_gru4rec.datasets.movielens_sessions import movielens_sessions_parsing as parsing
from tfrs_gru4rec.datasets.session_builder import SessionBuilder
from tfrs_gru4rec.datasets.source import SessionSplits
from tfrs_gru4rec.events.raw_files import RawFile, find_raw_file

_URL = "https://files.grouplens.org/datasets/movielens/ml-{archive}.zip"


@dataclasses.dataclass(kw_only=True)
class MovieLensSessionsConfig(tfds.core.BuilderConfig):
    """Which ratings, and what makes a session.

    Attributes:
      archive: 100k, 1m, 20m, 25m or 32m.
      gap_seconds: a longer pause between two ratings starts a new session; None: a user is one session.
      calendar_start: first day of training, like 1995-01-09, for the calendar split of the Keras port, which
        has no gaps; None: the test set is the last tenth of the sessions.
    """

    archive: str = "100k"
    gap_seconds: int | None = None
    calendar_start: str | None = None


def _plain_config(archive: str) -> MovieLensSessionsConfig:
    description = f"MovieLens {archive}: all ratings of a user are one session; test on the last tenth."
    return MovieLensSessionsConfig(name=archive, description=description, archive=archive)


def _calendar_config(name: str, start: str) -> MovieLensSessionsConfig:
    description = f"MovieLens 20m in calendar windows, training from {start}; 6 to 100 ratings a session."
    return MovieLensSessionsConfig(name=name, description=description, archive="20m", calendar_start=start)


class Builder(SessionBuilder):
    """MovieLens ratings, a user's in time order being a session: a demonstration, not evidence."""

    HOMEPAGE = "https://grouplens.org/datasets/movielens/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Nothing to do with internet access. Without it, put the archive (ml-100k.zip) or its ratings file "
        "into manual_dir: ml-100k/u.data, ml-1m/ratings.dat, ml-20m/ratings.csv, ml-25m/ratings.csv or "
        "ml-32m/ratings.csv, with or without the folder. See https://grouplens.org/datasets/movielens/."
    )
    TIME_DTYPE = np.int64
    BUILDER_CONFIGS = [
        *(_plain_config(archive) for archive in parsing.ARCHIVES),
        _calendar_config("20m_calendar", parsing.CALENDAR_TRAIN_START),
        _calendar_config("20m_calendar_2008", "2008-01-01"),
    ]

    def _load_splits(self, dl_manager: tfds.download.DownloadManager) -> SessionSplits:
        config = self.builder_config
        file = self._ratings_file(dl_manager, config.archive)
        return parsing.load_splits(file, config.archive, config.gap_seconds, config.calendar_start)

    def _ratings_file(self, dl_manager: tfds.download.DownloadManager, archive: str) -> RawFile:
        bare = parsing.ARCHIVES[archive].file
        inside = f"ml-{archive}/{bare}"
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # TFDS's way to say that the folder is missing or empty
            folder = None
        if folder is not None:
            for name, archives in ((inside, [f"ml-{archive}.zip"]), (bare, [])):
                with contextlib.suppress(FileNotFoundError):
                    return find_raw_file(folder, name, archives)
        url = _URL.format(archive=archive)
        try:
            return RawFile(pathlib.Path(dl_manager.download(url)), inside)
        except (OSError, tfds.download.DownloadError) as error:
            places = f"ml-{archive}.zip, {inside} or {bare} in manual_dir ({folder or 'missing or empty'})"
            raise FileNotFoundError(f"{url} cannot be fetched ({error}) and there is no {places}.") from error
