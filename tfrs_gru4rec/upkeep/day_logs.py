"""The daily logs of a folder, by day."""

import os
from pathlib import Path

from tfrs_gru4rec.checks import require

_SUFFIXES = (".tsv", ".csv", ".txt", ".parquet")


def day_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Lists the logs of a folder by day, in the order of their names.

    A day is the file's name without .tsv, .csv, .txt or .parquet and without .gz, so 2024-05-01.tsv.gz is the day
    2024-05-01. Other files, and those whose name begins with a dot, are left alone: write a log under such a name and
    rename it when it is whole.

    Raises:
      ValueError: two files are of one day.
      FileNotFoundError: there is no such folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("2024-05-02.csv", "2024-05-01.tsv.gz", "notes.md"):
    ...     (folder / name).touch()
    >>> list(day_files(folder))
    ['2024-05-01', '2024-05-02']
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(
            f"There is no such folder of daily logs. Received: days_dir={os.fspath(folder)!r}."
        )
    days: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        name = file.name[:-3] if file.name.lower().endswith(".gz") else file.name
        suffix = next((each for each in _SUFFIXES if name.lower().endswith(each)), None)
        if suffix is None or name.startswith(".") or not file.is_file():
            continue
        day = name[: -len(suffix)]
        rule = "A day must have one log; give each day's file a name of its own."
        require(day not in days, rule, files=[days.get(day, file).name, file.name])
        days[day] = file
    return dict(sorted(days.items()))
