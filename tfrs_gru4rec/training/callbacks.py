"""What happens around training steps: throughput, checkpoints, a stop when the loss diverges."""

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
from tfrs_gru4rec.training.best_epoch import MRR, RECALL
from tfrs_gru4rec.training.checkpoints import Checkpointer
from tfrs_gru4rec.training.stop_request import Stopped, StopRequest


class DivergedError(ArithmeticError):
    """The loss is not finite any more."""


class Throughput(keras.callbacks.Callback):
    """Adds events_per_second to the logs and keeps one record for each epoch.

    Attributes:
      records: for each epoch `loss`, `seconds`, `steps`, `steps_per_second`, `events_per_second`, and any other
        metric that Keras reports for it.
    """

    # Keras then hands over the very dict that its progress bar shows.
    _supports_tf_logs = True

    def __init__(
        self,
        n_events: int,
        block_steps: int,
        first_step: int = 0,
        records: list[dict[str, Any]] | None = None,
    ) -> None:
        """Starts a list of records.

        Args:
          n_events: pairs of an epoch.
          block_steps: steps of a block.
          first_step: steps of the first epoch that were done before.
          records: of epochs done before.
        """
        super().__init__()
        self.records = list(records or [])
        self._n_events = n_events
        self._block_steps = block_steps
        self._steps_before = first_step

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._first_step = int(self.model.train_steps)
        self._started = self._last_time = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the throughput of the epoch so far."""
        self._last_time = time.monotonic()
        if logs is not None:
            steps_of_epoch = self.params["steps"] * self._block_steps
            logs["events_per_second"] = self._steps_per_second() * self._n_events / steps_of_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the epoch's record."""
        logs = {} if logs is None else logs
        steps = self._steps() + self._steps_before
        rate = self._steps_per_second()
        logs["steps_per_second"] = rate
        logs["events_per_second"] = rate * self._n_events / steps
        record = {name: float(value) for name, value in logs.items()}
        self.records.append({**record, "seconds": self._last_time - self._started, "steps": steps})
        self._steps_before = 0

    def _steps(self) -> int:
        return int(self.model.train_steps) - self._first_step

    def _steps_per_second(self) -> float:
        return self._steps() / max(self._last_time - self._started, 1e-9)


class StopWhenDiverged(keras.callbacks.Callback):
    """Stops with an error as soon as a loss is NaN or infinite; older checkpoints are left as they are."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the loss.

        Raises:
          DivergedError: the loss is not finite; the message says since which step.
        """
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            step = int(self.model.first_bad_step)
            raise DivergedError(
                f"The loss became {loss} at step {step} of the run, and that step changed no weight. Try a lower "
                "--learning_rate, a lower --momentum, --clip_norm 1, or for bpr-max a larger --bpreg or "
                "--final_act elu-1. The last checkpoint is good."
            )


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves after every epoch, every so many steps or minutes if asked, and before a stop that was requested."""

    def __init__(
        self,
        checkpointer: Checkpointer,
        throughput: Throughput,
        stop: StopRequest,
        config: CheckpointConfig,
        block_steps: int,
    ) -> None:
        """Remembers what to save.

        Args:
          checkpointer: that saves.
          throughput: that has the records of the epochs done; it must come earlier in the list of callbacks.
          stop: looked at after each block of steps.
          config: how often; steps are counted in whole blocks.
          block_steps: steps of a block.
        """
        super().__init__()
        self._checkpointer = checkpointer
        self._throughput = throughput
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
        self._checkpointer.save(epoch, step, self._throughput.records)
        self._saved_step, self._saved_at = step, time.monotonic()

    def _leave_if_asked(self) -> None:
        if self._stop.signal is not None:
            name = signal.Signals(self._stop.signal).name
            logging.warning("Stopped by %s, and saved; the same command goes on from here.", name)
            raise Stopped(self._stop.signal)


class LogProgress(keras.callbacks.Callback):
    """Says how far the run is: within an epoch after its first block and then every ten seconds, and at its end."""

    def __init__(
        self,
        within_epochs: bool,
        clock: Callable[[], float] = time.monotonic,
        seconds_between_lines: float = 10.0,
    ) -> None:
        """Remembers how much to say; must come later in the list of callbacks than those that add to the logs.

        Args:
          within_epochs: whether to report within epochs, or at their ends alone.
          clock: returns the time now, in seconds.
          seconds_between_lines: the least time from one line to the next within an epoch.
        """
        super().__init__()
        self._within_epochs, self._clock = within_epochs, clock
        self._seconds_between_lines = seconds_between_lines
        self._reported = -math.inf
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports if it is time."""
        now, n_blocks = self._clock(), self.params["steps"]
        if (
            self._within_epochs
            and now - self._reported >= self._seconds_between_lines
            and batch + 1 < n_blocks
        ):
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


class WriteEpochs(keras.callbacks.Callback):
    """Writes the epochs' records as a CSV file, whole each time, so that a resumed run repeats no row."""

    def __init__(self, throughput: Throughput, path: Path) -> None:
        """Remembers what to write where; `throughput` must come earlier in the list of callbacks."""
        super().__init__()
        self._throughput = throughput
        self._path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the file."""
        rows = [{"epoch": number, **record} for number, record in enumerate(self._throughput.records)]
        table = pd.DataFrame(rows).drop(
            columns="checkpoint", errors="ignore"
        )  # the last one is not yet saved
        write_text(self._path, table.to_csv(index=False))


class KeepEpochLoss(keras.callbacks.Callback):
    """Gives a resumed epoch the loss of its steps before the stop, which Keras forgets when it begins an epoch."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes what the checkpoint held."""
        self._values: list[Any] | None = self.model.loss_tracker.get_weights()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts it back, once."""
        if self._values is not None:
            self.model.loss_tracker.set_weights(self._values)
            self._values = None
