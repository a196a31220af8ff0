"""Files and folders that appear whole or not at all, and stay after a power cut."""

import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary sibling of a file to write to, and puts it in the file's place at the end of the block.

    A reader sees the old content or the new, never a part, and so it is after a power cut: the content reaches the
    disk before the new name does. If the block raises, the old file stays as it was. The folder is made if need be.

    Raises:
      OSError: the folder cannot be written to, or the disk is full; the old file, if any, is as it was.

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
    make_folder(path.parent)
    with temporary_path(path.parent, path.name) as temporary:
        yield temporary
        flush_to_disk(temporary)
        os.replace(temporary, path)
    flush_to_disk(path.parent)


@contextmanager
def temporary_path(folder: str | os.PathLike[str], name: str = "") -> Iterator[Path]:
    """Gives a path that nothing has yet, for a file or folder on its way to `name`; what is left of it is removed.

    What processes that were killed left under such paths of this name is removed first. The operating system's
    lock on the folder tells them from those of living processes: all who write hold it together, and one who holds it
    alone may remove. Where a file system knows no such lock, nothing is removed.

    The path is `.<name>.<32 hexadecimal digits>.tmp` in a folder that must be there.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> left = folder / f".shop.{'0' * 32}.tmp"
    >>> left.mkdir()
    >>> with temporary_path(folder, "shop") as temporary:
    ...     temporary.parent == folder, temporary.exists(), left.exists()
    (True, False, False)
    """
    prefix = f".{name}." if name else "."
    path = Path(folder) / f"{prefix}{uuid.uuid4().hex}.tmp"
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # others write here, or the file system has no locks
            _sweep(descriptor, Path(folder), re.compile(re.escape(prefix) + r"[0-9a-f]{32}\.tmp"))
        yield path
    finally:
        _remove(path)
        os.close(descriptor)


def _sweep(descriptor: int, folder: Path, pattern: re.Pattern[str]) -> None:
    """Removes what has no living owner, and holds the folder together with others from then on."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.iterdir():
            if pattern.fullmatch(left.name):
                _remove(left)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def move_files(aside: Path, folder: Path, names: Sequence[str]) -> None:
    """Moves files that are on the disk into place, the last one when the others are there to stay.

    They replace files of their names in the folder, which is on the same file system.

    Raises:
      OSError: a file cannot be moved; those before it have been.

    >>> import tempfile
    >>> aside, folder = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> write_text(aside / "greeting.txt", "hello")
    >>> move_files(aside, folder, ["greeting.txt"])
    >>> (folder / "greeting.txt").read_text()
    'hello'
    """
    for name in names:
        if name == names[-1]:
            flush_to_disk(folder)
        os.replace(aside / name, folder / name)
    flush_to_disk(folder)


def remove_folder(path: str | os.PathLike[str]) -> None:
    """Removes a folder so that it is there whole or not at all; one that is not there is left alone.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> remove_folder(folder), folder.exists()
    (None, False)
    """
    path = Path(path)
    if path.is_dir():
        with temporary_path(path.parent, path.name) as gone:
            os.rename(path, gone)
            flush_to_disk(path.parent)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Makes a folder and those above it, whose names are on the disk afterwards.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "a" / "b"
    >>> make_folder(folder)
    >>> folder.is_dir()
    True
    """
    path = Path(path)
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in missing:
        flush_to_disk(each.parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8; whole or not at all, with the errors of `replacing`.

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

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.json"
    >>> write_json(path, [1, 2])
    >>> json.loads(path.read_text())
    [1, 2]
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def flush_to_disk(path: str | os.PathLike[str]) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk; raises OSError if the disk fails.

    >>> import tempfile
    >>> flush_to_disk(tempfile.mkdtemp())
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree_to_disk(folder: str | os.PathLike[str]) -> None:
    """Waits until a folder and all that is in it are on the disk, as `flush_to_disk` does.

    >>> import tempfile
    >>> flush_tree_to_disk(tempfile.mkdtemp())
    """
    for root, _, files in os.walk(folder):
        for name in files:
            flush_to_disk(os.path.join(root, name))
        flush_to_disk(root)
