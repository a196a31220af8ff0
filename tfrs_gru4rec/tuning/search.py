"""Trials that survive their process, and that several processes share: one Optuna study with a folder a trial."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
from optuna.trial import TrialState

from tfrs_gru4rec.atomic_files import remove_folder
from tfrs_gru4rec.folder_lock import lock_folder
from tfrs_gru4rec.tuning.budget import OutOfTimeError

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclasses.dataclass(frozen=True, eq=False)
class Search:
    """A study whose trials each have a folder; a trial whose process has died goes on where it was.

    Which process works on a trial is told by a lock on the trial's folder, which a process cannot leave behind.

    Attributes:
      study: Optuna's study, in a storage that outlives the process.
      folder: holds a folder for each trial under way, and that of the best one.
      work: does a trial in its folder, and returns its value.
      seed: of the search.
    """

    study: optuna.Study
    folder: Path
    work: Callable[[optuna.Trial, Path], float]
    seed: int

    @property
    def ended(self) -> list[optuna.trial.FrozenTrial]:
        """The trials that are complete or pruned, in their order."""
        return self.study.get_trials(deepcopy=False, states=ENDED)

    @property
    def seconds(self) -> float:
        """What all trials have taken, by the processes of any call."""
        return sum(trial.user_attrs.get("seconds", 0.0) for trial in self.study.get_trials(deepcopy=False))

    def run_one(self, n_trials: int | None) -> optuna.trial.FrozenTrial | None:
        """Does the next trial: one that a dead process has left, or else a new one.

        Args:
          n_trials: how many there are to be in all; None for no bound.

        Returns:
          The trial, ended or out of time; None if there is none to do.
        """
        with self._claimed(n_trials) as trial:
            if trial is None:
                return None
            place = self.folder / str(trial.number)
            try:
                self.study.tell(trial, self.work(trial, place))
            except optuna.TrialPruned as reason:
                trial.set_user_attr("reason", str(reason))
                self.study.tell(trial, state=TrialState.PRUNED)
            except OutOfTimeError:
                return self.study.trials[trial.number]  # a later call with more time goes on with it
        self._keep_best()
        return self.study.trials[trial.number]

    @property
    def best(self) -> tuple[optuna.trial.FrozenTrial, Path]:
        """The best trial that ended, the first of equals, and its folder, which alone is kept."""
        trial = max(self.ended, key=value_of)
        return trial, self.folder / str(trial.number)

    def _keep_best(self) -> None:
        with self.locked():
            best, _ = self.best
            for trial in self.ended:
                if trial.number != best.number:
                    remove_folder(self.folder / str(trial.number))

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes from claiming trials and from removing folders of trials inside."""
        return lock_folder(self.folder, wait=True)

    @contextlib.contextmanager
    def _claimed(self, n_trials: int | None) -> Iterator[optuna.Trial | None]:
        with contextlib.ExitStack() as locks:
            with self.locked():
                trial = self._abandoned(locks) or self._new(locks, n_trials)
            yield trial

    def _abandoned(self, locks: contextlib.ExitStack) -> optuna.Trial | None:
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            try:
                locks.enter_context(lock_folder(self.folder / str(frozen.number)))
            except BlockingIOError:
                continue
            return optuna.Trial(self.study, frozen._trial_id)  # the way of Optuna's own distributed examples
        return None

    def _new(self, locks: contextlib.ExitStack, n_trials: int | None) -> optuna.Trial | None:
        begun = [each for each in self.study.get_trials(deepcopy=False) if each.state != TrialState.WAITING]
        if n_trials is not None and len(begun) >= n_trials:
            return None
        # By trial, so that what is drawn does not depend on how many processes have drawn before.
        self.study.sampler = optuna.samplers.TPESampler(seed=100_003 * self.seed + len(begun))
        trial = self.study.ask()
        locks.enter_context(lock_folder(self.folder / str(trial.number)))
        return trial


def value_of(trial: optuna.trial.FrozenTrial) -> float:
    """Returns the best value that a trial has reached, whether or not it was given up; -1 if it has none."""
    values = [*trial.intermediate_values.values(), *([trial.value] if trial.value is not None else [])]
    return max(values, default=-1.0)
