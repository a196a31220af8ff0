"""Files that appear whole or not at all."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary sibling of a file to write to, and puts it in the file's place at the end of the block.

    A reader sees the old content or the new, never a part, and so it is after a power cut: the content reaches the
    disk before the new name does. If the block raises, the old file stays as it was.

    Args:
      path: the file; its folder is made if need be.

    Yields:
      The path of the temporary file, which the block must write.

    Raises:
      OSError: the folder cannot be written to, or the disk is full; the old file, if any, is as it was.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "greeting.txt"
      >>> with replacing(path) as temporary:
      ...     _ = temporary.write_text("hello")
      ...     path.exists()
      False
      >>> path.read_text(), [each.name for each in path.parent.iterdir()]
      ('hello', ['greeting.txt'])
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_to_disk(path.parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8; whole or not at all, with the errors of `replacing`.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "new" / "greeting.txt"
      >>> write_text(path, "hello")
      >>> path.read_text()
      'hello'
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes a value as indented JSON; whole or not at all, with the errors of `replacing`.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "numbers.json"
      >>> write_json(path, [1, 2])
      >>> json.loads(path.read_text())
      [1, 2]
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def _flush_to_disk(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
