"""gru4rec-export: publishes a trained model as a new version for TF Serving.

gru4rec-export --model_dir=models/shop --export_dir=serving/shop writes serving/shop/<version>/, which
gru4rec-serve and tensorflow/serving pick up by themselves. What clients can ask of it is in
tfrs_gru4rec/export/signatures.py.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.item_names import NamesConfig
from tfrs_gru4rec.cli.session_files import read_sessions
from tfrs_gru4rec.config import ColumnConfig, ExportConfig
from tfrs_gru4rec.settings import Range, Settings


@dataclasses.dataclass(frozen=True)
class VersionConfig(Settings):
    """Which model becomes which version.

    Attributes:
      model_dir: folder that gru4rec-train wrote.
      export_dir: folder of the versions, which a server watches.
      version: number of this version; none: the next.
    """

    model_dir: Path
    export_dir: Path
    version: Annotated[int | None, Range(at_least=1)] = None


@dataclasses.dataclass(frozen=True)
class MeasuringConfig(Settings):
    """What the ways of finding the best items are measured with.

    Attributes:
      sessions_path: sessions to measure and calibrate with: a log, or .jsonl as for gru4rec-recommend. None: sampled
        from the model.
    """

    sessions_path: Path | None = None


@dataclasses.dataclass(frozen=True)
class GroupConfig(Settings):
    """Groups of items that requests may restrict answers to.

    Attributes:
      group_column: column of item_columns with each item's group, such as its category.
    """

    group_column: str | None = None

    def read(self, item_names: NamesConfig) -> dict[str, str]:
        """Returns group by item id, as text; nothing without the column.

        Raises:
          ValueError: the file has no such column.
        """
        require_flags(
            bool(self.group_column) == bool(item_names.item_columns),
            "--item_columns and --group_column go together.",
            group_column=self.group_column,
        )
        names = item_names.read()
        if names is None:
            return {}
        present = list(names.columns.columns)
        rule = "--group_column must be a column of --item_columns."
        require_flags(self.group_column in present, rule, group_column=self.group_column, present=present)
        return names.columns[self.group_column].to_dict()


def main(
    version: VersionConfig,
    recommendations: ExportConfig,
    measuring: MeasuringConfig,
    columns: ColumnConfig,
    item_names: NamesConfig,
    groups: GroupConfig,
) -> int:
    """Exports the model and prints the version's folder; returns the exit code."""
    group_of = groups.read(item_names)
    path = measuring.sessions_path
    sessions = list(read_sessions(path, columns).values()) if path else None
    logging.info("Loading the model in %s.", version.model_dir)
    # These load TensorFlow, so not before the flags have been found right.
    from tfrs_gru4rec.export.saved_model import export_saved_model
    from tfrs_gru4rec.neighbours.fusion import Fusion
    from tfrs_gru4rec.training.model_folder import ModelFolder, load_model

    model, folder = load_model(version.model_dir), ModelFolder(version.model_dir)
    fusion = Fusion.load(version.model_dir)
    if fusion:
        megabytes = sum(part.nbytes for part in fusion.joined) / 1e6
        logging.info("With neighbours, %s: %.1f MB in memory and on disk.", fusion.label, megabytes)
    logging.info("Exporting, then checking what was written.")
    about = {**folder.settings(), **folder.report()}
    settings = {**recommendations.to_dict(), "fusion": fusion, "group_of": group_of, "about": about}
    settings["sessions"] = sessions
    print(export_saved_model(model, version.export_dir, version.version, **settings))
    return 0


COMMAND = Command("gru4rec-export", main)
run = COMMAND.run

if __name__ == "__main__":
    run()
