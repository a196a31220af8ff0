"""From text columns to numbers: converters for `delimited.read_raw_columns`, and Arrow columns to NumPy."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_gru4rec.events.events import MAX_INT32
from tfrs_gru4rec.events.id_codes import rising_codes


def integers(values: pa.Array) -> pa.Array:
    """Reads integers of up to 64 bits; empty text is an error."""
    return pc.cast(values, pa.int64())


def texts(values: pa.Array) -> pa.Array:
    """Keeps text, each distinct one stored once; empty text is an error."""
    if pc.any(pc.equal(values, "")).as_py():
        raise pa.ArrowInvalid("the text is empty")
    return values.dictionary_encode()


def integer_categories(values: pa.Array) -> pa.Array:
    """Reads integers of few distinct values, each stored once."""
    return integers(values).dictionary_encode()


def iso_milliseconds(values: pa.Array) -> pa.Array:
    """Reads ISO 8601 times with a zone, like 2014-04-07T10:51:09.277Z, as ms since 1970 UTC."""
    return pc.cast(values, pa.timestamp("ms", "UTC")).cast(pa.int64())


def utc_seconds(values: pa.Array) -> pa.Array:
    """Reads times like "2019-10-01 00:00:00 UTC" as seconds since 1970 UTC."""
    has_zone = pc.ends_with(values, " UTC")
    if not pc.all(has_zone).as_py():
        raise pa.ArrowInvalid("the time does not end in UTC")
    return pc.cast(pc.utf8_slice_codeunits(values, 0, -4), pa.timestamp("s")).cast(pa.int64())


def date_milliseconds(values: pa.Array) -> pa.Array:
    """Reads dates like 2016-05-09 as ms from 1970 to the start of that day, UTC."""
    return pc.cast(pc.cast(values, pa.date32()), pa.timestamp("ms")).cast(pa.int64())


def pop_array(table: dict[str, pa.ChunkedArray], name: str) -> np.ndarray:
    """Takes a column of numbers or booleans out of a table, as one array of its own."""
    values = np.concatenate([chunk.to_numpy(zero_copy_only=False) for chunk in table.pop(name).chunks])
    pa.default_memory_pool().release_unused()  # Arrow keeps freed blocks, here as much as the column
    return values


def pop_ids(table: dict[str, pa.ChunkedArray], name: str) -> np.ndarray:
    """Takes a column of integer ids out of a table, as int32 if they fit and int64 otherwise."""
    values = pop_array(table, name)
    fits = values.min(initial=0) >= -MAX_INT32 and values.max(initial=0) <= MAX_INT32
    return values.astype(np.int32) if fits else values


def pop_codes(table: dict[str, pa.ChunkedArray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Takes a dictionary-encoded column, as `texts` or `integer_categories` gives it, out of a table.

    Returns:
      codes int32 [n] and the distinct values in rising order, int64 or an object array of str.
    """
    chunks = table.pop(name).unify_dictionaries().chunks
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    distinct = chunks[0].dictionary.to_numpy(zero_copy_only=False)
    del chunks
    pa.default_memory_pool().release_unused()
    return rising_codes(codes, distinct)
