"""From a column of raw ids to small numbers: codes of the distinct ids."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from absl import logging

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events import raw_ids
from tfrs_gru4rec.events.columns import LogColumn, is_text_type

_EMPTY_RULE = "An id must not be empty: fill it in or drop the event."
KIND_RULE = "Ids must be integers or strings."
NULL_SPELLINGS = pa.array(["nan", "null", "none", "na", "n/a", "#n/a", "<na>"])


class WrongIdType(ValueError):
    """An id is not of the type that the ids of a model have."""


def id_codes(column: LogColumn, id_type: str = "auto") -> tuple[np.ndarray, np.ndarray]:
    """Replaces the ids of a column by codes of the distinct ids, in the order of their appearance.

    Left to themselves, ids of a text file become integers if every one is an integer's plain spelling; a single "007"
    or "A1" leaves all of them strings. Ids of a typed column keep their type.

    Args:
      column: ids, integers or strings.
      id_type: "string" or "integer", which all ids are made, or "auto".

    Returns:
      codes int32 [n_events] and ids [n_ids], int64 or an object array of Python str; the id of event e is
      ids[codes[e]].

    Raises:
      WrongIdType: an id is no integer, and all are to be integers.
      ValueError: an id is empty, or the column is neither of integers nor of strings.

    >>> column = LogColumn(pa.chunked_array([["12", "7", "12"]]), {}, is_text=True)
    >>> codes, ids = id_codes(column)
    >>> codes.tolist(), ids.tolist(), id_codes(column, "string")[1].tolist()
    ([0, 1, 0], [12, 7], ['12', '7'])
    """
    encoded = _integers_or_strings(column).dictionary_encode()
    codes = np.empty(len(encoded), dtype=np.int32)
    start = 0
    for chunk in encoded.chunks:
        codes[start : start + len(chunk)] = chunk.indices.to_numpy()
        start += len(chunk)
    ids = encoded.chunk(0).dictionary  # all chunks share it
    if is_text_type(ids.type):
        _warn_of_words(column, codes, ids)
    if column.is_text:
        is_empty = is_empty_text(ids).to_numpy(zero_copy_only=False)
        if is_empty.any():
            column.reject_first(is_empty[codes], _EMPTY_RULE)
    return codes, _of_type(column, codes, ids, id_type)


def _of_type(column: LogColumn, codes: np.ndarray, ids: pa.Array, id_type: str) -> np.ndarray:
    if id_type == "string":
        return ids.cast(pa.string()).to_numpy(zero_copy_only=False)
    may_be_read = is_text_type(ids.type) and (column.is_text or id_type == "integer")
    integers = raw_ids.integers_from_text(ids) if may_be_read else None
    if may_be_read and integers is None and id_type == "integer":
        is_plain = raw_ids.is_plain_integer(ids).to_numpy(zero_copy_only=False)
        # Where all are plain, one has 19 digits and more than 64 bits.
        is_bad = (
            ~is_plain if not is_plain.all() else np.array([abs(int(each.as_py())) >= 1 << 63 for each in ids])
        )
        try:
            column.reject_first(is_bad[codes], "The ids must be integers, as those of the model are.")
        except ValueError as error:
            raise WrongIdType(str(error)) from None
    return ids.to_numpy(zero_copy_only=False) if integers is None else integers


def rising_codes(codes: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Renumbers codes int [n] of different ids [n_ids], so that they sort as what they stand for.

    Returns:
      codes int32 [n] into the second result, which is `ids` in rising order.

    >>> codes, ids = rising_codes(np.array([0, 1, 0]), np.array([12, 7]))
    >>> codes.tolist(), ids.tolist()
    ([1, 0, 1], [7, 12])
    """
    order = np.argsort(ids, kind="stable")
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    return ranks[codes], ids[order]


def _warn_of_words(column: LogColumn, codes: np.ndarray, ids: pa.Array) -> None:
    """Names the ids that may stand for a missing value but could be names."""
    is_word = pc.is_in(pc.utf8_lower(ids.cast(pa.string())), NULL_SPELLINGS).to_numpy(zero_copy_only=False)
    if is_word.any():
        counts = np.bincount(codes, minlength=len(ids))
        words = ", ".join(f"{ids[row].as_py()!r} ({counts[row]})" for row in np.flatnonzero(is_word).tolist())
        place = ", ".join(f"{name}={value!r}" for name, value in column.place.items())
        logging.warning("These ids read like missing values: %s. Events with them: %s.", place, words)


def _integers_or_strings(column: LogColumn) -> pa.ChunkedArray:
    values = column.plain_values()
    kind = values.type
    column.reject_first(pc.is_null(values, nan_is_null=True), _EMPTY_RULE)
    if is_text_type(kind):
        return values
    if pa.types.is_floating(kind):  # what pandas makes of integers when one is missing
        column.reject_first(pc.not_equal(pc.floor(values), values), KIND_RULE)
    elif not pa.types.is_integer(kind):
        require(False, KIND_RULE, **column.place, type=str(kind))
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        require(False, "Integer ids must fit in 64 bits, signed.", **column.place, type=str(kind))
        raise


def is_empty_text(ids: pa.Array) -> pa.BooleanArray:
    """Tells which ids mean "no value": the empty text; and among integers, but not among names, words for it.

    >>> is_empty_text(pa.array(["7", "nan", ""])).to_pylist(), is_empty_text(pa.array(["lamp", "nan"])).to_pylist()
    ([False, True, True], [False, False])
    """
    is_word = pc.is_in(pc.utf8_lower(ids), NULL_SPELLINGS)
    is_empty = pc.equal(ids, "")
    if pc.any(is_word).as_py():
        others = pc.or_(is_word, is_empty)
        if pc.all(pc.or_(others, raw_ids.is_plain_integer(ids))).as_py():
            return others
    return is_empty
