"""The daily logs of a folder: which there are, and a day's sessions in the rows of any model. Pure NumPy."""

import os
from pathlib import Path

import numpy as np

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.pipelines.session_log import SessionLog, log_of_events
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

_SUFFIXES = (".tsv", ".csv", ".txt", ".parquet")


def day_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Lists the logs of a folder by day, in the order of their names.

    A day is the file's name without .tsv, .csv, .txt or .parquet and without .gz, so 2024-05-01.tsv.gz is the day
    2024-05-01. Other files, and those whose name begins with a dot, are left alone: write a log under such a name and
    rename it when it is whole.

    Raises:
      ValueError: two files are of one day.
      FileNotFoundError: there is no such folder.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(
            f"There is no such folder of daily logs. Received: days_dir={os.fspath(folder)!r}."
        )
    days: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        name = file.name.removesuffix(".gz")
        suffix = next((each for each in _SUFFIXES if name.endswith(each)), None)
        if suffix is None or name.startswith(".") or not file.is_file():
            continue
        day = name.removesuffix(suffix)
        rule = "A day must have one log; give each day's file a name of its own."
        require(day not in days, rule, files=[days.get(day, file).name, file.name])
        days[day] = file
    return dict(sorted(days.items()))


def in_rows_of(log: SessionLog, vocabulary: Vocabulary) -> SessionLog:
    """Returns a log in the rows of a vocabulary; events of other items are dropped and counted.

    What is left may hold no pair at all.
    """
    sessions = np.repeat(np.arange(log.n_sessions, dtype=np.int32), log.lengths)
    return log_of_events(sessions, log.items, log.vocabulary.ids, log.times, vocabulary)
