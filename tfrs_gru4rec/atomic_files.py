"""Files that appear whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file by way of a temporary sibling, so that a reader sees the old content or the new.

    Args:
      path: the file; its folder is made if need be.
      text: its content.

    Raises:
      OSError: the folder cannot be written to, or the disk is full; the old file, if any, is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes a value as indented JSON; errors as for `write_text`."""
    write_text(path, json.dumps(value, indent=2) + "\n")
