"""What is added to a model's scores for what the neighbours say.

For an item j after a session of p clicks, with the model's score z(j), for each side m (rules, knn) the share s_m(j)
of the side's scores (`item_to_item`) that j has, and n(j) of what the first side has seen of j:

    score(j) = z(j) + sum over m of w_m(p) * log(1 + s_m(j) / EPSILON) + popularity(p) * log(1 + n(j))
                    + last(p) [j is the last click] + earlier(p) [j is an earlier one of the last N_CLICKS clicks]

The weights w, popularity, last and earlier depend on p by the steps of FIRST_POSITIONS. Sums of logarithms, products of
what each side believes, do better than mixtures of probabilities: Hinton 2002, "Training Products of Experts by
Minimizing Contrastive Divergence". In a product how often an item is clicked at all counts once for each that believes
it, which is too often, so popularity has a weight of its own, below 0 as a rule. So has a repeated click, since how
often an item follows itself says little of how often it goes with others.

Neighbours alone are a fusion too: z(j) = log(1 + n(j)), popularity, stands in the place of the model's score.

These are the scores of most items. A network may put the best ones into another order, see `reranker`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from tfrs_gru4rec.atomic_files import replacing
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.neighbours.item_knn import ItemKNN
from tfrs_gru4rec.neighbours.item_to_item import Counted, ItemToItem
from tfrs_gru4rec.neighbours.rerank_network import Network
from tfrs_gru4rec.neighbours.sequential_rules import SequentialRules
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

SIDES: dict[str, Callable[..., ItemToItem]] = {"rules": SequentialRules, "knn": ItemKNN}
EPSILON = 0.001
FIRST_POSITIONS = (1, 2, 3, 5)  # positions 1, 2, 3 and 4, 5 and later have weights of their own
REPEATS = ("last", "earlier")
FREE = ("popularity", *REPEATS)  # what has a weight beside the sides, of any sign
FILE = "fusion.npz"
_TABLE = ("data", "indices", "indptr")


@dataclasses.dataclass(frozen=True, eq=False)
class Fusion:
    """The neighbours of a catalogue, what they weigh, and the network that ranks the best items anew.

    Attributes:
      sides: what was counted, by side; the tables float32, of bounded rows.
      weights: float32 [len(FIRST_POSITIONS), sides + 3]: of each side, then those of `FREE`.
      checksum: of the vocabulary that the rows belong to, see `checksum_of`.
      is_alone: whether popularity stands in the place of the model's scores.
      network: ranks the best items anew, see `reranker`; None for none.

    Example:
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": list("abab"), "Time": range(4)})
      >>> log = SessionLog.from_frame(frame)
      >>> fusion = Fusion.count(log, np.ones([4, 4]), ["rules"])
      >>> fusion.tables["rules"].nnz, fusion.weights.shape
      (1, (4, 4))
    """

    sides: dict[str, Counted]
    weights: np.ndarray
    checksum: int
    is_alone: bool = False
    network: Network | None = None

    def __post_init__(self) -> None:
        """Checks that the parts fit and are finite."""
        require(bool(self.sides), "A fusion needs a side.", sides=[*self.sides])
        shape = (len(FIRST_POSITIONS), len(self.sides) + len(FREE))
        require(self.weights.shape == shape, f"A fusion's weights must be {shape}.", shape=self.weights.shape)
        is_finite = all(
            np.isfinite(part).all()
            for part in (self.weights, *(table.data for table in self.tables.values()))
        )
        require(is_finite, "A fusion's weights and tables must be finite.", weights=self.weights.tolist())
        is_fit = self.network is None or self.network.fits(len(self.sides))
        require(
            is_fit, "The network of a fusion must have its features and finite weights.", sides=[*self.sides]
        )

    @classmethod
    def count(
        cls,
        log: SessionLog,
        weights: np.ndarray,
        sides: Iterable[str],
        before: Mapping[str, Counted] | None = None,
        decay: float = 1.0,
        is_alone: bool = False,
    ) -> Fusion:
        """Counts the tables of some sides in a log.

        Args:
          log: the training log, in the model's vocabulary.
          weights: as the attribute.
          sides: of `SIDES`.
          before: what earlier logs gave, by side, in the rows of this log (`moved`); None for nothing.
          decay: what is counted there weighs so much.
          is_alone: as the attribute.
        """
        counted = {}
        for name in sides:
            side = SIDES[name](log, before=(before or {}).get(name), decay=decay)
            counted[name] = dataclasses.replace(side.counted, table=side.table.astype(np.float32))
        return cls(counted, np.asarray(weights, np.float32), checksum_of(log.vocabulary), is_alone)

    def recounted(
        self, log: SessionLog, before: Mapping[str, Counted] | None = None, decay: float = 1.0
    ) -> Fusion:
        """Returns the same weights and network with tables of another log; arguments as for `count`."""
        counted = Fusion.count(log, self.weights, self.sides, before, decay, self.is_alone)
        return dataclasses.replace(counted, network=self.network)

    def moved(self, old_rows: np.ndarray) -> dict[str, Counted]:
        """Returns what was counted, by side, in the rows of another vocabulary, see `Counted.moved`."""
        return {name: counted.moved(old_rows) for name, counted in self.sides.items()}

    @property
    def tables(self) -> dict[str, sparse.csr_array]:
        """The tables by side, float32 [n_items, n_items]."""
        return {name: counted.table for name, counted in self.sides.items()}

    @property
    def popularity(self) -> np.ndarray:
        """That of the first side, see `popularity_of`."""
        return popularity_of(next(iter(self.sides.values())))

    @property
    def label(self) -> str:
        """What the fusion is made of, in words."""
        reranked = ", reranked" if self.network else ""
        return "+".join(self.sides) + (" alone" if self.is_alone else "") + reranked

    @functools.cached_property
    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All tables as one, in rows: first entry of each [n_items + 1], columns, and values [n_entries, n_sides]."""
        tables = list(self.tables.values())
        marks = [sparse.csr_array((np.ones(t.nnz), t.indices, t.indptr), shape=t.shape) for t in tables]
        whole = sparse.csr_array(sum(marks[1:], marks[0]))
        whole.sort_indices()
        keys = _keys(whole)
        values = np.zeros([whole.nnz, len(tables)], np.float32)
        for side, table in enumerate(tables):
            values[np.searchsorted(keys, _keys(table)), side] = table.data
        return whole.indptr, whole.indices.astype(np.int32), values

    def require_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises ValueError unless the tables belong to a vocabulary."""
        rule = "The fusion must be of the model's vocabulary: count it from the model's training log."
        require(self.checksum == checksum_of(vocabulary), rule, n_items=vocabulary.n_items)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes `fusion.npz` into a folder, whole or not at all.

        Raises:
          OSError: as `atomic_files.replacing`.
        """
        parts = {"weights": self.weights, "checksum": np.int64(self.checksum), "is_alone": self.is_alone}
        for side, counted in self.sides.items():
            parts |= {f"{side}.{name}": getattr(counted.table, name) for name in _TABLE}
            parts |= {f"{side}.seen": counted.seen, f"{side}.n_sessions": np.float64(counted.n_sessions)}
        parts |= {
            f"network.{name}": part for name, part in (self.network._asdict() if self.network else {}).items()
        }
        with replacing(Path(folder) / FILE) as temporary, temporary.open("wb") as file:
            np.savez(file, **parts)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Fusion | None:
        """Reads what `save` wrote, None if there is nothing; raises ValueError if the file is damaged."""
        path = Path(folder) / FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as parts:
                sides = {side: _counted(parts, side) for side in SIDES if f"{side}.data" in parts}
                named = [f"network.{name}" for name in Network._fields]
                network = Network(*(parts[name] for name in named)) if named[0] in parts else None
                return cls(sides, parts["weights"], int(parts["checksum"]), bool(parts["is_alone"]), network)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{path} is damaged: train again with --fusion, or remove it. ({error})"
            ) from error


def popularity_of(counted: Counted) -> np.ndarray:
    """Returns the logarithms of how often the items were seen, and once more, float32 [n_items]."""
    return np.log1p(counted.seen).astype(np.float32)


def _keys(table: sparse.csr_array) -> np.ndarray:
    """Numbers the entries of a table by row and column, int64 [n_entries]."""
    return np.repeat(np.arange(table.shape[0]), np.diff(table.indptr)) * table.shape[1] + table.indices


def _counted(parts: np.lib.npyio.NpzFile, side: str) -> Counted:
    data, indices, indptr = (parts[f"{side}.{name}"] for name in _TABLE)
    table = sparse.csr_array((data, indices, indptr), shape=(indptr.size - 1, indptr.size - 1))
    table.check_format()
    seen = parts[f"{side}.seen"]
    require(seen.shape == table.shape[:1], "Every item must have a count.", shape=seen.shape)
    return Counted(table, seen, float(parts[f"{side}.n_sessions"]))


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
