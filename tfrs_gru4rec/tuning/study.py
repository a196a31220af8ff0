"""The study: GRU4Rec's settings and session kNN's, tuned side by side under one budget."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from absl import logging

from tfrs_gru4rec.atomic_files import write_text
from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion
from tfrs_gru4rec.folder_lock import lock_folder
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training.model_folder import describe, load_model
from tfrs_gru4rec.tuning.budget import Budget
from tfrs_gru4rec.tuning.plot import plot_study
from tfrs_gru4rec.tuning.search import Search, value_of
from tfrs_gru4rec.tuning.space import SearchSpace
from tfrs_gru4rec.tuning.trial import measure_knn, train_trial

_TRIALS_PER_KNN_TRIAL = 2
_HALVING = {"min_resource": 2, "reduction_factor": 3}


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What a study found.

    Attributes:
      model: the best hyperparameters.
      training: how to train with them; its `n_epochs` is the epoch that was best.
      trials: all trials that ended, the best first: `trial`, `recall`, `mrr`, `epochs`, `reason` (why it was given up)
        and the settings by name.
      knn: likewise the trials of session kNN; none if it was not tuned.
      fusion: what the neighbours of the best model weigh, see `learn_fusion`; None if none is better.
      fusion_report: of `learn_fusion`.

    >>> Tuned(GRU4RecConfig(), TrainingConfig(n_epochs=4), trials=[], knn=[]).training.n_epochs
    4
    """

    model: GRU4RecConfig
    training: TrainingConfig
    trials: list[dict[str, Any]]
    knn: list[dict[str, Any]]
    fusion: Fusion | None = None
    fusion_report: dict[str, Any] = dataclasses.field(default_factory=lambda: {"chosen": "none"})


