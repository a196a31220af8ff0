"""What a raw id may be: a 64-bit integer or a string; and which text is an integer."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_gru4rec.checks import require

_LARGEST = np.iinfo(np.int64).max
PLAIN_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
_KIND_RULE = "Ids must be all integers or all strings."


def as_id_array(raw_ids: Iterable[int] | Iterable[str] | np.ndarray) -> np.ndarray:
    """Turns ids [n] into one of the two kinds of array the library works with: int64, or an object array of str.

    Bytes are read as UTF-8.

    Raises:
      ValueError: the ids are neither all integers nor all strings, or do not fit int64.

    >>> as_id_array([b"lamp", b"desk"]).tolist(), as_id_array([7, 12]).dtype
    (['lamp', 'desk'], dtype('int64'))
    """
    array = raw_ids if isinstance(raw_ids, np.ndarray) else _object_array(list(raw_ids))
    require(array.ndim == 1, "Ids must be a vector.", shape=array.shape)
    if array.dtype.kind in "iu":
        require(
            not array.size or array.max() <= _LARGEST, "Integer ids must fit in 64 bits, signed.", ids=array
        )
        return array.astype(np.int64, copy=False)
    if array.size == 0:
        return np.zeros(0, object if array.dtype.kind in "US" else np.int64)
    require(array.dtype.kind in "OUS", _KIND_RULE, dtype=str(array.dtype))
    kinds = {type(value) for value in array}
    if all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        try:
            return array.astype(np.int64)
        except OverflowError as error:
            raise ValueError(f"Integer ids must fit in 64 bits, signed: {error}.") from error
    if any(issubclass(kind, bytes) for kind in kinds):
        array = _object_array([value.decode() if isinstance(value, bytes) else value for value in array])
        kinds = {type(value) for value in array}
    require(all(issubclass(kind, str) for kind in kinds), _KIND_RULE, types=sorted(k.__name__ for k in kinds))
    return (
        array if kinds == {str} and array.dtype == object else _object_array([str(value) for value in array])
    )


def integers(ids: Iterable[Any]) -> list[int]:
    """Reads ids as integers: numbers without a fraction, and text that spells one.

    Raises:
      ValueError: an id is no integer, or does not fit in 64 bits.

    >>> integers(["8", 9.0])
    [8, 9]
    """
    values = list(ids)
    try:
        numbers = [int(value) for value in values]
    except (OverflowError, TypeError) as error:  # an infinite number; no number at all
        raise ValueError(f"Ids must be integers: {error}.") from error
    for value, number in zip(values, numbers, strict=True):
        fits = -_LARGEST - 1 <= number <= _LARGEST
        require(fits, "Integer ids must fit in 64 bits, signed.", id=value)
        require(isinstance(value, (str, bytes)) or value == number, "Ids must be integers.", id=value)
    return numbers


def _object_array(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def is_plain_integer(strings: pa.Array) -> pa.BooleanArray:
    """Tells which strings [n], none null, spell an integer as `str` would: "12" and "-3", not "012", "3.0" or " 3"."""
    return pc.match_substring_regex(strings, PLAIN_INTEGER)


def integers_from_text(strings: pa.Array) -> np.ndarray | None:
    """Reads strings [n] as integers, int64 [n], if all of them are plain ones within 64 bits; otherwise None.

    >>> integers_from_text(pa.array(["12", "-3"])).tolist(), integers_from_text(pa.array(["12", "007"]))
    ([12, -3], None)
    """
    if not pc.all(is_plain_integer(strings)).as_py():
        return None
    try:
        return strings.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # 19 digits, but beyond 64 bits
        return None
