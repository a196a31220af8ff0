"""What happens around training steps: records of the epochs, checkpoints, lines in the log."""

import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from absl import logging

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.atomic_files import write_text
from tfrs_gru4rec.config import CheckpointConfig
from tfrs_gru4rec.distribution import Workers
from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training.best_epoch import MRR, RECALL, is_past_the_best
from tfrs_gru4rec.training.checkpoints import Checkpointer
from tfrs_gru4rec.training.stop_request import Stopped, StopRequest

_SECONDS_BETWEEN_LINES = 10.0  # within an epoch


class DivergedError(ArithmeticError):
    """The loss is not finite any more."""


def measure(model: GRU4Rec, log: SessionLog) -> dict[str, float]:
    """Returns what the chief measures in validation after an epoch, see `RECALL` and `MRR`."""

    def figures() -> dict[str, float]:
        found = evaluate(model, log)
        return {RECALL: found.recall(20), MRR: found.mrr(20)}

    return dict(Workers(model.distribute_strategy).of_chief(figures))


class EpochRecords(keras.callbacks.Callback):
    """Keeps one record for each epoch, and ends a run that diverges or has not become better in validation for long.

    It knows only the epochs' records, which checkpoints hold, so a run that was stopped ends where it would have.

    Attributes:
      records: for each epoch `loss`, `seconds`, `steps`, `steps_per_second`, `events_per_second`, what `measure` gave,
        and any other metric that Keras reports for it.
    """

    # Keras then hands over the very dict that later callbacks read.
    _supports_tf_logs = True

    def __init__(
        self,
        n_events: int,
        block_steps: int,
        stop: StopRequest,
        first_step: int = 0,
        records: list[dict[str, Any]] | None = None,
        validation_log: SessionLog | None = None,
        early_stop_epochs: int = 0,
    ) -> None:
        """Starts where the run stands.

        Args:
          n_events: pairs of an epoch.
          block_steps: steps of a block.
          stop: while one waits nothing is measured; the run that goes on makes up for it.
          first_step: steps of the first epoch that were done before.
          records: of epochs done before.
          validation_log: what each epoch is measured on.
          early_stop_epochs: end the run when the best epoch lies so many epochs back; 0: never.
        """
        super().__init__()
        self.records = list(records or [])
        self._n_events = n_events
        self._block_steps = block_steps
        self._stop = stop
        self._steps_before = first_step
        self._validation_log = validation_log
        self._early_stop_epochs = early_stop_epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes the loss of the steps before a stop, which Keras forgets when it begins an epoch."""
        self._loss_before = self.model.loss_tracker.get_weights() if self._steps_before else None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        if self._loss_before is not None:
            self.model.loss_tracker.set_weights(self._loss_before)
            self._loss_before = None
        self._first_step = int(self.model.train_steps.numpy())
        self._started = self._last_time = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the throughput of the epoch so far.

        Raises:
          DivergedError: the loss is not finite; the message says since which step. Older checkpoints stay as they are.
        """
        self._last_time = time.monotonic()
        logs = {} if logs is None else logs
        steps_of_epoch = self.params["steps"] * self._block_steps
        logs["events_per_second"] = self._steps_per_second() * self._n_events / steps_of_epoch
        loss = float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            step = int(self.model.first_bad_step.numpy())
            raise DivergedError(
                f"The loss became {loss} at step {step} of the run, and that step changed no weight. Try a lower "
                "--learning_rate, a lower --momentum, --clip_norm 1, or for bpr-max a larger --bpreg or "
                "--final_act elu-1. The last checkpoint is good."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures the epoch, keeps its record, and ends the run if it is time."""
        logs = {} if logs is None else logs
        if self._validation_log is not None and not self._stop.is_set:
            logs.update(measure(self.model, self._validation_log))
        steps = self._steps() + self._steps_before
        rate = self._steps_per_second()
        logs["steps_per_second"] = rate
        logs["events_per_second"] = rate * self._n_events / steps
        record = {name: float(value) for name, value in logs.items()}
        self.records.append({**record, "seconds": self._last_time - self._started, "steps": steps})
        self._steps_before = 0
        if is_past_the_best(self.records, self._early_stop_epochs):
            logging.info("No better validation in %d epochs: the run ends.", self._early_stop_epochs)
            self.model.stop_training = True

    def _steps(self) -> int:
        return int(self.model.train_steps.numpy()) - self._first_step

    def _steps_per_second(self) -> float:
        return self._steps() / max(self._last_time - self._started, 1e-9)


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves after every epoch, every so many steps or minutes if asked, and before a stop that was requested."""

    def __init__(
        self,
        checkpointer: Checkpointer,
        records: list[dict[str, Any]],
        table_path: Path,
        stop: StopRequest,
        config: CheckpointConfig,
        block_steps: int,
    ) -> None:
        """Remembers what to save.

        Args:
          checkpointer: that saves.
          records: of the epochs done; `EpochRecords`, which adds to them, must come earlier in the list of callbacks.
          table_path: CSV file of the records, written whole each time, so that a resumed run repeats no row.
          stop: looked at after each block of steps.
          config: how often; steps are counted in whole blocks.
          block_steps: steps of a block.
        """
        super().__init__()
        self._checkpointer = checkpointer
        self._records = records
        self._table_path = table_path
        self._stop = stop
        self._config = config
        self._block_steps = block_steps
        self._saved_at = time.monotonic()
        self._saved_step = checkpointer.progress.step
        self._epoch = checkpointer.progress.epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves if it is time.

        Raises:
          Stopped: a stop was requested; the run's state is saved.
        """
        if batch + 1 >= self.params["steps"]:
            return  # the end of the epoch saves
        done = (batch + 1) * self._block_steps
        if self._is_due(done) or self._stop.is_set:
            self._save(self._epoch, done)
        self._leave_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the epoch.

        Raises:
          Stopped: a stop was requested; the run's state is saved.
        """
        rows = [{"epoch": number, **record} for number, record in enumerate(self._records)]
        # The last epoch's checkpoint is not yet saved.
        table = pd.DataFrame(rows).drop(columns="checkpoint", errors="ignore")
        write_text(self._table_path, table.to_csv(index=False))
        if self.model.stop_training:
            self._checkpointer.progress.end(self.params["epochs"])
        self._save(epoch + 1, 0)
        self._leave_if_asked()

    def _is_due(self, done: int) -> bool:
        steps, minutes = self._config.checkpoint_steps, self._config.checkpoint_minutes
        by_steps = bool(steps) and done - self._saved_step >= steps
        by_time = bool(minutes) and time.monotonic() - self._saved_at >= 60 * minutes
        return by_steps or by_time

    def _save(self, epoch: int, step: int) -> None:
        self._checkpointer.save(epoch, step, self._records)
        self._saved_step, self._saved_at = step, time.monotonic()

    def _leave_if_asked(self) -> None:
        if self._stop.signal is not None:
            name = signal.Signals(self._stop.signal).name
            logging.warning("Stopped by %s, and saved; the same command goes on from here.", name)
            raise Stopped(self._stop.signal)


class LogProgress(keras.callbacks.Callback):
    """Says how far the run is: within an epoch after its first block and then every ten seconds, and at its end."""

    def __init__(self, within_epochs: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """Remembers how much to say; must come later in the list of callbacks than those that add to the logs.

        Args:
          within_epochs: whether to report within epochs, or at their ends alone.
          clock: returns the time now, in seconds.
        """
        super().__init__()
        self._within_epochs, self._clock = within_epochs, clock
        self._reported = -math.inf
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports if it is time."""
        now, n_blocks = self._clock(), self.params["steps"]
        if self._within_epochs and now - self._reported >= _SECONDS_BETWEEN_LINES and batch + 1 < n_blocks:
            self._reported = now
            self._say(f", {(batch + 1) / n_blocks:.0%}", logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports the epoch."""
        self._reported = self._clock()
        self._say("", logs or {})

    def _say(self, share: str, logs: dict[str, Any]) -> None:
        figures = [f"{name} {float(logs[name]):.4f}" for name in ("loss", RECALL, MRR) if name in logs]
        if "events_per_second" in logs:
            figures.append(f"{float(logs['events_per_second']):,.0f} events/s")
        logging.info(
            "Epoch %d of %d%s: %s.", self._epoch + 1, self.params["epochs"], share, ", ".join(figures)
        )
