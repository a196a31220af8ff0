"""What recommends: the model in a folder of gru4rec-train, or an exported one; asked alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfrs_gru4rec.cli.flag_groups import require_flags

if TYPE_CHECKING:
    import pandas as pd

    from tfrs_gru4rec.export.whole_sessions import ExportedModel


class TrainedModel:
    """A trained model with its neighbours, if it has any."""

    def __init__(self, folder: Path) -> None:
        """Loads it."""
        from tfrs_gru4rec.evaluation.fused import with_fusion
        from tfrs_gru4rec.training import load_model

        self._model = with_fusion(load_model(folder), folder)

    def recommend(self, sessions: Mapping[Any, Any], k: int, exclude_seen: bool) -> pd.DataFrame:
        """Returns session, rank, item and score."""
        from tfrs_gru4rec.models.recommend import recommend

        return recommend(self._model, sessions, k, exclude_seen)

    def unknown(self, session: Sequence[Any]) -> list[Any]:
        """Returns the items that the model does not know."""
        from tfrs_gru4rec.models.recommend import session_rows

        rows = session_rows(self._model.vocabulary, session)
        return [item for item, row in zip(session, rows, strict=True) if row < 0]


class Source(NamedTuple):
    """Where a model is, before it is loaded: here, or where the folder has been sent to."""

    folder: Path
    is_export: bool

    @classmethod
    def find(cls, model_dir: Path | None, export_dir: Path | None, top_k: int) -> Source:
        """Looks the folder up.

        Raises:
          FileNotFoundError, ValueError: there is no version in the export folder, or it recommends fewer than `top_k`.
        """
        if export_dir is None:
            return cls(Path(model_dir or "."), is_export=False)
        from tfrs_gru4rec.export.whole_sessions import find_version

        folder, contract = find_version(export_dir)
        rule = "--top_k must be at most that of the export: ask for fewer, or export again (gru4rec-export --top_k)."
        require_flags(top_k <= contract.top_k, rule, top_k=top_k, exported=contract.top_k, folder=str(folder))
        return cls(folder, is_export=True)

    def has_integers(self) -> bool:
        """Returns whether item ids are integers, not text."""
        if self.is_export:
            from tfrs_gru4rec.export.whole_sessions import find_version

            return find_version(self.folder)[1].item_type == "integer"
        from tfrs_gru4rec.pipelines.vocabulary import FILE, Vocabulary

        return Vocabulary.load(self.folder / FILE).is_integer

    def load(self) -> TrainedModel | ExportedModel:
        """Loads the model."""
        if self.is_export:
            from tfrs_gru4rec.export.whole_sessions import ExportedModel

            return ExportedModel(self.folder)
        return TrainedModel(self.folder)
