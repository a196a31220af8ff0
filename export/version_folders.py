"""What stands in an export folder, said once for those who publish versions and those who serve them.

A version is a folder named by its number. Everything else is passed over: files, and the hidden folders in
which versions are written. Who writes or serves a folder holds it: the system lets it go when the process ends,
however it ends, so a folder that nobody holds is nobody's. Importing this module loads neither TensorFlow nor NumPy.
"""

import contextlib
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePath

# The rule that TF Serving has for numbers: they fit an int64, which all numbers of 18 digits do.
MAX_VERSION = 10**18 - 1
# Requests that a server runs on a new version before it takes traffic: a TFRecord file of PredictionLogs. The
# name and the number of records are TF Serving's.
WARM_UP_FILE = PurePath("assets.extra", "tf_serving_warmup_requests")
MAX_WARM_UP_RECORDS = 1000


def version_folders(export_dir: str | os.PathLike[str]) -> dict[int, Path]:
    """Finds the versions in an export folder, smallest number first.

    Raises:
      OSError: the folder is not there or cannot be read.

    >>> import tempfile
    >>> export_dir = Path(tempfile.mkdtemp())
    >>> for name in ("2", "10", "notes", ".3.tmp"):
    ...     (export_dir / name).mkdir()
    >>> list(version_folders(export_dir))
    [2, 10]
    """
    names = (path for path in Path(export_dir).iterdir() if re.fullmatch("[0-9]{1,18}", path.name))
    return {int(path.name): path for path in sorted(names, key=lambda path: int(path.name)) if path.is_dir()}


def hidden_folder(export_dir: str | os.PathLike[str]) -> Path:
    """Returns a new path in an export folder, whose name no server takes for a version."""
    return Path(export_dir) / f".{uuid.uuid4().hex}.tmp"


@contextlib.contextmanager
def held(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keeps a folder from `remove_unless_held`, in any process of this machine, under whatever name it gets.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with held(folder):
    ...     remove_unless_held(folder)
    False
    >>> remove_unless_held(folder), os.path.exists(folder)
    (True, False)
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def remove_unless_held(folder: str | os.PathLike[str]) -> bool:
    """Removes a folder at once and whole, unless somebody holds it; returns whether it did."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # No server sees half of it: first its name goes.
        hidden = hidden_folder(Path(folder).parent)
        os.rename(folder, hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def sweep(
    export_dir: str | os.PathLike[str], keep_versions: int | None, older_than_seconds: float = 60.0
) -> None:
    """Removes what nobody holds: hidden folders of processes that ended half-way, and old versions.

    Args:
      export_dir: folder of the versions.
      keep_versions: how many of the largest versions stay in any case; None: all.
      older_than_seconds: age of hidden folders, as a new one is not held from its very first moment.
    """
    for hidden in Path(export_dir).glob(".*.tmp"):
        with contextlib.suppress(OSError):
            is_ours = re.fullmatch(r"\.[0-9a-f]{32}\.tmp", hidden.name) and hidden.is_dir()
            if is_ours and hidden.stat().st_mtime < time.time() - older_than_seconds:
                remove_unless_held(hidden)
    if keep_versions is not None:
        for path in list(version_folders(export_dir).values())[:-keep_versions]:
            with contextlib.suppress(OSError):
                remove_unless_held(path)
