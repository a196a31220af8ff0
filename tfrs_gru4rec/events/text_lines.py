"""A text log line by line: slow, for its header and for telling where it is at fault."""

import csv
import dataclasses
import gzip
import io
import pathlib

from tfrs_gru4rec.checks import require

_SEPARATORS = ("\t", ",", ";", "|")


@dataclasses.dataclass(frozen=True)
class TextLines:
    """A text file, gzipped or not."""

    path: pathlib.Path
    is_gzip: bool

    def header(self) -> tuple[str, bool]:
        """Reads the first line that is not blank ("" if there is none), and whether another one follows."""
        with self._open() as file:
            lines = (line.rstrip("\r\n") for line in file if line.strip())
            try:
                return next(lines, ""), next(lines, None) is not None
            except UnicodeDecodeError:
                self.require_utf8()
                raise

    def line_of(self, row: int, separator: str) -> tuple[str, int]:
        """Finds the line of a 0-based row of data as an editor counts lines, blank ones included."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=separator)
            rows = -1  # the header is none
            for fields in reader:
                rows += bool(fields)
                if rows == row + 1:
                    break
            return "line", reader.line_num

    def require_utf8(self) -> None:
        """Raises ValueError that names the first line that is not UTF-8, if there is one."""
        with (gzip.open if self.is_gzip else open)(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    rule = "A text log must be in UTF-8."
                    require(False, rule, file=str(self.path), line=number, bytes=line[:80])

    def require_full_lines(self, separator: str) -> None:
        """Raises ValueError that names the first line with more or fewer values than the header, if any."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=separator)
            rows = (fields for fields in reader if fields)
            columns = len(next(rows))
            rule = "Every line must have as many values as the header."
            for fields in rows:
                is_full = len(fields) == columns
                require(
                    is_full, rule, file=str(self.path), line=reader.line_num, columns=columns, values=fields
                )

    def _open(self) -> io.TextIOBase:
        return (gzip.open if self.is_gzip else open)(self.path, "rt", encoding="utf-8-sig", newline="")


def split_header(header: str, wanted: tuple[str, ...]) -> tuple[str, list[str]]:
    """Returns the separator of a header, the one that makes most of the wanted names, then most columns; and the names.

    >>> split_header("user;item, size;at", ("user", "item", "at"))
    (';', ['user', 'item, size', 'at'])
    """

    def columns(separator: str) -> list[str]:
        return next(csv.reader([header], delimiter=separator), [])

    def score(separator: str) -> tuple[int, int]:
        return len(set(wanted) & set(columns(separator))), len(columns(separator))

    separator = max(_SEPARATORS, key=score)
    return separator, columns(separator)
