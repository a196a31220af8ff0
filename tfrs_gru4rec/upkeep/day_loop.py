"""A model kept current day by day: retrain, compare on the next day, export if it is no worse.

For each daily log that has a successor: (1) train on it, from the day before's model on, and add it to the tables of
the model's neighbours, if it is fused with some; (2) evaluate the refreshed model, the stale one (that of the first
day) and the one that is serving on the following day, and write the day's report; (3) export the refreshed one unless
its recall is lower than the serving one's by more than a margin; (4) write the day into the ledger.

The ledger is the truth. What was done of a day before a stop is found again in the day's folder: training goes on from
its last checkpoint, and a version that was published is not published again (`publish_once`). A day that was begun with
another log or other settings, or whose folder is damaged, starts again. A day whose item ids are not of the models'
type is held back: its entry says why, no model learns from it, and what is serving goes on.
"""

import dataclasses
import functools
import itertools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from tfrs_gru4rec.atomic_files import remove_folder, write_json
from tfrs_gru4rec.checks import require, require_at_least, require_positive
from tfrs_gru4rec.config import CheckpointConfig, DailyConfig, GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.evaluation.fused import FusedModel, keep_fusion, with_fusion
from tfrs_gru4rec.evaluation.html_report import show_report
from tfrs_gru4rec.evaluation.plots import plot_days
from tfrs_gru4rec.evaluation.report import describe_test, make_report
from tfrs_gru4rec.events.id_codes import WrongIdType
from tfrs_gru4rec.folder_lock import lock_folder
from tfrs_gru4rec.metrics import RankedPairs
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fusion import FILE as FUSION_FILE
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training.checkpoints import train_or_begin_again
from tfrs_gru4rec.training.fit import fit
from tfrs_gru4rec.training.model_folder import ModelFolder, load_model
from tfrs_gru4rec.upkeep.carried_rows import last_seen
from tfrs_gru4rec.upkeep.day_figures import measure_day
from tfrs_gru4rec.upkeep.day_logs import day_files
from tfrs_gru4rec.upkeep.ledger import Ledger
from tfrs_gru4rec.upkeep.publisher import Publisher, publish_once
from tfrs_gru4rec.upkeep.warm_start import WarmStart, keep_last_seen


