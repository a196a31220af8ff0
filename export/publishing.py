"""Version folders that appear whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from tfrs_gru4rec.atomic_files import flush_to_disk, flush_tree_to_disk, make_folder, temporary_path
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.contract import read_contract, require_contract_kept
from tfrs_gru4rec.export.version_folders import MAX_VERSION, held, remove_old_versions, version_folders


def versions(export_dir: str | os.PathLike[str]) -> list[int]:
    """Returns the published versions, smallest number first; none if there is no such folder.

    >>> versions("no/such/folder")
    []
    """
    return list(version_folders(export_dir)) if os.path.isdir(export_dir) else []


def publish(
    export_dir: str | os.PathLike[str],
    version: int | None,
    write: Callable[[Path], None],
    keep_versions: int | None = None,
) -> Path:
    """Writes a new version by way of a hidden sibling folder, which servers do not look at; returns its folder.

    Such folders that killed exports left are removed.

    Args:
      export_dir: local folder of the versions; made if need be.
      version: number of the new version, the largest so far plus 1 if None.
      write: fills the folder it is given, and raises unless its content is fit to be seen.
      keep_versions: how many of the largest versions stay; older ones are removed, but for those that an embedded
        server of this machine serves. None: all stay.

    Raises:
      ValueError: the version is out of range or exists already, no version is to be kept, or the new one would break
        what clients of the newest version rely on (see `contract.Contract`).
      OSError: the folder cannot be written, or the disk is full. Nothing is left behind.

    >>> import tempfile
    >>> folder = publish(tempfile.mkdtemp(), None, lambda hidden: None)
    >>> folder.name
    '1'
    """
    export_path = Path(export_dir)
    require(
        version is None or 0 < version <= MAX_VERSION,
        f"A version must be 1 or more, and at most {MAX_VERSION}.",
        version=version,
    )
    require(
        keep_versions is None or keep_versions > 0, "keep_versions must be 1 or more.", received=keep_versions
    )
    if version is not None:
        _require_new(export_path / str(version))
    make_folder(export_path)
    with temporary_path(export_path) as hidden:
        # Not by tempfile, whose folders are closed to the user that a server runs as.
        hidden.mkdir()
        with held(hidden):
            write(hidden)
            contract = read_contract(hidden)
            if contract is not None:
                require_contract_kept(export_path, contract)
            flush_tree_to_disk(hidden)
            published = _appear(hidden, export_path, version)
            remove_old_versions(export_path, keep_versions)
            return published


def _require_new(path: Path) -> None:
    rule = "A version is never overwritten: give another, or none for the next one."
    require(not os.path.lexists(path), rule, version=path.name, export_dir=os.fspath(path.parent))


def _appear(hidden: Path, export_path: Path, version: int | None) -> Path:
    while True:
        target = export_path / str(version or max(versions(export_path), default=0) + 1)
        if version is not None:
            _require_new(target)
        try:
            # Fails if another export has put a version there meanwhile.
            os.rename(hidden, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            continue
        flush_to_disk(export_path)
        return target
