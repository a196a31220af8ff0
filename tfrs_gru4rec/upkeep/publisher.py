"""Publishing a model as a numbered version, once, however often the attempt is broken off."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.models import GRU4Rec


class Publisher(Protocol):
    """Where versions go; `gru4rec-daily` has one for SavedModels."""

    def next_version(self) -> int:
        """Returns a number that no version has yet."""

    def has(self, version: int) -> bool:
        """Tells whether a version is published, whole, and on the disk."""

    def publish(self, model: GRU4Rec | FusedModel, version: int, about: Mapping[str, Any]) -> None:
        """Publishes a model, with what is known of its training, whole or not at all."""


def publish_once(
    publisher: Publisher,
    model: GRU4Rec | FusedModel,
    note_path: str | os.PathLike[str],
    about: Mapping[str, Any],
) -> int:
    """Publishes a model under a number that is noted first, so that a second attempt takes the same number.

    Args:
      publisher: where to.
      model: the model.
      note_path: a JSON file of this model alone, which keeps the number; if it is there, its number is taken, and
        nothing is done if that version is published already.
      about: settings, data and figures of its training, as its folder has them.

    Returns:
      The number of the version.

    Raises:
      OSError: the note or the version cannot be written.
      ValueError: the note is damaged.

    Example:
      >>> import tempfile
      >>> class Shelf:
      ...     versions = {}
      ...     def next_version(self):
      ...         return len(self.versions) + 1
      ...     def has(self, version):
      ...         return version in self.versions
      ...     def publish(self, model, version, about):
      ...         self.versions[version] = model
      >>> note = Path(tempfile.mkdtemp()) / "version.json"
      >>> publish_once(Shelf(), "a model", note, {}), publish_once(Shelf(), "a model", note, {}), Shelf.versions
      (1, 1, {1: 'a model'})
    """
    note = Path(note_path)
    if not note.exists():
        write_json(note, {"version": publisher.next_version()})
    try:
        version = int(json.loads(note.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{note} is damaged: {error}. Remove it, and the model is published under a new number."
        ) from error
    if not publisher.has(version):
        publisher.publish(model, version, about)
    return version
