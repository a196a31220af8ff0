"""What stands in an export folder, said once for those who publish versions and those who serve them.

A version is a folder named by its number. Everything else is passed over: files, and the hidden folders in
which versions are written. Importing this module loads neither TensorFlow nor NumPy.
"""

import os
import re
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
