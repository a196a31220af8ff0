"""gru4rec-daily: keeps a model current from a folder of daily logs, and exports a new version when it is no worse.

    gru4rec-daily --days_dir logs/ --work_dir daily/ --export_dir serving/shop --layers 100 --n_epochs 3

logs/ holds one file a day (TSV, CSV or Parquet, also gzipped), whose names sort by day, as 2024-05-01.tsv.gz. Each day
that has a successor is trained on, from the day before's model; the new model, the first one and the serving one are
compared on the following day's log; the new one becomes the next version of --export_dir unless its recall@20 is lower
than the serving one's by more than --margin. daily/ledger.json holds the figures, daily/daily.png the curve of recall
by day, daily/days/<day>/report.html what a day was trained on and reached. The first day's model is exported whatever
it is worth. Run the command whenever a new log has come, from cron for instance: days that are done are not done again,
and a run that was stopped goes on where it was.

If --warm_start_from names a model that is fused with neighbours, they learn from each day too and are exported; with
--train_every 7 the GRU is trained on one day of seven, and the neighbours learn on all.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.logs import columns_of_model
from tfrs_gru4rec.config import (
    CheckpointConfig,
    ColumnConfig,
    DailyConfig,
    ExportConfig,
    GRU4RecConfig,
    TrainingConfig,
    WarmStartConfig,
)


def main(
    days: DailyConfig,
    columns: ColumnConfig,
    model: GRU4RecConfig,
    training: TrainingConfig,
    warm_start: WarmStartConfig,
    checkpoints: CheckpointConfig,
    export: ExportConfig,
) -> int:
    """Works all days that are not done; returns the exit code."""
    logging.info("Looking for logs in %s.", days.days_dir)
    import tensorflow as tf

    if days.warm_start_from:
        columns = columns_of_model(columns, days.warm_start_from)
    columns = _columns_of_folder(columns, days.export_dir, export.top_k)
    from tfrs_gru4rec.upkeep.day_loop import DayLoop, DayLoopConfig

    # Each day has a model of its own size, so TensorFlow would warn at every one that it traces anew.
    tf.get_logger().setLevel("ERROR")
    config = DayLoopConfig(
        model, training, warm_start, days, checkpoints=checkpoints, columns=columns.to_dict()
    )
    publisher = SavedModelVersions(days.export_dir, export.to_dict())
    entries = DayLoop(publisher, config).run()
    print(_table(entries) if entries else "No day to work: each needs the following day's log to be there.")
    return 0


def _columns_of_folder(columns: ColumnConfig, export_dir: Path, top_k: int) -> ColumnConfig:
    """Has logs read with item ids of the type that is served, and refuses before training what cannot be exported."""
    from tfrs_gru4rec.export.contract import Contract, require_contract_kept, served_contract
    from tfrs_gru4rec.export.signatures import SIGNATURES

    served = served_contract(export_dir)
    if served is None:
        return columns
    if columns.item_type == "auto":
        columns = dataclasses.replace(columns, item_type=served[1].item_type)
    require_contract_kept(export_dir, Contract(columns.item_type, top_k, frozenset(SIGNATURES)))
    return columns


class SavedModelVersions:
    """Publishes models as the versions of an export folder."""

    def __init__(self, export_dir: Path, settings: Mapping[str, Any]) -> None:
        """Remembers where and how; `settings` are those of `export_saved_model`."""
        self._export_dir = export_dir
        self._settings = settings

    def next_version(self) -> int:
        """Returns the largest number so far plus 1."""
        from tfrs_gru4rec.export.publishing import versions

        return max(versions(self._export_dir), default=0) + 1

    def has(self, version: int) -> bool:
        """Tells whether a version is there, which it is only when it is whole, and sees to it that it stays."""
        from tfrs_gru4rec.atomic_files import flush_to_disk
        from tfrs_gru4rec.export.publishing import versions

        is_there = version in versions(self._export_dir)
        if is_there:
            flush_to_disk(self._export_dir)  # whoever published it may have been killed before it did
        return is_there

    def publish(self, model: Any, version: int, about: Mapping[str, Any]) -> None:
        """Writes and verifies a version."""
        from tfrs_gru4rec.evaluation.fused import FusedModel
        from tfrs_gru4rec.export.saved_model import export_saved_model

        gru, fusion = (model.model, model.fusion) if isinstance(model, FusedModel) else (model, None)
        export_saved_model(gru, self._export_dir, version, fusion=fusion, about=about, **self._settings)


def _table(entries: list[dict[str, Any]]) -> str:
    lines = [f"{'day':16}{'stale':>9}{'serving':>9}{'refreshed':>11}{'items':>9}{'new':>7}{'version':>9}"]
    for entry in entries:
        if "held_back" in entry:
            lines.append(f"{entry['day']:16} held back: {entry['held_back']}")
            continue
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


COMMAND = Command("gru4rec-daily", main, settings_from="warm_start_from", has_defaults=True)
run = COMMAND.run

if __name__ == "__main__":
    run()
