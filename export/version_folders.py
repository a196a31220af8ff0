"""What stands in an export folder, said once for those who publish versions and those who serve them.

A version is a folder named by its number. Everything else is passed over: files, and the hidden folders in
which versions are written. Who writes or serves a folder holds it: the system lets it go when the process ends,
however it ends, so a folder that nobody holds is nobody's. Importing this module loads neither TensorFlow nor NumPy.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from tfrs_gru4rec.atomic_files import remove_folder
from tfrs_gru4rec.checks import require

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


def require_inside(folder: Path) -> None:
    """Raises ValueError if a version folder, or anything in it, is a link to elsewhere."""
    place = folder.parent.resolve() / folder.name
    leaving = [path for path in (folder, *folder.rglob("*")) if not path.resolve().is_relative_to(place)]
    names = [path.relative_to(folder.parent).as_posix() for path in leaving]
    require(not leaving, "A version must hold its files itself, without links to elsewhere.", links=names)


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
        remove_folder(folder)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def remove_old_versions(export_dir: str | os.PathLike[str], keep_versions: int | None) -> None:
    """Removes old versions that nobody holds; so many of the largest stay in any case, all if None."""
    if keep_versions is not None:
        for path in list(version_folders(export_dir).values())[:-keep_versions]:
            with contextlib.suppress(OSError):
                remove_unless_held(path)
