"""What is added to a model's scores for what the neighbours say.

For an item j after a session of p clicks, with the model's score z(j) and, for each side m (rules, knn), the share
s_m(j) of the side's scores (`item_to_item`) that j has:

    score(j) = z(j) + sum over m of w_m(p) * log(1 + s_m(j) / EPSILON) + last(p) [j is the last click]
                    + earlier(p) [j is an earlier one of the last N_CLICKS clicks]

The weights w, last and earlier depend on p by the steps of FIRST_POSITIONS. Sums of logarithms, products of what
each side believes, do better than mixtures of probabilities: Hinton 2002, "Training Products of Experts by Minimizing
Contrastive Divergence". A repeated click has weights of its own, since how often an item follows itself says little
of how often it goes with others.
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from tfrs_gru4rec.atomic_files import replacing
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.neighbours.item_knn import ItemKNN
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, ItemToItem, latest_clicks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.sequential_rules import SequentialRules
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

SIDES: dict[str, Callable[[SessionLog], ItemToItem]] = {"rules": SequentialRules, "knn": ItemKNN}
EPSILON = 0.001
FIRST_POSITIONS = (1, 2, 3, 5)  # positions 1, 2, 3 and 4, 5 and later have weights of their own
N_REPEATS = 2  # weights of the last click and of earlier ones
FILE = "fusion.npz"


@dataclasses.dataclass(frozen=True, eq=False)
class Fusion:
    """The neighbours of a catalogue, and what they weigh.

    Attributes:
      tables: by side, float32 [n_items, n_items], bounded rows.
      weights: float32 [len(FIRST_POSITIONS), sides + 2]: of each side, of the last click, of earlier ones.
      checksum: of the vocabulary that the rows belong to, see `checksum_of`.

    Example:
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": list("abab"), "Time": range(4)})
      >>> log = SessionLog.from_frame(frame)
      >>> fusion = Fusion.count(log, np.ones([4, 3]), ["rules"])
      >>> fusion.tables["rules"].nnz, fusion.weights.shape
      (1, (4, 3))
    """

    tables: dict[str, sparse.csr_array]
    weights: np.ndarray
    checksum: int

    def __post_init__(self) -> None:
        """Checks that the parts fit and are finite."""
        shape = (len(FIRST_POSITIONS), len(self.tables) + N_REPEATS)
        require(self.weights.shape == shape, f"A fusion's weights must be {shape}.", shape=self.weights.shape)
        is_finite = all(
            np.isfinite(part).all() for part in (self.weights, *(t.data for t in self.tables.values()))
        )
        require(is_finite, "A fusion's weights and tables must be finite.", weights=self.weights.tolist())

    @classmethod
    def count(cls, log: SessionLog, weights: np.ndarray, sides: Collection[str]) -> Fusion:
        """Counts the tables of some sides in a log; with known weights that is all it takes to refresh a fusion.

        Args:
          log: the training log, in the model's vocabulary.
          weights: as the attribute.
          sides: of `SIDES`.
        """
        return cls.of({side: SIDES[side](log) for side in sides}, weights, log.vocabulary)

    @classmethod
    def of(cls, sides: Mapping[str, ItemToItem], weights: np.ndarray, vocabulary: Vocabulary) -> Fusion:
        """Makes a fusion of sides that are counted already; arguments otherwise as for `count`."""
        tables = {side: counted.table.astype(np.float32) for side, counted in sides.items()}
        return cls(tables, np.asarray(weights, np.float32), checksum_of(vocabulary))

    @property
    def bytes(self) -> int:
        """Memory of the tables, which is what an export holds of them."""
        tables = self.tables.values()
        return sum(part.nbytes for table in tables for part in (table.data, table.indices, table.indptr))

    def require_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises ValueError unless the tables belong to a vocabulary."""
        rule = "The fusion must be of the model's vocabulary: count it from the model's training log."
        require(self.checksum == checksum_of(vocabulary), rule, n_items=vocabulary.n_items)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes `fusion.npz` into a folder, whole or not at all.

        Raises:
          OSError: as `atomic_files.replacing`.
        """
        parts = {"weights": self.weights, "checksum": np.int64(self.checksum)}
        for side, table in self.tables.items():
            parts |= {f"{side}.{name}": getattr(table, name) for name in ("data", "indices", "indptr")}
        with replacing(Path(folder) / FILE) as temporary, temporary.open("wb") as file:
            np.savez(file, **parts)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Fusion:
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: the folder has no fusion.
          ValueError: the file is damaged.
        """
        path = Path(folder) / FILE
        try:
            with np.load(path, allow_pickle=False) as parts:
                tables = {side: _table(parts, side) for side in SIDES if f"{side}.data" in parts}
                return cls(tables, parts["weights"], int(parts["checksum"]))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{path} is damaged: train again with --fusion, or remove it. ({error})"
            ) from error

    @classmethod
    def load_if_any(cls, folder: str | os.PathLike[str]) -> Fusion | None:
        """Reads what `save` wrote; None if there is nothing. Raises ValueError as `load`."""
        return cls.load(folder) if (Path(folder) / FILE).exists() else None


