"""The ledger of a day loop: which days are done and what came of them. It alone says where to go on."""

import json
import os
from pathlib import Path
from typing import Any

from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.checks import require

FORMAT = 1
_REMEDY = "Put it back from a backup, or begin in another --work_dir."


class Ledger:
    """A JSON file with one entry for each day that is done, oldest first; replaced whole by each new entry.

    Attributes:
      path: the file.
      days: the entries: `day`, its name, and `version`, None if none was exported, among others. A day that was not
        trained on has `held_back`, the reason.

    >>> import tempfile
    >>> ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.json")
    >>> ledger.append({"day": "monday", "version": 1})
    >>> ledger.append({"day": "tuesday", "version": None})
    >>> Ledger(ledger.path).names, ledger.serving["day"]
    (['monday', 'tuesday'], 'monday')
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads the ledger; a file that is not there yet is an empty one.

        Raises:
          ValueError: the file is no ledger of this format.
        """
        self.path = Path(path)
        self.days: list[dict[str, Any]] = []
        if self.path.exists():
            self.days = _read(self.path)

    def append(self, entry: dict[str, Any]) -> None:
        """Enters a day, which is done from then on.

        Raises:
          ValueError: the ledger has that day.
          OSError: the file cannot be written; it is as it was.
        """
        require(entry["day"] not in self.names, "A day is done once.", day=entry["day"])
        days = [*self.days, entry]
        write_json(self.path, {"format": FORMAT, "days": days})
        self.days = days

    @property
    def names(self) -> list[str]:
        """The names of the days that are done, oldest first."""
        return [day["day"] for day in self.days]

    @property
    def trained(self) -> list[dict[str, Any]]:
        """The entries of the days that were trained on, oldest first."""
        return [day for day in self.days if "held_back" not in day]

    @property
    def serving(self) -> dict[str, Any] | None:
        """The entry of the version exported last, None if there is none."""
        return next((day for day in reversed(self.days) if day["version"] is not None), None)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        is_ledger = content["format"] == FORMAT
        days = list(content["days"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no readable ledger: {error}. {_REMEDY}") from error
    rule = f"A ledger must have format {FORMAT}. {_REMEDY}"
    require(is_ledger, rule, path=os.fspath(path), format=content["format"])
    return days
