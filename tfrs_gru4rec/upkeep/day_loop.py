"""A model kept current day by day: retrain, compare on the next day, export if it is no worse.

For each daily log that has a successor: (1) train on it, from the day before's model on; (2) evaluate the refreshed
model, the stale one (that of the first day) and the one that is serving on the following day; (3) export the refreshed
one unless it is worse than the serving one by more than a margin; (4) write the day into the ledger.

Recall here is hits / all pairs of the following day's log: a pair whose items a model does not know is a miss, so a
model is not better for knowing less. `recall_known` is the usual recall over the pairs of known items.

The ledger is the truth. What was done of a day before a stop is found again in the day's folder: training goes on from
its last checkpoint, and a version that was published is not published again, because its number was noted before.
"""

import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from absl import logging

from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.checks import require, require_at_least, require_positive
from tfrs_gru4rec.config import CheckpointConfig, DailyConfig, GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.evaluation.plots import plot_days
from tfrs_gru4rec.evaluation.report import make_report
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training.fit import fit
from tfrs_gru4rec.training.model_folder import ModelFolder, load_model
from tfrs_gru4rec.upkeep.carried_rows import last_seen
from tfrs_gru4rec.upkeep.day_logs import day_files, in_rows_of
from tfrs_gru4rec.upkeep.ledger import Ledger
from tfrs_gru4rec.upkeep.warm_start import WarmStart, keep_last_seen


class Publisher(Protocol):
    """Where versions go; `export` has one for SavedModels."""

    def next_version(self) -> int:
        """Returns a number that no version has yet."""

    def has(self, version: int) -> bool:
        """Tells whether a version is published, whole."""

    def publish(self, model: GRU4Rec, version: int) -> None:
        """Publishes a model, whole or not at all."""


