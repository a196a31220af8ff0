"""Recommendations of an export for sessions given whole, in this process: its `recommend`, loaded as a server does."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrs_gru4rec.events.raw_ids import integers
from tfrs_gru4rec.export.contract import Contract, read_contract, served_contract
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.serving.servable import Servable
from tfrs_gru4rec.export.signatures import (
    MAX_ITEM_ID_BYTES,
    MAX_LENGTH,
    PAD_INTEGER,
    PAD_STRING,
    RECOMMEND,
    RECOMMEND_FILTERED,
    SCORE_ITEMS,
)
from tfrs_gru4rec.export.version_folders import version_folders

_ROWS = 256  # sessions in a call


def find_version(export_dir: str | os.PathLike[str]) -> tuple[Path, Contract]:
    """Returns the newest version in an export folder, or the folder itself if it is a version, and what it offers.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: it holds no version of ours.
    """
    folder = Path(export_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no such folder. Received: export_dir={str(folder)!r}.")
    contract = read_contract(folder)
    if contract is None:
        version, contract = served_contract(folder) or (0, None)
        folder = version_folders(folder).get(version, folder)
    needed = {RECOMMEND.name, RECOMMEND_FILTERED.name, SCORE_ITEMS.name}
    if contract is None or not needed <= contract.signatures:
        raise ValueError(
            f"This folder holds no version that gru4rec-export wrote. Received: export_dir={str(export_dir)!r}."
        )
    return folder, contract


class ExportedModel:
    """A loaded version, asked as a trained model is by `models.recommend`: the same answers, as far as it has them.

    It answers for the latest 1,024 items of a session, and for as many items as it was exported for.
    """

    def __init__(self, export_dir: str | os.PathLike[str]) -> None:
        """Loads the newest version, or the one that is meant; see `find_version`."""
        folder, contract = find_version(export_dir)
        self._is_text = contract.item_type == "string"
        self._servable = Servable(folder, 0, ServerConfig(folder))

    def recommend(
        self, sessions: Mapping[Any, Iterable[Any]], k: int, exclude_seen: bool = False
    ) -> pd.DataFrame:
        """Returns a frame of session, rank, item and score, as `models.recommend.recommend` does.

        Args:
          sessions: raw item ids by session id, oldest first.
          k: items for each, at most as many as were exported.
          exclude_seen: leave out the session's own items; otherwise those that the export leaves out by itself.

        Raises:
          ValueError: an id is no integer where the export's are integers.
        """
        rows = [self._ids(items) for items in sessions.values()]
        # Sessions of like lengths together, so that little is padded.
        order = np.argsort([len(row) for row in rows], kind="stable")
        items = np.zeros([len(rows), k], object if self._is_text else np.int64)
        scores = np.full([len(rows), k], -np.inf, np.float32)
        for first in range(0, len(rows), _ROWS):
            places = order[first : first + _ROWS]
            ids = self._padded([rows[place] for place in places])
            asked = {"item_ids": ids}
            if exclude_seen:
                of_rows = {"exclude_seen": [True] * len(ids), "allow_groups": [[b""]] * len(ids)}
                asked |= {"exclude_ids": ids, **of_rows}
            found = self._servable.call((RECOMMEND_FILTERED if exclude_seen else RECOMMEND).name, **asked)
            items[places], scores[places] = found["item_ids"][:, :k], found["scores"][:, :k]
        places, ranks = np.nonzero(~np.isneginf(scores))
        of_session = pd.Series(list(sessions), dtype=None if sessions else np.int64).to_numpy()[places]
        best = items[places, ranks]
        if self._is_text:
            best = np.array([item.decode() for item in best], object)
        return pd.DataFrame(
            {"session": of_session, "rank": ranks + 1, "item": best, "score": scores[places, ranks]}
        )

    def unknown(self, session: Iterable[Any]) -> list[Any]:
        """Returns the items that the export does not know."""
        latest = list(session)[-MAX_LENGTH:]
        ids = self._padded([self._ids(latest)])
        scores = self._servable.call(SCORE_ITEMS.name, item_ids=ids, candidate_ids=ids)["scores"][0]
        return [item for item, score in zip(latest, scores, strict=False) if np.isneginf(score)]

    def _ids(self, session: Iterable[Any]) -> list[Any]:
        """Returns ids as the export takes them; a pad for one that it cannot know."""
        latest = list(session)[-MAX_LENGTH:]
        if self._is_text:
            texts = [str(item).encode() for item in latest]
            return [text if len(text) <= MAX_ITEM_ID_BYTES else PAD_STRING for text in texts]
        try:
            return integers(latest)
        except ValueError as error:
            raise ValueError(f"The export's item ids are integers. Received: session={latest!r}.") from error

    def _padded(self, rows: list[list[Any]]) -> np.ndarray:
        pad, kind = (PAD_STRING, object) if self._is_text else (PAD_INTEGER, np.int64)
        ids = np.full([len(rows), max(1, *map(len, rows))], pad, kind)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        return ids