def tune(
    train_log: SessionLog,
    validation_log: SessionLog,
    study_dir: str | os.PathLike[str],
    space: SearchSpace | None = None,
    n_trials: int | None = None,
    budget_minutes: float | None = None,
    n_epochs: int = 20,
    early_stop_epochs: int = 2,
    tune_knn: bool = True,
    fusion: str = "auto",
    seed: int = 0,
) -> Tuned:
    """Looks for the settings of the highest recall@20 in validation; goes on with the study in the folder, if any.

    Settings are drawn by a tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for Hyper-Parameter
    Optimization"), and successive halving ends trials early: after 2 epochs, and again after 6, about the better third
    goes on. A trial that was cut off goes on from its checkpoint, so that a study that was killed ends like one that
    was not. Several processes may work in one folder at a time.

    Args:
      train_log: sessions to train on, see `SessionLog.split_by_time`.
      validation_log: sessions to validate on, in the vocabulary of `train_log`.
      study_dir: folder for study.db, trials.csv, study.png, and best.flags, which `gru4rec-train --flagfile` takes.
      space: what to try, `SearchSpace()` if None.
      n_trials: trials in all, those of earlier calls included.
      budget_minutes: minutes in all, those of earlier calls and of other processes included; give either or both.
      n_epochs: most epochs of a trial.
      early_stop_epochs: end a trial when its best epoch lies so many epochs back; 0: never.
      tune_knn: also tune session kNN, one trial of it after every two others.
      fusion: neighbours whose weights are learned for the best model, as the choice of `learn_fusion`.
      seed: of the models and of the search.

    Returns:
      What was found.

    Raises:
      ValueError: the folder holds a study of other logs or of another space, the logs have different vocabularies, or
        the budget is too small for one epoch.
      Stopped: SIGTERM or SIGINT came; the trial under way was saved, and the same call goes on.
      OSError: the folder cannot be written to.

    Example:
      >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": list("abab"), "Time": range(4)})
      >>> train_log, validation_log = SessionLog.from_frame(frame).split_by_time(share=0.5)
      >>> tune(train_log, validation_log, "studies/shop")
      Traceback (most recent call last):
      ValueError: Give n_trials, budget_minutes or both. Received: n_trials=None, budget_minutes=None.
    """
    bound = n_trials is not None or budget_minutes is not None
    require(bound, "Give n_trials, budget_minutes or both.", n_trials=n_trials, budget_minutes=budget_minutes)
    require_positive(n_trials=1 if n_trials is None else n_trials, n_epochs=n_epochs)
    space, folder, logs = space or SearchSpace(), Path(study_dir), (train_log, validation_log)
    identity = {
        "data": describe(train_log),
        "validation": describe(validation_log),
        "space": {loss: dict(settings) for loss, settings in space.losses.items()},
        "n_epochs": n_epochs,
        "early_stop_epochs": early_stop_epochs,
        "seed": seed,
    }
    studies = _open(folder, json.loads(json.dumps(identity)), space.first_trials())
    budget = Budget(budget_minutes)
    train = functools.partial(
        train_trial,
        space=space,
        logs=logs,
        n_epochs=n_epochs,
        early_stop_epochs=early_stop_epochs,
        seed=seed,
        budget=budget,
    )
    search = Search(studies[0], folder / "trials", train, seed)
    knn = Search(
        studies[1], folder / "knn_trials", functools.partial(measure_knn, logs=logs, seed=seed), seed
    )
    budget.spend(search.seconds + knn.seconds)
    while not budget.is_spent():
        trial = search.run_one(n_trials)
        if trial is None:
            break
        _report(folder, search, knn, space, trial, n_trials, budget)
        if tune_knn and not budget.is_spent():
            knn.run_one(len(search.ended) // _TRIALS_PER_KNN_TRIAL)
    require(
        any(value_of(trial) >= 0 for trial in search.ended),
        "The budget must be enough for an epoch of the first trial: give more, and the study goes on from here.",
        budget_minutes=budget_minutes,
    )
    plot_study(search.study, folder / "study.png")
    with search.locked():  # another process may find a better one, and remove this one's folder
        found, best = _tuned(search, knn, space), load_model(search.best[1] / "model")
    learned, report = learn_fusion(best, *logs, fusion, seed=seed)
    found = dataclasses.replace(found, fusion=learned, fusion_report=report)
    write_text(folder / "best.flags", _flags(found))
    return found


def _open(
    folder: Path, identity: Mapping[str, Any], first_trials: list[dict[str, Any]]
) -> tuple[optuna.Study, optuna.Study]:
    """Opens the studies of a folder, or begins them."""
    with lock_folder(folder, wait=True):
        path = folder / "study.db"
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            make = functools.partial(
                optuna.create_study, storage=storage, direction="maximize", load_if_exists=True
            )
            study = make(study_name="gru4rec", pruner=optuna.pruners.SuccessiveHalvingPruner(**_HALVING))
            knn_study = make(study_name="session_knn")
        except Exception as error:  # of Optuna, SQLAlchemy, Alembic or SQLite
            raise ValueError(
                f"{path} is damaged or of another Optuna; give another folder: {error}"
            ) from error
        known = study.user_attrs.get("identity", {})
        different = {
            name: (known[name], identity[name]) for name in known if known[name] != identity.get(name)
        }
        rule = "The folder holds a study of other logs, another space or other settings: give another one (there, now)."
        require(not different, rule, **different)
        if not known:
            for parameters in first_trials:
                study.enqueue_trial(parameters, skip_if_exists=True)
            study.set_user_attr("identity", identity)
    return study, knn_study


def _report(
    folder: Path,
    search: Search,
    knn: Search,
    space: SearchSpace,
    trial: optuna.trial.FrozenTrial,
    n_trials: int | None,
    budget: Budget,
) -> None:
    """Writes what is known so far, and says what the trial came to."""
    if not any(value_of(each) >= 0 for each in search.ended):
        return
    found = _tuned(search, knn, space)
    write_text(folder / "best.flags", _flags(found))
    write_text(folder / "trials.csv", pd.DataFrame(found.trials).to_csv(index=False))
    left = budget.seconds_left()
    logging.info(
        "Trial %d%s: recall@20 %.4f after %d epochs%s. Best so far: %.4f, trial %d.%s",
        trial.number + 1,
        f" of {n_trials}" if n_trials else "",
        value_of(trial),
        len(trial.intermediate_values),
        f" ({trial.user_attrs['reason']})" if "reason" in trial.user_attrs else "",
        found.trials[0]["recall"],
        found.trials[0]["trial"],
        f" {max(left, 0) / 60:.0f} min left." if left < float("inf") else "",
    )


def _tuned(search: Search, knn: Search, space: SearchSpace) -> Tuned:
    trials = sorted(search.ended, key=value_of, reverse=True)
    best = trials[0]
    model, training = space.suggest(optuna.trial.FixedTrial(best.params))
    return Tuned(
        dataclasses.replace(model, seed=search.seed),
        dataclasses.replace(training, n_epochs=best.user_attrs["best_epoch"]),
        [_row(trial) for trial in trials if value_of(trial) >= 0],
        [_row(trial) for trial in sorted(knn.ended, key=value_of, reverse=True)],
    )


def _row(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number + 1,
        "recall": value_of(trial),
        "mrr": trial.user_attrs.get("mrr"),
        "epochs": len(trial.intermediate_values),
        "seconds": trial.user_attrs.get("seconds"),
        "reason": trial.user_attrs.get("reason", ""),
        **{name.rpartition(".")[2]: value for name, value in trial.params.items()},
    }


def _flags(found: Tuned) -> str:
    """Spells the best settings as a file of flags."""
    best = found.trials[0]
    figures = f"recall@20 {best['recall']:.4f}, MRR@20 {best['mrr']:.4f} in validation"
    lines = [f"# The best of {len(found.trials)} trials: {figures}."]
    if found.fusion:
        lines += [f"--fusion={found.fusion_report['chosen']}", "--valid_auto", "--refit"]
    for config in (found.model, found.training):
        for name, value in config.to_dict().items():
            if isinstance(value, bool):
                lines.append(f"--{'' if value else 'no'}{name}")
            elif not isinstance(value, dict):
                lines.append(f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}")
    return "\n".join(lines) + "\n"
