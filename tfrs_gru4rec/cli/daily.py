"""gru4rec-daily: keeps a model current from a folder of daily logs, and exports a new version when it is no worse.

    gru4rec-daily --days_dir logs/ --work_dir daily/ --export_dir serving/shop --layers 100 --n_epochs 3

logs/ holds one file a day (TSV, CSV or Parquet, also gzipped), whose names sort by day, as 2024-05-01.tsv.gz. Each day
that has a successor is trained on, from the day before's model; the new model, the first one and the serving one are
compared on the following day's log; the new one becomes the next version of --export_dir unless its recall@20 is lower
than the serving one's by more than --margin. daily/ledger.json holds the figures, daily/daily.png the curve of recall
by day. The first day's model is exported whatever it is worth. Run the command whenever a new log has come, from cron
for instance: days that are done are not done again, and a run that was stopped goes on where it was.
"""

from collections.abc import Mapping
from typing import Any

from absl import flags

from tfrs_gru4rec.cli import log_flags
from tfrs_gru4rec.cli.command import run_command
from tfrs_gru4rec.cli.hyperparameter_flags import (
    define_checkpoint_flags,
    define_hyperparameter_flags,
    define_warm_start_flags,
    read_config,
    settings_of,
)
from tfrs_gru4rec.config import CheckpointConfig, GRU4RecConfig, TrainingConfig, WarmStartConfig

_EXPORT = ("top_k", "max_sessions", "idle_seconds", "exclude_seen")


def define_flags(values: flags.FlagValues) -> None:
    """Defines the command's flags in `values`."""
    for name, meaning in (
        ("days_dir", "Folder of the daily logs."),
        ("work_dir", "Folder for the ledger, the plot and the days' models."),
        ("export_dir", "Folder of the versions, which a server watches."),
    ):
        flags.DEFINE_string(name, None, meaning, flag_values=values, required=True)
    log_flags.define_column_flags(values)
    flags.DEFINE_float(
        "margin",
        0.01,
        "Export unless recall@20 is lower than the serving model's by more than this, in absolute terms.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "warm_start_from",
        None,
        "Folder of a model that the first day goes on from; without it the first day starts from nothing.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "first_epochs",
        0,
        "Epochs of a first day that starts from nothing; 0: --n_epochs.",
        flag_values=values,
    )
    define_hyperparameter_flags(values)
    define_warm_start_flags(values)
    define_checkpoint_flags(values)
    flags.DEFINE_integer("top_k", 20, "Items in a recommendation of the exports.", 1, flag_values=values)
    flags.DEFINE_integer("max_sessions", 1_000_000, "Live sessions an export holds.", 1, flag_values=values)
    flags.DEFINE_float(
        "idle_seconds", 1800.0, "A session not used for so long is forgotten.", 0.001, flag_values=values
    )
    flags.DEFINE_bool(
        "exclude_seen", False, "Recommend no item that the session has seen.", flag_values=values
    )


def main(values: flags.FlagValues) -> int:
    """Works all days that are not done; returns the exit code."""
    first_model = values["warm_start_from"].value
    old_settings = settings_of(first_model)
    model_config = read_config(GRU4RecConfig, values, old_settings["model"])
    training_config = read_config(TrainingConfig, values, old_settings["training"])
    warm_config = read_config(WarmStartConfig, values)

    import tensorflow as tf

    from tfrs_gru4rec.upkeep.day_loop import DayLoop, DayLoopConfig

    # Each day has a model of its own size, so TensorFlow would warn at every one that it traces anew.
    tf.get_logger().setLevel("ERROR")
    config = DayLoopConfig(
        model_config,
        training_config,
        warm_config,
        first_epochs=values["first_epochs"].value,
        first_model=first_model,
        margin=values["margin"].value,
        checkpoints=read_config(CheckpointConfig, values),
        columns=log_flags.columns(values),
    )
    publisher = SavedModelVersions(values["export_dir"].value, {name: values[name].value for name in _EXPORT})
    loop = DayLoop(values["days_dir"].value, values["work_dir"].value, publisher, config)
    entries = loop.run()
    print(_table(entries) if entries else "No day to work: each needs the following day's log to be there.")
    return 0


class SavedModelVersions:
    """Publishes models as the versions of an export folder."""

    def __init__(self, export_dir: str, settings: Mapping[str, Any]) -> None:
        """Remembers where and how; `settings` are those of `export_saved_model`."""
        self._export_dir = export_dir
        self._settings = settings

    def next_version(self) -> int:
        """Returns the largest number so far plus 1."""
        from tfrs_gru4rec.export.publishing import versions

        return max(versions(self._export_dir), default=0) + 1

    def has(self, version: int) -> bool:
        """Tells whether a version is there, which it is only when it is whole."""
        from tfrs_gru4rec.export.publishing import versions

        return version in versions(self._export_dir)

    def publish(self, model: Any, version: int) -> None:
        """Writes and verifies a version."""
        from tfrs_gru4rec.export.saved_model import export_saved_model

        export_saved_model(model, self._export_dir, version, **self._settings)


def _table(entries: list[dict[str, Any]]) -> str:
    lines = [f"{'day':16}{'stale':>9}{'serving':>9}{'refreshed':>11}{'items':>9}{'new':>7}{'version':>9}"]
    for entry in entries:
        recalls = [
            entry[name]["recall"] if entry[name] else None for name in ("stale", "serving", "refreshed")
        ]
        cells = [
            f"{recall:{width}.4f}" if recall is not None else " " * width
            for recall, width in zip(recalls, (9, 9, 11), strict=True)
        ]
        version = entry["version"] if entry["version"] is not None else "held"
        lines.append(f"{entry['day']:16}{''.join(cells)}{entry['items']:9}{entry['new_items']:7}{version:>9}")
    return "\n".join(["recall@20 over all pairs of the following day:", *lines])


def run() -> None:
    """Runs the command."""
    run_command("gru4rec-daily", define_flags, main)


if __name__ == "__main__":
    run()
