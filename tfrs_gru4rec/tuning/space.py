"""What a study tries: for each loss the settings that vary, and between which values."""

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from tfrs_gru4rec.checks import require, require_one_of
from tfrs_gru4rec.config import LOSSES, GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.presets import PRESETS, preset_values
from tfrs_gru4rec.settings import Setting, settings_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MODEL = {setting.name: setting for setting in settings_of(GRU4RecConfig)}
_TRAINING = {setting.name: setting for setting in settings_of(TrainingConfig)}
_NOT_VARIED = ("loss", "seed", "n_epochs", "optimizer_parameters")
_SETTINGS = {name: setting for name, setting in {**_MODEL, **_TRAINING}.items() if name not in _NOT_VARIED}

_BOTH = {
    "layers": [[64], [100], [128], [192], [256]],
    "batch_size": [32, 64, 128, 256],
    "dropout_p_embed": {"low": 0.0, "high": 0.6},
    "dropout_p_hidden": {"low": 0.0, "high": 0.5},
    "learning_rate": {"low": 0.03, "high": 0.3, "log": True},
    "momentum": {"low": 0.0, "high": 0.5},
    "n_sample": [512, 1024, 2048],
    "sample_alpha": {"low": 0.0, "high": 1.0},
}
DEFAULT_SPACE: Mapping[str, Any] = {
    "cross-entropy": {
        **_BOTH,
        "logq": [0.0, 0.5, 1.0],
        "n_hard_negatives": [0, 10, 100],
        "first_vectors": "co-occurrence",
    },
    "bpr-max": {
        **_BOTH,
        "bpreg": {"low": 0.3, "high": 3.0, "log": True},
        "final_act": ["linear", "elu-0.5", "elu-1"],
    },
}


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """The settings that vary in a study, by loss.

    Attributes:
      losses: by loss, by the name of a setting: a value that is fixed, a list of values to choose from, or the range
        {"low": 0.01, "high": 0.3, "log": True}; with "log", factors count and not differences. Settings that are not
        named have their defaults.

    Raises:
      ValueError: a loss or setting is unknown, a value is not allowed, or a range is empty.

    >>> space = SearchSpace({"bpr-max": {"learning_rate": {"low": 0.01, "high": 0.1}, "layers": [[64], [128]]}})
    >>> trial = optuna.trial.FixedTrial({"loss": "bpr-max", "bpr-max.learning_rate": 0.05, "bpr-max.layers": "64"})
    >>> model, training = space.suggest(trial)
    >>> model.layers, training.learning_rate
    ((64,), 0.05)
    >>> SearchSpace({"bpr-max": {"rate": 0.1}})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: a setting to vary must be one of layers, final_act, ... Received: a setting to vary='rate'.
    """

    losses: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: DEFAULT_SPACE)

    def __post_init__(self) -> None:
        """Checks every loss, setting and value."""
        require(len(self.losses) > 0, "A space must have a loss.", losses=list(self.losses))
        for loss, settings in self.losses.items():
            require_one_of(LOSSES, loss=loss)
            require(isinstance(settings, Mapping), "A loss needs a table of settings.", **{loss: settings})
            for name, values in settings.items():
                require_one_of(_SETTINGS, **{"a setting to vary": name})
                _to_try(_SETTINGS[name], values)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "SearchSpace":
        """Reads a space from a TOML file with a table for each loss.

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "space.toml"
        >>> _ = path.write_text('''
        ... [cross-entropy]
        ... layers = [[64], [128], [64, 64]]
        ... learning_rate = {low = 0.01, high = 0.3, log = true}
        ... n_sample = 2048
        ... ''')
        >>> SearchSpace.from_file(path).losses["cross-entropy"]["layers"]
        [[64], [128], [64, 64]]

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: the file is no TOML, or the space is wrong.
        """
        try:
            return cls(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:  # a TOMLDecodeError is a ValueError
            raise ValueError(f"{os.fspath(path)}: {error}") from error

    def suggest(self, trial: optuna.trial.BaseTrial) -> tuple[GRU4RecConfig, TrainingConfig]:
        """Asks a trial for a value of every setting that varies."""
        losses = list(self.losses)
        loss = trial.suggest_categorical("loss", losses) if len(losses) > 1 else losses[0]
        chosen: dict[str, Any] = {"loss": loss}
        for name, values in self.losses[loss].items():
            value = _to_try(_SETTINGS[name], values).ask(trial, f"{loss}.{name}")
            chosen[name] = _SETTINGS[name].parse(value) if isinstance(value, str) else value
        parts = ({name: chosen[name] for name in chosen if name in known} for known in (_MODEL, _TRAINING))
        return GRU4RecConfig(**next(parts)), TrainingConfig(**next(parts))

    def first_trials(self) -> list[dict[str, Any]]:
        """Returns the parameters of the trials that a study begins with: each loss' default preset, if it has one."""
        trials = []
        for loss in self.losses:
            parameters = {"loss": loss} if len(self.losses) > 1 else {}
            known = preset_values(f"default-{loss}") if f"default-{loss}" in PRESETS else {}
            for name, values in self.losses[loss].items():
                value = _SETTINGS[name].parse(known[name]) if name in known else _SETTINGS[name].default
                value = _spelled(value) if isinstance(value, tuple) else value
                if known and value is not None and value in _to_try(_SETTINGS[name], values):
                    parameters[f"{loss}.{name}"] = value
            trials.append(parameters)
        return trials


@dataclasses.dataclass(frozen=True)
class _Choices:
    """Values to choose from; lists are written as flags write them, since a study stores plain values alone."""

    values: tuple[Any, ...]

    def ask(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        return trial.suggest_categorical(name, self.values)

    def __contains__(self, value: Any) -> bool:
        return value in self.values


@dataclasses.dataclass(frozen=True)
class _Between:
    """Numbers from low to high, both included."""

    low: float
    high: float
    log: bool = False
    is_whole: bool = False

    def ask(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        if self.is_whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def __contains__(self, value: Any) -> bool:
        return self.low <= value <= self.high


def _to_try(setting: Setting, values: Any) -> _Choices | _Between:
    """Reads what a space says of a setting, and checks each value."""
    if isinstance(values, Mapping):
        return _between(setting, **values)
    is_list = isinstance(values, (list, tuple))
    choices = values if is_list and (not setting.container or _are_lists(values)) else [values]
    require(len(choices) > 0, f"{setting.name} needs a value to choose.", **{setting.name: values})
    for choice in choices:
        if setting.kind is bool:
            require(isinstance(choice, bool), f"{setting.name} is true or false.", **{setting.name: choice})
        else:
            setting.check(setting.parse(_spelled(choice)))
    is_plain = setting.kind in (int, float, bool) and not setting.container
    return _Choices(tuple(choice if is_plain else _spelled(choice) for choice in choices))


def _between(setting: Setting, **bounds: Any) -> _Between:
    require(
        {"low", "high"} <= bounds.keys() <= {"low", "high", "log"},
        f"{setting.name} needs low and high, and may have log.",
        **{setting.name: bounds},
    )
    low, high, log = bounds["low"], bounds["high"], bool(bounds.get("log", False))
    are_numbers = all(isinstance(end, (int, float)) and math.isfinite(end) for end in (low, high))
    is_number = setting.kind in (int, float) and not setting.container
    rule = f"{setting.name} needs numbers with low below high, and above 0 where log is true."
    is_range = is_number and are_numbers and low < high and (low > 0 or not log)
    require(is_range, rule, **{setting.name: bounds})
    setting.check(low)
    setting.check(high)
    return _Between(low, high, log, setting.kind is int)


def _are_lists(values: Any) -> bool:
    return all(isinstance(value, (list, tuple)) for value in values)


def _spelled(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
