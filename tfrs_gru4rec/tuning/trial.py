"""One trial of a study: a model trained with the settings to try, given up early where it shows no promise."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from absl import logging

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.metrics.figures import hits_at, reciprocal_ranks_at
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.session_knn import SessionKNN
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit
from tfrs_gru4rec.training.best_epoch import MRR, RECALL
from tfrs_gru4rec.training.callbacks import DivergedError
from tfrs_gru4rec.tuning.budget import Budget, OutOfTimeError, StopWhenSpent
from tfrs_gru4rec.tuning.search import value_of
from tfrs_gru4rec.tuning.space import SearchSpace

# What the slow kNN is asked in a trial: the standard error of a recall of one half is then .007.
KNN_QUESTIONS = 5000


class _Report(keras.callbacks.Callback):
    """Tells a trial the recall of each epoch, and asks whether it is worth to go on."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self._trial = trial
        self._told = set(_stored(trial).intermediate_values)
        self._seconds_before = trial.user_attrs.get("seconds", 0.0)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reports.

        Raises:
          optuna.TrialPruned: other trials did better with as many epochs.
        """
        if logs is None or RECALL not in logs:
            return  # a stop waits; the run that goes on measures
        if epoch + 1 not in self._told:
            self._trial.report(logs[RECALL], epoch + 1)
            if logs[RECALL] >= value_of(_stored(self._trial)):
                self._trial.set_user_attr("mrr", logs[MRR])
                self._trial.set_user_attr("best_epoch", epoch + 1)
        logging.info("Trial %d, epoch %d: recall@20 %.4f.", self._trial.number + 1, epoch + 1, logs[RECALL])
        self.note_seconds()
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"not among the best after {epoch + 1} epochs")

    def note_seconds(self) -> None:
        """Adds the time spent."""
        self._trial.set_user_attr("seconds", self._seconds_before + time.monotonic() - self._started)


def train_trial(
    trial: optuna.Trial,
    folder: Path,
    space: SearchSpace,
    logs: tuple[SessionLog, SessionLog],
    n_epochs: int,
    early_stop_epochs: int,
    seed: int,
    budget: Budget,
) -> float:
    """Trains a model with the settings that a trial suggests; goes on in the folder where it was stopped.

    Args:
      trial: gives the settings and is told the recall of each epoch.
      folder: for checkpoints.
      space: what there is to try.
      logs: to train on, and to validate on, in the former's vocabulary.
      n_epochs: the most epochs.
      early_stop_epochs: see `fit`.
      seed: of the model.
      budget: the time that is left.

    Returns:
      The recall@20 of the best epoch in validation.

    Raises:
      optuna.TrialPruned: the trial showed no promise, or diverged; the message says which.
      OutOfTimeError: the budget was spent before the first epoch was done.
    """
    try:
        model_config, training = space.suggest(trial)
    except ValueError as error:  # settings that are well by themselves may contradict each other
        raise optuna.TrialPruned(f"no such model: {error}") from error
    model_config = dataclasses.replace(model_config, seed=seed)
    training = dataclasses.replace(training, n_epochs=n_epochs)
    report = _Report(trial)
    try:
        fit(
            GRU4Rec(logs[0].vocabulary, model_config),
            logs[0],
            training,
            ModelFolder(folder / "model"),  # the trial's own folder is locked already
            [report, StopWhenSpent(budget)],
            validation_log=logs[1],
            early_stop_epochs=early_stop_epochs,
        )
    except DivergedError as error:
        raise optuna.TrialPruned(f"diverged: {error}") from error
    except OutOfTimeError:
        if not _stored(trial).intermediate_values:
            raise
    finally:
        report.note_seconds()
    return value_of(_stored(trial))


def _stored(trial: optuna.Trial) -> optuna.trial.FrozenTrial:
    """Returns what the study holds of a trial."""
    return trial.study.get_trials(deepcopy=False)[trial.number]


def measure_knn(trial: optuna.Trial, folder: Path, logs: tuple[SessionLog, SessionLog], seed: int) -> float:
    """Measures V-SkNN with the settings that a trial suggests, on at most `KNN_QUESTIONS` pairs; returns recall@20.

    It needs no folder: a trial that was cut off is done again.
    """
    started = time.monotonic()
    n_neighbours = trial.suggest_int("n_neighbours", 50, 1500, log=True)
    n_candidates = trial.suggest_int("n_candidates", 500, 10_000, log=True)
    idf = trial.suggest_categorical("idf", [True, False])
    knn = SessionKNN(logs[0], n_neighbours, max(n_neighbours, n_candidates), idf)
    clicks = NextClicks.of(logs[1]).sample(KNN_QUESTIONS, seed)
    ranks = knn.ranks(logs[1], clicks=clicks)
    trial.set_user_attr("mrr", float(np.mean(reciprocal_ranks_at(ranks, 20))))
    trial.set_user_attr("seconds", time.monotonic() - started)
    return float(np.mean(hits_at(ranks, 20)))
