"""Finds the raw files of a data set, plain, gzipped or inside their archive, and opens them as streams."""

import contextlib
import dataclasses
import importlib.util
import lzma
import os
import pathlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
from absl import logging

_TRUNCATED_RULE = (
    "The file ends in the middle of a line, so it seems truncated: fetch it again, or append a line end if "
    "its last line is whole."
)


@dataclasses.dataclass(frozen=True)
class RawFile:
    """A text file on disk or inside an archive.

    >>> str(RawFile(pathlib.Path("archive.zip"), "data/clicks.csv"))
    'archive.zip:data/clicks.csv'
    """

    path: pathlib.Path  # the file, perhaps gzipped, or the archive that holds it
    member: str | None = None  # its name inside the archive; None if it is a file of its own

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}:{self.member}"

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes] | Any]:
        """Opens the uncompressed content as a binary stream that `pyarrow.csv` reads.

        Raises:
          ValueError: the file is cut off, or its archive is damaged.
        """
        try:
            with _open(self) as stream:
                yield stream
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            rule = "The file is truncated or damaged: fetch it again."
            raise ValueError(f"{rule} Received: file={str(self)!r}, error={str(error)!r}.") from error


@contextlib.contextmanager
def _open(file: RawFile) -> Iterator[Any]:
    if file.member is None:
        if file.path.suffix != ".gz":
            _require_whole_lines(file.path)
        with pa.input_stream(str(file.path)) as stream:  # the suffix says whether to decompress
            yield stream
    elif file.path.suffix == ".7z":
        # Its blocks are compressed together, so a member cannot be streamed: unpack this one to disk.
        with tempfile.TemporaryDirectory(prefix="raw_files_") as folder:
            logging.info("Unpacking %s into %s.", file, folder)
            _unpack_7z(file, folder)
            with pa.input_stream(str(pathlib.Path(folder) / file.member)) as stream:
                yield stream
    else:
        with zipfile.ZipFile(file.path) as archive, archive.open(file.member) as member:
            yield member


def _require_whole_lines(path: pathlib.Path) -> None:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            raise ValueError(f"The file is empty: fetch it again. Received: file={str(path)!r}.")
        file.seek(-1, os.SEEK_END)
        if file.read(1) not in b"\r\n":
            raise ValueError(f"{_TRUNCATED_RULE} Received: file={str(path)!r}.")


def _unpack_7z(file: RawFile, folder: str) -> None:
    import py7zr

    try:
        with py7zr.SevenZipFile(file.path) as archive:
            archive.extract(path=folder, targets=[file.member])
    except py7zr.exceptions.ArchiveError as error:
        raise OSError(str(error)) from error


def find_raw_file(
    folder: str | os.PathLike[str], name: str, archives: Sequence[str] = (), instructions: str = ""
) -> RawFile:
    """Finds a raw file by name.

    It may be there as it is, gzipped (`name.gz`), zipped (`name.zip`) or inside one of the archives it is
    published in, in any folder of the archive; the first of these that exists is taken.

    Args:
      folder: where the user has put the files.
      name: the file's name, possibly below a folder, e.g. "ml-100k/u.data".
      archives: names of .zip and .7z files that may hold it.
      instructions: where to get the file, for the error.

    Raises:
      FileNotFoundError: none exists; the message lists the places.
      ImportError: it can only be inside a .7z and there is no reader for that.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "clicks.csv.gz").touch()
    ...     find_raw_file(folder, "clicks.csv").path.name
    'clicks.csv.gz'
    """
    root = pathlib.Path(os.fspath(folder))
    for candidate in (root / name, root / f"{name}.gz"):
        if candidate.is_file():
            return RawFile(candidate)
    packed = [root / archive for archive in (f"{name}.zip", *archives)]
    for path in packed:
        if path.is_file():
            member = _find_member(path, pathlib.PurePath(name).name)
            if member is not None:
                return RawFile(path, member)
    places = ", ".join(str(place) for place in (root / name, root / f"{name}.gz", *packed))
    raise FileNotFoundError(
        f"The raw file {name} is missing; none of these holds it: {places}. {instructions}"
    )


def _find_member(path: pathlib.Path, name: str) -> str | None:
    try:
        members = _members_7z(path) if path.suffix == ".7z" else _members_zip(path)
    except (OSError, zipfile.BadZipFile) as error:
        rule = "The archive is truncated or damaged: fetch it again."
        raise ValueError(f"{rule} Received: file={str(path)!r}, error={str(error)!r}.") from error
    files = (member for member in members if not member.endswith("/"))
    return next((member for member in files if pathlib.PurePosixPath(member).name == name), None)


def _members_zip(path: pathlib.Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _members_7z(path: pathlib.Path) -> list[str]:
    if importlib.util.find_spec("py7zr") is None:
        raise ImportError(
            f"{path} can only be read with py7zr: pip install 'tfrs_gru4rec[archives]', or unpack it "
            "into the same folder."
        )
    import py7zr

    try:
        with py7zr.SevenZipFile(path) as archive:
            return list(archive.getnames())
    except py7zr.exceptions.ArchiveError as error:
        raise OSError(str(error)) from error
