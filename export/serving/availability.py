"""Which items may not be recommended, kept by the server from version to version."""

import pathlib
import re
import threading
from collections.abc import Iterable
from typing import Any

from absl import logging
from tensorflow.core.framework import types_pb2

from tfrs_gru4rec.export.serving.servable import Servable
from tfrs_gru4rec.export.signatures import MAX_BATCH, SET_AVAILABILITY


class Availability:
    """The items that are not available.

    Attributes:
      lock: held by who changes them in a version, or puts a version in service.
    """

    def __init__(self, path: pathlib.Path | None = None):
        """Reads the items that are not available at first.

        Args:
          path: a text file with an item id a line; None for none.

        Raises:
          OSError, ValueError: the file cannot be read, or is no text.
        """
        lines = path.read_text(encoding="utf-8").split("\n") if path else []
        self._unavailable = {line.strip().encode() for line in lines if line.strip()}
        self.lock = threading.Lock()

    def remember(self, item_ids: Iterable[Any], available: Iterable[bool]) -> None:
        """Takes note of what a version has been told; the last of equal items counts."""
        for item_id, is_available in zip(item_ids, available, strict=True):
            key = item_id if isinstance(item_id, bytes) else str(int(item_id)).encode()
            (self._unavailable.discard if is_available else self._unavailable.add)(key)

    def tell(self, model: Servable) -> None:
        """Tells a new version."""
        if not self._unavailable:
            return
        definition = model.signature_defs.get(SET_AVAILABILITY.name)
        if definition is None:
            logging.error("Version %d cannot leave out items that are not available.", model.version)
            return
        ids: list[Any] = sorted(self._unavailable)
        if definition.inputs["item_id"].dtype != types_pb2.DT_STRING:
            foreign = [item_id for item_id in ids if not _is_int64(item_id)]
            if foreign:
                logging.error("These items to leave out are no integers: %s.", foreign)
            ids = [int(item_id) for item_id in ids if item_id not in foreign]
        for start in range(0, len(ids), MAX_BATCH):
            part = ids[start : start + MAX_BATCH]
            model.call(SET_AVAILABILITY.name, item_id=part, available=[False] * len(part))
        logging.info("Version %d leaves out %d items that are not available.", model.version, len(ids))


def _is_int64(item_id: bytes) -> bool:
    return bool(re.fullmatch(rb"-?[0-9]{1,19}", item_id)) and -(1 << 63) <= int(item_id) < 1 << 63
