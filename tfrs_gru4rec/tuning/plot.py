"""The picture of a study: how the best came about, which settings matter, and where their good values lie."""

import functools
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from tfrs_gru4rec.evaluation.plots import BLUE, GREY, ORANGE, draw_panels
from tfrs_gru4rec.tuning.search import ENDED, value_of

_SLICES = 4
_FEWEST_FOR_IMPORTANCE = 4


def plot_study(study: optuna.Study, path: str | os.PathLike[str]) -> bool:
    """Draws the history of a study, the importance of its settings, and slices along the most important ones.

    The importance is that of PED-ANOVA (Watanabe et al. 2023), among the trials of the best trial's loss.

    Args:
      study: with a trial that ended.
      path: PNG file; replaced whole.

    Returns:
      Whether it was drawn; without Matplotlib it is not, and the log says so.

    Raises:
      OSError: the file cannot be written.
    """
    trials = study.get_trials(deepcopy=False, states=ENDED)
    best = max(trials, key=value_of)
    alike = [trial for trial in trials if trial.params.keys() == best.params.keys()]
    panels = [functools.partial(_history, trials)]
    importances = _importances(study, alike, list(best.params))
    if importances:
        panels.append(functools.partial(_importance, importances))
    panels += [functools.partial(_slice, alike, name) for name in list(importances)[:_SLICES]]
    return draw_panels(panels, path)


def _importances(study: optuna.Study, alike: list[Any], names: list[str]) -> dict[str, float]:
    """Returns the share of each setting that varied, the largest first; none if too few trials tell of it."""
    varied = [name for name in names if len({trial.params[name] for trial in alike}) > 1]
    complete = [trial for trial in alike if trial.value is not None]
    if len(complete) < _FEWEST_FOR_IMPORTANCE or not varied:
        return {}
    evaluator = PedAnovaImportanceEvaluator()
    with warnings.catch_warnings():  # one for each setting with few trials, which a short study always has
        warnings.simplefilter("ignore")
        return dict(get_param_importances(study, evaluator=evaluator, params=varied))


def _history(trials: Sequence[optuna.trial.FrozenTrial], axis: Any) -> None:
    numbers, values = [trial.number + 1 for trial in trials], [value_of(trial) for trial in trials]
    is_pruned = np.array([trial.state == optuna.trial.TrialState.PRUNED for trial in trials])
    for chosen, colour, label in ((is_pruned, GREY, "given up early"), (~is_pruned, BLUE, "trial")):
        axis.scatter(np.array(numbers)[chosen], np.array(values)[chosen], s=14, color=colour, label=label)
    axis.plot(numbers, np.maximum.accumulate(values), color=ORANGE, label="best so far")
    low, high = np.quantile(values, 0.25), max(values)
    axis.set(title="History", xlabel="trial", ylabel="recall@20 in validation")
    axis.set_ylim(low - 0.3 * (high - low) - 0.005, high + 0.005)
    axis.legend(fontsize="small", frameon=False)


def _importance(importances: dict[str, float], axis: Any) -> None:
    names = [name.rpartition(".")[2] for name in importances]
    axis.barh(names, list(importances.values()), color=BLUE)
    axis.invert_yaxis()
    axis.set(title="Importance", xlabel="share")


def _slice(trials: Sequence[optuna.trial.FrozenTrial], name: str, axis: Any) -> None:
    values = [trial.params[name] for trial in trials]
    is_text = isinstance(values[0], str)
    axis.scatter(
        [str(value) for value in values] if is_text else values, [value_of(each) for each in trials], s=14
    )
    distribution = trials[0].distributions[name]
    if getattr(distribution, "log", False):
        axis.set_xscale("log")
    axis.set(title=name.rpartition(".")[2], ylabel="recall@20")
