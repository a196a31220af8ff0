"""Validation after each epoch: callbacks that measure it, and that end a run in time."""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training.best_epoch import MRR, RECALL, is_past_the_best
from tfrs_gru4rec.training.stop_request import StopRequest


def measure(model: GRU4Rec, log: SessionLog) -> dict[str, float]:
    """Returns what is measured after an epoch, see `RECALL` and `MRR`."""
    found = evaluate(model, log)
    return {RECALL: found.recall(20), MRR: found.mrr(20)}


class MeasureEpochs(keras.callbacks.Callback):
    """Adds the measures of a log to the logs of each epoch; if a stop waits, the run that goes on makes up for it."""

    # Keras then hands over the very dict that the other callbacks read.
    _supports_tf_logs = True

    def __init__(self, log: SessionLog, stop: StopRequest) -> None:
        """Remembers what to evaluate on; must come earlier in the list of callbacks than those that read it."""
        super().__init__()
        self._log = log
        self._stop = stop

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluates."""
        if logs is not None and not self._stop.is_set:
            logs.update(measure(self.model, self._log))


class StopPastTheBest(keras.callbacks.Callback):
    """Ends a run whose validation has not become better for some epochs.

    It knows only the epochs' records, which checkpoints hold, so a run that was stopped ends where it would have.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]], patience: int) -> None:
        """Remembers where the records are; must come later in the list of callbacks than what adds to them."""
        super().__init__()
        self._records = records
        self._patience = patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends the run if it is time."""
        if is_past_the_best(self._records, self._patience):
            logging.info("No better validation in %d epochs: the run ends.", self._patience)
            self.model.stop_training = True
