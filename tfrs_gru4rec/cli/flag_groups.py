"""Flags made from the fields of a dataclass, and the dataclass made from the flags that were given."""

import dataclasses
import os
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from absl import flags

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.settings import Setting, Settings, settings_of


class UsageError(ValueError):
    """Flags that are unknown, missing, out of range or contradict each other."""


def require_flags(condition: bool, rule: str, **received: Any) -> None:
    """Raises UsageError unless a rule about flags holds; otherwise as `checks.require`."""
    try:
        require(condition, rule, **received)
    except ValueError as error:
        raise UsageError(error) from None


@dataclasses.dataclass(frozen=True)
class FlagGroup:
    """The flags of one dataclass. They have no defaults: what is not given, the dataclass is made without."""

    title: str  # of the group in `--help`
    config: type[Settings]  # the dataclass
    settings: Mapping[str, Setting]  # its fields by the name of their flag

    def define(self, values: flags.FlagValues) -> None:
        """Defines the flags in `values`."""
        for name, setting in self.settings.items():
            define = flags.DEFINE_bool if setting.kind is bool else flags.DEFINE_string
            define(name, None, setting.meaning, flag_values=values)

    def missing(self, values: flags.FlagValues) -> list[str]:
        """Returns the flags that must be given and were not."""
        return [
            f"--{name}"
            for name, setting in self.settings.items()
            if setting.is_required and not values[name].value
        ]

    def read(self, values: flags.FlagValues, defaults: Mapping[str, Any]) -> Any:
        """Makes the dataclass of parsed flags; of defaults, as `Settings.to_dict` writes them, where none is given.

        Raises:
          UsageError: a value is of another type or out of its range; the message names flag, value and range.
        """
        given = {name: setting for name, setting in self.settings.items() if values[name].present}
        for name in given:
            is_file = name.endswith("_dir") and os.path.isfile(values[name].value or "")
            require_flags(
                not is_file, f"--{name} must be a folder, not a file.", **{name: values[name].value}
            )
        try:
            fields = {
                setting.name: setting.parse(values[name].value)
                if setting.kind is not bool
                else values[name].value
                for name, setting in given.items()
            }
            known = {setting.name for setting in self.settings.values()}
            kept = {name: value for name, value in defaults.items() if name in known}
            return self.config.from_dict({**kept, **fields})
        except ValueError as error:
            raise UsageError(self._with_flag_names(str(error))) from None

    def _with_flag_names(self, message: str) -> str:
        for name, setting in self.settings.items():
            message = re.sub(rf"\b{setting.name}\b", name, message)
        return message


def flag_groups(
    main: Callable[..., int], flag_names: Mapping[str, Mapping[str, str | None]]
) -> list[FlagGroup]:
    """Makes a group of each parameter of a command's function, a dataclass each; flag names as in `Command`."""
    hints = typing.get_type_hints(main)
    groups = []
    for title, config in hints.items():
        if title != "return":
            names = flag_names.get(title, {})
            named = ((names.get(setting.name, setting.name), setting) for setting in settings_of(config))
            groups.append(FlagGroup(title, config, {name: setting for name, setting in named if name}))
    return groups