def _table(parts: np.lib.npyio.NpzFile, side: str) -> sparse.csr_array:
    data, indices, indptr = (parts[f"{side}.{name}"] for name in ("data", "indices", "indptr"))
    table = sparse.csr_array((data, indices, indptr), shape=(indptr.size - 1, indptr.size - 1))
    table.check_format()
    return table


def checksum_of(vocabulary: Vocabulary) -> int:
    """Returns a checksum of a vocabulary's items and their order.

    >>> checksum_of(Vocabulary.from_items([7, 8, 7])) == checksum_of(Vocabulary.from_items([8, 7, 8]))
    False
    """
    return zlib.crc32(pd.util.hash_array(np.asarray(vocabulary.ids)).tobytes())


def position_steps(positions: np.ndarray) -> np.ndarray:
    """Returns int64 [n], which row of a fusion's weights belongs to each position [n], 1 or more.

    >>> position_steps(np.array([1, 2, 4, 5, 99])).tolist()
    [0, 1, 2, 3, 3]
    """
    return np.searchsorted(FIRST_POSITIONS, positions, side="right") - 1


def share_features(side: ItemToItem, items: np.ndarray, clicks: NextClicks) -> sparse.csr_array:
    """Returns log(1 + s / EPSILON) [n_clicks, n_items] of a side's shares s, sparse.

    Args:
      side: scores the items.
      items: int32 [n_events], rows of the items of the log.
      clicks: questions of that log.
    """
    scores = side.scores(items, clicks)
    # The total is 0 where all that is named is in every session.
    totals = np.maximum(np.repeat(scores.sum(axis=1), np.diff(scores.indptr)), np.finfo(float).tiny)
    scores.data = np.log1p(scores.data / (EPSILON * totals))
    return scores


def repeat_features(items: np.ndarray, clicks: NextClicks, n_items: int) -> list[sparse.csr_array]:
    """Returns two matrices [n_clicks, n_items], 1 at the last click's item and at those of earlier ones.

    Args:
      items: int32 [n_events], rows of the items of the log.
      clicks: questions of that log.
      n_items: of the catalogue.
    """
    latest = latest_clicks(items, clicks, N_CLICKS)
    is_last = np.arange(N_CLICKS) == 0
    is_earlier = (latest >= 0) & (latest != latest[:, :1])
    features = []
    for is_meant in (np.broadcast_to(is_last, latest.shape), is_earlier):
        rows, ages = np.nonzero(is_meant)
        parts = (np.ones(rows.size), (rows, latest[rows, ages]))
        repeats = sparse.csr_array(parts, shape=(len(clicks), n_items))
        repeats.data[:] = 1.0  # the clicks on one item were added up
        features.append(repeats)
    return features
