"""One flag for each setting of the model and of its training, named as in the papers' code."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from absl import flags

from tfrs_gru4rec.config import (
    LOSSES,
    NEW_ITEM_ROWS,
    CheckpointConfig,
    GRU4RecConfig,
    TrainingConfig,
    WarmStartConfig,
)

_Config = TypeVar("_Config", GRU4RecConfig, TrainingConfig, WarmStartConfig, CheckpointConfig)

_CHOICES = {"loss": LOSSES, "new_item_rows": NEW_ITEM_ROWS}
_SHORT = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    str: flags.DEFINE_string,
}


def define_hyperparameter_flags(values: flags.FlagValues) -> None:
    """Defines the flags; defaults and help come from the config dataclasses."""
    _define_all(GRU4RecConfig(), values)
    _define_all(TrainingConfig(), values)


def define_warm_start_flags(values: flags.FlagValues) -> None:
    """Defines the flags of a warm start, but for those that the command has already."""
    _define_all(WarmStartConfig(), values)


def define_checkpoint_flags(values: flags.FlagValues) -> None:
    """Defines when a run is saved."""
    _define_all(CheckpointConfig(), values)


def read_config(
    config_class: type[_Config], values: flags.FlagValues, defaults: Mapping[str, Any] | None = None
) -> _Config:
    """Builds a config from parsed flags.

    Args:
      config_class: which one.
      values: parsed flags.
      defaults: settings as from `to_dict` that hold where the command line says nothing; None for the flags' own.

    Raises:
      ValueError: a value is out of its range; the message says which is allowed.
    """
    settings: dict[str, Any] = {
        field.name: values[field.name].value for field in dataclasses.fields(config_class)
    }
    if "layers" in settings:
        settings["layers"] = tuple(_number("layers", text, int) for text in settings["layers"])
    if "optimizer_parameters" in settings:
        settings["optimizer_parameters"] = dict(map(_parameter, settings["optimizer_parameters"]))
    for name in settings.keys() & (defaults or {}).keys():
        if not values[name].present:
            settings[name] = (defaults or {})[name]
    return config_class.from_dict(settings)


def settings_of(model_dir: str | None) -> dict[str, Any]:
    """Returns the settings `model` and `training` of a model's folder, none for None, as defaults of `read_config`.

    Raises:
      ValueError: there is no model in the folder.
    """
    if not model_dir:
        return {"model": {}, "training": {}}
    from tfrs_gru4rec.training.model_folder import ModelFolder

    return ModelFolder(model_dir).settings()


def _define_all(config: _Config, values: flags.FlagValues) -> None:
    meanings = _attribute_docs(type(config))
    for field in dataclasses.fields(config):
        if field.name not in values:
            _define(field.name, getattr(config, field.name), meanings[field.name], values)


def _define(name: str, default: Any, meaning: str, values: flags.FlagValues) -> None:
    if name in _CHOICES:
        flags.DEFINE_enum(name, default, _CHOICES[name], meaning, flag_values=values)
    elif isinstance(default, tuple):
        flags.DEFINE_list(name, [str(value) for value in default], meaning, flag_values=values)
    elif isinstance(default, dict):
        meaning += " Written as name=value,name=value."
        flags.DEFINE_list(name, [], meaning, flag_values=values)
    else:
        _SHORT[type(default)](name, default, meaning, flag_values=values)


def _parameter(text: str) -> tuple[str, float]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--optimizer_parameters must be name=value,name=value. Received: {text!r}.")
    return name, _number(f"optimizer_parameters {name}", value, float)


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"--{name} must hold numbers, as in --layers=100,100. Received: {text!r}.") from None


def _attribute_docs(config_class: type) -> dict[str, str]:
    """Reads the meaning of each attribute from the class' docstring, so that it is written once."""
    text = (config_class.__doc__ or "").split("Attributes:")[1]
    parts = re.split(r"\n      (?=\w+: )", text)
    pairs = (part.strip().partition(": ") for part in parts if part.strip())
    return {name: " ".join(meaning.split()) for name, _, meaning in pairs}
