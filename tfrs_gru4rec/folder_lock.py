"""One process at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrs_gru4rec.atomic_files import make_folder

_LOCK_FILE = ".lock"


@contextmanager
def lock_folder(path: str | os.PathLike[str], wait: bool = False) -> Iterator[None]:
    """Keeps other processes, and other blocks of this one, out of a folder for the length of a `with` block.

    The operating system holds the lock and lets it go when the process ends, however it ends: a lock is never left
    behind. It holds among processes of one machine; on a network drive it may not. The folder is made if need be; its
    file .lock stays and means nothing by itself.

    Args:
      path: the folder.
      wait: whether to wait for a folder that is locked, which is for blocks that take no time.

    Raises:
      BlockingIOError: another process is at work in the folder, and there is no waiting.
      NotADirectoryError: there is a file of this name.
      OSError: the folder cannot be written to.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with lock_folder(folder):
    ...     try:
    ...         with lock_folder(folder):
    ...             print("never")
    ...     except BlockingIOError:
    ...         print("locked")
    locked
    """
    folder = Path(path)
    try:
        make_folder(folder)
    except FileExistsError as error:
        raise NotADirectoryError(
            f"This is a file and not a folder. Received: {os.fspath(folder)!r}."
        ) from error
    with (folder / _LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise BlockingIOError(
                f"Another process is at work in {folder}; wait until it has ended."
            ) from error
        yield