@dataclasses.dataclass(frozen=True)
class DayLoopConfig:
    """How days are worked.

    Attributes:
      model: what the model is.
      training: how it is trained each day.
      warm_start: how each day goes on from the day before.
      first_epochs: epochs of the first day, if it starts without a model; 0 for those of `training`.
      first_model: folder of a model that the first day goes on from; None starts from nothing.
      margin: by how much recall may be lower than the serving model's for an export, absolute, in [0, 1].
      k: list length of the recall compared.
      checkpoints: when a day's training is saved.
      columns: names of the logs' columns, as in `SessionLog.from_file`.
    """

    model: GRU4RecConfig
    training: TrainingConfig
    warm_start: WarmStartConfig
    first_epochs: int = DailyConfig.first_epochs
    first_model: str | os.PathLike[str] | None = None
    margin: float = DailyConfig.margin
    k: int = 20
    checkpoints: CheckpointConfig = CheckpointConfig()
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the settings that are its own.

        Raises:
          ValueError: a value is out of its range.
        """
        require_at_least(0, first_epochs=self.first_epochs)
        require(0 <= self.margin <= 1, "margin must lie in [0, 1].", margin=self.margin)
        require_positive(k=self.k)


class DayLoop:
    """Works the days of a folder of logs, one after the other.

    Attributes:
      ledger: what is done.
    """

    def __init__(
        self,
        days_dir: str | os.PathLike[str],
        work_dir: str | os.PathLike[str],
        publisher: Publisher,
        config: DayLoopConfig,
    ) -> None:
        """Reads the ledger of a working folder.

        Args:
          days_dir: daily logs, see `day_files`.
          work_dir: for ledger.json, daily.png and a folder for each day below days/.
          publisher: of the versions.
          config: how.
        """
        self._days_dir = days_dir
        self._path = Path(work_dir)
        self._publisher = publisher
        self._config = config
        self.ledger = Ledger(self._path / "ledger.json")

    def pending(self) -> list[tuple[str, Path, Path]]:
        """Returns the days to work, oldest first: name, its log and the following day's."""
        files = day_files(self._days_dir)
        done = self.ledger.names
        newest = done[-1] if done else ""
        late = [name for name in files if name not in done and name < newest]
        if late:
            logging.warning("Left out, because %s is done already: %s.", newest, ", ".join(late))
        open_days = [name for name in files if name > newest]
        return [
            (name, files[name], files[after])
            for name, after in zip(open_days[:-1], open_days[1:], strict=True)
        ]

    def run(self) -> list[dict[str, Any]]:
        """Works all pending days; stop it anywhere, and the next call goes on.

        Returns:
          The entries of the days done by this call.

        Raises:
          BlockingIOError: another process works in the same folder.
          DivergedError: a day's training diverged; it is not entered.
          ValueError: a day's log is unusable.
          OSError: a folder cannot be written to.
        """
        entries = []
        with _only_one(self._path):
            self.ledger = Ledger(self.ledger.path)
            for name, path, next_path in self.pending():
                logging.info("Day %s: training; then evaluation on %s.", name, next_path.name)
                entries.append(self._work(name, path, next_path))
                self.ledger.append(entries[-1])
                self._prune()
                plot_days(self.ledger.days, self._path / "daily.png", self._config.k)
        return entries

    def _work(self, name: str, path: Path, next_path: Path) -> dict[str, Any]:
        started = time.monotonic()
        folder = ModelFolder(self._folder(name))
        model, found = self._train(folder, path)
        trained = time.monotonic()
        compared = self._compare(name, model, SessionLog.from_file(next_path, **self._config.columns))
        version = self._export(folder.path, model, compared)
        return {
            "day": name,
            "next_day": next_path.name,
            "items": model.vocabulary.n_items,
            **found,
            **compared,
            "version": version,
            "training_seconds": trained - started,
            "seconds": time.monotonic() - started,
        }

    def _train(self, folder: ModelFolder, path: Path) -> tuple[GRU4Rec, dict[str, Any]]:
        config, log = self._config, SessionLog.from_file(path, **self._config.columns)
        previous = self._folder(self.ledger.names[-1]) if self.ledger.days else config.first_model
        start = WarmStart(previous, log, config.warm_start) if previous else None
        log = start.log if start else log
        training = config.training
        if start is None and config.first_epochs:
            training = dataclasses.replace(training, n_epochs=config.first_epochs)
        model = GRU4Rec(log.vocabulary, config.model)
        prepare = start.apply if start else None
        epochs = fit(model, log, training, folder, checkpoints=config.checkpoints, prepare=prepare)
        keep_last_seen(folder, log.vocabulary, start.last_seen if start else last_seen(log))
        summary = start.summary() if start else None
        report = make_report(config.model, training, log, epochs, warm_start=summary)
        write_json(folder.report_path, report)
        new_items = start.rows.n_new if start else log.vocabulary.n_items
        return model, {
            "events": log.n_events,
            "new_items": new_items,
            "retired_items": start.rows.n_retired if start else 0,
        }

    def _compare(self, name: str, model: GRU4Rec, log: SessionLog) -> dict[str, Any]:
        """Evaluates the refreshed, the stale and the serving model; those that are the same only once."""
        serving = self.ledger.serving
        days = {
            "refreshed": name,
            "stale": self.ledger.names[0] if self.ledger.days else name,
            "serving": serving["day"] if serving else None,
        }
        figures: dict[str | None, dict[str, Any] | None] = {None: None, name: self._figures(model, log)}
        for day in days.values():
            if day not in figures:
                figures[day] = self._figures(load_model(self._folder(str(day))), log)
        return {role: figures[day] for role, day in days.items()}

    def _figures(self, model: GRU4Rec, log: SessionLog) -> dict[str, Any]:
        known = in_rows_of(log, model.vocabulary)
        k = self._config.k
        found: dict[str, Any] = {
            "pairs": log.n_pairs,
            "known_pairs": known.n_pairs,
            "dropped_events": known.dropped_events,
        }
        if not known.n_pairs:
            return {"recall": 0.0, "mrr": 0.0, "recall_known": 0.0, **found}
        evaluation = evaluate(model, known)
        share = known.n_pairs / log.n_pairs
        recall = evaluation.recall(k)
        return {"recall": recall * share, "mrr": evaluation.mrr(k) * share, "recall_known": recall, **found}

    def _export(self, folder: Path, model: GRU4Rec, compared: Mapping[str, Any]) -> int | None:
        """Publishes the model if it is good enough; returns the version, None if it is not."""
        note = folder / "version.json"
        if not note.exists():
            refreshed, serving = compared["refreshed"], compared["serving"]
            if serving and refreshed["recall"] < serving["recall"] - self._config.margin:
                logging.warning(
                    "Not exported: recall@%d %.4f, and %.4f of the serving model.",
                    self._config.k,
                    refreshed["recall"],
                    serving["recall"],
                )
                return None
            write_json(note, {"version": self._publisher.next_version()})
        version = int(json.loads(note.read_text(encoding="utf-8"))["version"])
        if not self._publisher.has(version):
            self._publisher.publish(model, version)
        return version

    def _prune(self) -> None:
        """Removes the checkpoints of models that no later day will ask for; what they were is kept."""
        serving = self.ledger.serving
        names = self.ledger.names
        needed = {names[0], names[-1], serving["day"] if serving else None}
        for name in names:
            if name not in needed:
                shutil.rmtree(ModelFolder(self._folder(name)).checkpoints_path, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        return self._path / "days" / name


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Keeps a second process out of a working folder; the lock ends with the process, however that ends."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"Another process is at work in {path}; wait until it has ended."
            ) from error
        yield
