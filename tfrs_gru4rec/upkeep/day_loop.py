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
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from tfrs_gru4rec.atomic_files import remove_folder, write_json
from tfrs_gru4rec.checks import require
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
      days: where the days are, and when one is trained on, exported and kept.
      k: list length of the recall compared.
      checkpoints: when a day's training is saved.
      columns: names of the logs' columns, as in `SessionLog.from_file`.
    """

    model: GRU4RecConfig
    training: TrainingConfig
    warm_start: WarmStartConfig
    days: DailyConfig
    k: int = 20
    checkpoints: CheckpointConfig = CheckpointConfig()
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks what the inner configs cannot check by themselves.

        Raises:
          ValueError: there are to be days without training, and no neighbours to learn on them.
        """
        every, first = self.days.train_every, self.days.warm_start_from
        rule = (
            "Days without training are for neighbours: give train_every=1, or a first model (--warm_start_from) that "
            "was trained with --fusion and has neighbours."
        )
        has_neighbours = first is not None and (first / FUSION_FILE).exists()
        require(every == 1 or has_neighbours, rule, train_every=every, warm_start_from=first)


class DayLoop:
    """Works the days of a folder of logs, one after the other.

    Attributes:
      ledger: the days that are done and what came of them.

    Example:
      The last day waits for its successor.

      >>> import tempfile
      >>> logs, work = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
      >>> for name in ("monday.tsv", "tuesday.tsv"):
      ...     (logs / name).touch()
      >>> days = DailyConfig(logs, work, export_dir=work / "exports")
      >>> config = DayLoopConfig(GRU4RecConfig(), TrainingConfig(), WarmStartConfig(), days)
      >>> loop = DayLoop(publisher=None, config=config)
      >>> [(name, following.name) for name, _, following in loop.pending()]
      [('monday', 'tuesday.tsv')]
    """

    def __init__(self, publisher: Publisher, config: DayLoopConfig) -> None:
        """Reads the ledger of the working folder: ledger.json, daily.png and a model folder for each day below days/.

        Args:
          publisher: where versions go.
          config: settings.
        """
        self._path = config.days.work_dir
        self._publisher = publisher
        self._config = config
        self.ledger = Ledger(self._path / "ledger.json")

    def pending(self) -> list[tuple[str, Path, Path]]:
        """Returns the days to work, oldest first: name, its log and the following day's."""
        files = day_files(self._config.days.days_dir)
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
        days = config.days
        previous = self._folder(trained[-1]["day"]).path if trained else days.warm_start_from
        if previous and columns.get("item_type", "auto") == "auto":
            columns["item_type"] = ModelFolder(previous).vocabulary().item_type
        log = SessionLog.from_file(path, **columns)
        start = WarmStart(previous, log, config.warm_start) if previous else None
        log = start.log if start else log
        training = config.training
        if start is None and days.first_epochs:
            training = dataclasses.replace(training, n_epochs=days.first_epochs)
        elif start is not None and (not days.train_every or len(trained) % days.train_every):
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
                found[day] = measure_day(measured, log, self._config.k)
        return {role: found[day][0] for role, day in days.items()}, found[name][1]

    def _export(self, name: str, model: GRU4Rec | FusedModel, compared: Mapping[str, Any]) -> int | None:
        """Publishes the model if it is good enough; returns the version, None if it is not."""
        note = self._folder(name).path / "version.json"
        refreshed, serving = compared["refreshed"]["recall"], (compared["serving"] or {}).get("recall", 0.0)
        if not note.exists() and refreshed < serving - self._config.days.margin:
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
        kept = needed | set(names[-self._config.days.keep_days :])
        for name in names:
            if name not in kept:
                remove_folder(self._folder(name).path)
            elif name not in needed:
                (self._folder(name).path / FUSION_FILE).unlink(missing_ok=True)
                remove_folder(self._folder(name).checkpoints_path)

    def _folder(self, name: str) -> ModelFolder:
        return ModelFolder(self._path / "days" / name)
