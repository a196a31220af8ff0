"""The vocabulary: which raw item id is which row of the item embedding, and how often it was seen."""

import dataclasses
import functools
import os
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_gru4rec.atomic_files import replacing
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.raw_ids import as_id_array

UNKNOWN_ROW = -1
FILE = "vocabulary.parquet"  # of a model's folder
_FORMAT_KEY = b"tfrs_gru4rec.vocabulary"
_FORMAT_VERSION = b"1"


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """Raw item ids and their rows.

    Attributes:
      ids: [n_items] raw ids by row: int64, or an object array of Python str.
      counts: [n_items] int64, events of each item in the training log.

    >>> vocabulary = Vocabulary.from_items(["lamp", "desk", "lamp"])
    >>> vocabulary.ids.tolist(), vocabulary.counts.tolist()
    (['lamp', 'desk'], [2, 1])
    >>> vocabulary.rows(["desk", "chair"]).tolist()
    [1, -1]
    """

    ids: np.ndarray
    counts: np.ndarray

    def __post_init__(self) -> None:
        require(
            self.ids.ndim == 1 and self.ids.shape == self.counts.shape,
            "Vocabulary ids and counts must be two vectors of one length.",
            ids_shape=self.ids.shape,
            counts_shape=self.counts.shape,
        )
        require(
            self.ids.dtype == np.int64 or self.ids.dtype == object,
            "Vocabulary ids must be int64 or an object array of str.",
            dtype=str(self.ids.dtype),
        )

    @classmethod
    def from_items(cls, raw_ids: Iterable[int] | Iterable[str] | np.ndarray) -> "Vocabulary":
        """Builds the vocabulary of a column of raw item ids, integers or strings, one entry an event.

        Rows go by falling count, ties by id, so popular items lie together in memory.

        Raises:
          ValueError: the ids are neither all integers nor all strings.
        """
        codes, unique = pd.factorize(as_id_array(raw_ids))
        return cls.from_counts(unique, np.bincount(codes, minlength=len(unique)))

    @classmethod
    def from_counts(cls, ids: np.ndarray, counts: np.ndarray) -> "Vocabulary":
        """Builds the vocabulary of distinct ids [n_items] and counts [n_items], rows in the order of `from_items`."""
        ids = as_id_array(ids)
        by_id = np.argsort(ids, kind="stable")
        order = by_id[np.argsort(-np.asarray(counts, np.int64)[by_id], kind="stable")]
        return cls(ids[order], np.asarray(counts, np.int64)[order])

    @property
    def n_items(self) -> int:
        """Number of items, which is the number of embedding rows."""
        return len(self.ids)

    @property
    def is_integer(self) -> bool:
        """Whether raw ids are integers rather than strings."""
        return self.ids.dtype == np.int64

    @property
    def item_type(self) -> str:
        """What raw ids are: "integer" or "string"."""
        return "integer" if self.is_integer else "string"

    def rows(self, raw_ids: Iterable[int] | Iterable[str] | np.ndarray) -> np.ndarray:
        """Returns the row of each raw id, int32 [n], -1 where the vocabulary lacks it.

        An id of the other kind is matched by its plain spelling: 12 finds "12" and "12" finds 12, but "012"
        does not find 12.
        """
        wanted = as_id_array(raw_ids)
        if self.is_integer == (wanted.dtype == np.int64):
            return self._index.get_indexer(wanted).astype(np.int32)
        return self._spelled.get_indexer(wanted.astype(str).astype(object)).astype(np.int32)

    @functools.cached_property
    def _index(self) -> pd.Index:
        index = pd.Index(self.ids, dtype=self.ids.dtype)
        repeated = self.ids[index.duplicated()]
        require(index.is_unique, "Vocabulary ids must be distinct.", repeated=repeated[:1])
        return index

    @functools.cached_property
    def _spelled(self) -> pd.Index:
        """The ids as strings, for look-ups by ids of the other kind."""
        return pd.Index(self.ids.astype(str).astype(object), dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the vocabulary as a Parquet file with columns `id` and `count`, whole or not at all."""
        ids = pa.array(self.ids, pa.int64() if self.is_integer else pa.string())
        table = pa.table({"id": ids, "count": pa.array(self.counts, pa.int64())})
        with replacing(path) as temporary:
            pq.write_table(table.replace_schema_metadata({_FORMAT_KEY: _FORMAT_VERSION}), temporary)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: the file is no vocabulary of ours, or damaged.
        """
        try:
            table = pq.read_table(path)
        except pa.ArrowException as error:
            raise ValueError(f"{os.fspath(path)} is not a readable vocabulary file: {error}") from error
        require(
            (table.schema.metadata or {}).get(_FORMAT_KEY) == _FORMAT_VERSION,
            "A vocabulary file must be one that Vocabulary.save wrote, in format version 1.",
            path=os.fspath(path),
        )
        is_integer = pa.types.is_integer(table["id"].type)
        ids = table["id"].to_numpy() if is_integer else np.array(table["id"].to_pylist(), dtype=object)
        return cls(ids, table["count"].to_numpy())