@dataclasses.dataclass(frozen=True)
class DayLoopConfig:
    """Settings of the day loop.

    Attributes:
      model: hyperparameters of the model.
      training: how the model is trained each day.
      warm_start: how each day goes on from the day before.
      first_epochs: epochs of the first day, if it starts without a model; 0 for those of `training`.
      train_every: of how many days the GRU is trained on one, the first; 0: on none but a first day that starts from
        nothing. On the others only the neighbours learn.
      first_model: folder of a model that the first day goes on from; None starts from nothing.
      margin: by how much recall may be lower than the serving model's for an export, absolute, in [0, 1].
      k: list length of the recall compared.
      keep_days: newest days whose folders are kept; 0 for all. Those of the first day and of the serving one stay.
      checkpoints: when a day's training is saved.
      columns: names of the logs' columns, as in `SessionLog.from_file`.
    """

    model: GRU4RecConfig
    training: TrainingConfig
    warm_start: WarmStartConfig
    first_epochs: int = DailyConfig.first_epochs
    train_every: int = DailyConfig.train_every
    first_model: str | os.PathLike[str] | None = None
    margin: float = DailyConfig.margin
    k: int = 20
    keep_days: int = DailyConfig.keep_days
    checkpoints: CheckpointConfig = CheckpointConfig()
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the settings that are not checked where the inner configs are made.

        Raises:
          ValueError: a value is out of its range.
        """
        counts = {"first_epochs": self.first_epochs, "keep_days": self.keep_days}
        require_at_least(0, train_every=self.train_every, **counts)
        has_neighbours = bool(self.first_model) and Path(self.first_model or "", FUSION_FILE).exists()
        rule = (
            "Days without training are for neighbours: give train_every=1, or a first model (--warm_start_from) that "
            "was trained with --fusion and has neighbours."
        )
        require(
            self.train_every == 1 or has_neighbours,
            rule,
            train_every=self.train_every,
            first_model=self.first_model,
        )
        require(0 <= self.margin <= 1, "margin must lie in [0, 1].", margin=self.margin)
        require_positive(k=self.k)


class DayLoop:
    """Works the days of a folder of logs, one after the other.

    Attributes:
      ledger: the days that are done and what came of them.

    Example:
      The last day waits for its successor.

      >>> import tempfile
      >>> logs, work = Path(tempfile.mkdtemp()), tempfile.mkdtemp()
      >>> for name in ("monday.tsv", "tuesday.tsv"):
      ...     (logs / name).touch()
      >>> config = DayLoopConfig(GRU4RecConfig(), TrainingConfig(), WarmStartConfig())
      >>> loop = DayLoop(logs, work, publisher=None, config=config)
      >>> [(name, following.name) for name, _, following in loop.pending()]
      [('monday', 'tuesday.tsv')]
    """

    def __init__(
        self,
        days_dir: str | os.PathLike[str],
        work_dir: str | os.PathLike[str],
        publisher: Publisher,
        config: DayLoopConfig,
        measure: Callable[
            [GRU4Rec | FusedModel, SessionLog, int], tuple[dict[str, Any], RankedPairs | None]
        ] = measure_day,
    ) -> None:
        """Reads the ledger of a working folder.

        Args:
          days_dir: folder of the daily logs, see `day_files`.
          work_dir: folder for ledger.json, daily.png and a model folder for each day below days/.
          publisher: where versions go.
          config: settings.
          measure: gives the figures of a model on the following day's log at a list length, of which `recall` decides,
            and the ranks behind them, for the day's report.
        """
        self._days_dir = days_dir
        self._path = Path(work_dir)
        self._publisher = publisher
        self._config = config
        self._measure = measure
        self.ledger = Ledger(self._path / "ledger.json")

    def pending(self) -> list[tuple[str, Path, Path]]:
        """Returns the days to work, oldest first: name, its log and the following day's."""
        files = day_files(self._days_dir)
        done = self.ledger.names
        newest = done[-1] if done else ""
        late = [name for name in files if name not in done and name < newest]
        if late:
            logging.warning("Left out, because %s is done already: %s.", newest, ", ".join(late))
        to_do = [(name, path) for name, path in files.items() if name > newest]
        return [(name, path, following) for (name, path), (_, following) in itertools.pairwise(to_do)]

    def run(self) -> list[dict[str, Any]]:
        """Works all pending days; stop it anywhere, and the next call goes on.

        Returns:
          The entries of the days done by this call.

        Raises:
          BlockingIOError: another process works in the same folder.
          DivergedError: a day's training diverged; the day is not entered.
          ValueError: a day's log is unusable.
          OSError: a folder cannot be written to.
        """
        entries = []
        with lock_folder(self._path):
            self.ledger = Ledger(self.ledger.path)  # another process may have worked here until now
            self._tidy()  # a call that was stopped may have left this undone
            for name, path, next_path in self.pending():
                logging.info("Day %s: training; then evaluation on %s.", name, next_path.name)
                entries.append(self._work(name, path, next_path))
                self.ledger.append(entries[-1])
                self._tidy()
        return entries

    def _work(self, name: str, path: Path, next_path: Path) -> dict[str, Any]:
        """Does all of a day but entering it; returns its entry."""
        started = time.monotonic()
        try:
            model, report, trained_on = self._train(self._folder(name), path)
        except WrongIdType as error:
            logging.error("Day %s is held back: %s", name, error)
            return {"day": name, "next_day": next_path.name, "version": None, "held_back": str(error)}
        trained = time.monotonic()
        # To be measured on, ids of the following day may be of any type.
        next_log = SessionLog.from_file(next_path, **{**self._config.columns, "item_type": "auto"})
        compared, found = self._compare(name, model, next_log)
        if found is not None:
            on = f"the following day, {next_path.name}"
            report["test"] = {"log": on, **describe_test(found, counts=model.vocabulary.counts)}
        report_path = self._folder(name).report_path
        write_json(report_path, report)
        show_report(report, report_path)
        return {
            "day": name,
            "next_day": next_path.name,
            "items": model.vocabulary.n_items,
            **trained_on,
            **compared,
            "version": self._export(name, model, compared),
            "training_seconds": trained - started,
            "seconds": time.monotonic() - started,
        }

    def _train(
        self, folder: ModelFolder, path: Path
    ) -> tuple[GRU4Rec | FusedModel, dict[str, Any], dict[str, int]]:
        """Trains on a day's log, from the newest model on; returns the model, its report and what it was trained on."""
        config, columns, trained = self._config, dict(self._config.columns), self.ledger.trained
        previous = self._folder(trained[-1]["day"]).path if trained else config.first_model
        if previous and columns.get("item_type", "auto") == "auto":
            columns["item_type"] = ModelFolder(previous).vocabulary().item_type
        log = SessionLog.from_file(path, **columns)
        start = WarmStart(previous, log, config.warm_start) if previous else None
        log = start.log if start else log
        training = config.training
        if start is None and config.first_epochs:
            training = dataclasses.replace(training, n_epochs=config.first_epochs)
        elif start is not None and (not config.train_every or len(trained) % config.train_every):
            training = dataclasses.replace(training, n_epochs=0)
        train = functools.partial(
            self._fit,
            log,
            training,
            folder,
            prepare=start.apply if start else None,
            checkpoints=config.checkpoints,
        )
        model, epochs = train_or_begin_again(train, folder.path)
        keep_last_seen(folder, log.vocabulary, start.last_seen if start else last_seen(log))
        summary = start.summary() if start else None
        report = make_report(config.model, training, log, epochs, warm_start=summary)
        return (
            keep_fusion(model, start.fusion() if start else None, folder.path),
            report,
            {
                "events": log.n_events,
                "epochs": len(epochs),
                "new_items": start.rows.n_new if start else log.vocabulary.n_items,
                "retired_items": start.rows.n_retired if start else 0,
            },
        )

    def _fit(self, log: SessionLog, *arguments: Any, **settings: Any) -> tuple[GRU4Rec, list[dict[str, Any]]]:
        model = GRU4Rec(log.vocabulary, self._config.model)
        return model, fit(model, log, *arguments, **settings)

    def _compare(
        self, name: str, model: GRU4Rec | FusedModel, log: SessionLog
    ) -> tuple[dict[str, dict[str, Any] | None], RankedPairs | None]:
        """Measures the refreshed, the stale and the serving model; those that are the same only once.

        Returns:
          The figures of each, and the ranks of the refreshed one.
        """
        serving = self.ledger.serving
        days = {
            "refreshed": name,
            "stale": self.ledger.trained[0]["day"] if self.ledger.trained else name,
            "serving": serving["day"] if serving else None,
        }
        found: dict[str | None, tuple[dict[str, Any] | None, RankedPairs | None]] = {None: (None, None)}
        for day in days.values():
            if day not in found:
                path = self._folder(str(day)).path
                measured = model if day == name else with_fusion(load_model(path), path)
                found[day] = self._measure(measured, log, self._config.k)
        return {role: found[day][0] for role, day in days.items()}, found[name][1]

    def _export(self, name: str, model: GRU4Rec | FusedModel, compared: Mapping[str, Any]) -> int | None:
        """Publishes the model if it is good enough; returns the version, None if it is not."""
        note = self._folder(name).path / "version.json"
        refreshed, serving = compared["refreshed"]["recall"], (compared["serving"] or {}).get("recall", 0.0)
        if not note.exists() and refreshed < serving - self._config.margin:
            found = (self._config.k, refreshed, serving)
            logging.warning("Not exported: recall@%d %.4f, and %.4f of the serving model.", *found)
            return None
        folder = self._folder(name)
        return publish_once(self._publisher, model, note, {**folder.settings(), **folder.report()})

    def _tidy(self) -> None:
        """Draws the curve, and removes what no later day asks for: weights, and with `keep_days` whole folders."""
        names, serving = [day["day"] for day in self.ledger.trained], self.ledger.serving
        if not names:
            return
        plot_path = self._path / "daily.png"
        if not plot_path.exists() or plot_path.stat().st_mtime < self.ledger.path.stat().st_mtime:
            plot_days(self.ledger.trained, plot_path, self._config.k)
        needed = {names[0], names[-1], serving["day"] if serving else None}
        kept = needed | set(names[-self._config.keep_days :])
        for name in names:
            if name not in kept:
                remove_folder(self._folder(name).path)
            elif name not in needed:
                (self._folder(name).path / FUSION_FILE).unlink(missing_ok=True)
                remove_folder(self._folder(name).checkpoints_path)

    def _folder(self, name: str) -> ModelFolder:
        return ModelFolder(self._path / "days" / name)
