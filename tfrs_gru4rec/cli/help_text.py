"""What `--help` prints: the command's text, then its flags by group, those that must be given first."""

import inspect
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_gru4rec.cli.flag_groups import FlagGroup
from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.presets import PRESETS
from tfrs_gru4rec.settings import Setting

_WIDTH = 112
_INDENT = 32
_WORDS = {bool: "", int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}


def help_text(
    name: str, doc: str | None, groups: Sequence[FlagGroup], defaults: Mapping[str, str] | None = None
) -> str:
    """Returns the text: what the command does, the docstring of its module, and its flags.

    The values `defaults`, by flag, are shown instead of the settings' own.
    """
    defaults = defaults or {}
    all_flags = {flag: setting for group in groups for flag, setting in group.settings.items()}
    required = {flag: setting for flag, setting in all_flags.items() if setting.is_required}
    parts = [inspect.cleandoc(doc or name), _section("required", required, defaults)]
    for group in groups:
        others = {flag: each for flag, each in group.settings.items() if not each.is_required}
        parts.append(_section(group.title, others, defaults))
    has_presets = any(group.config is GRU4RecConfig for group in groups)
    parts.append("\n".join(["All commands:", *_common_flags(has_presets)]))
    return "\n\n".join(filter(None, parts))


def _section(title: str, named: Mapping[str, Setting], defaults: Mapping[str, str]) -> str:
    if not named:
        return ""
    return "\n".join(
        [
            f"{title.replace('_', ' ').capitalize()}:",
            *(_flag(name, each, defaults) for name, each in named.items()),
        ]
    )


def _flag(name: str, setting: Setting, defaults: Mapping[str, str]) -> str:
    word = _WORDS[setting.kind]
    if setting.container:
        word = f"{word},..." if setting.container is tuple else f"NAME={word},..."
    usage = f"--{name}={word}" if word else f"--[no]{name}"
    notes = [f"{setting.allowed}"] if setting.allowed else []
    if not setting.is_required:
        notes.append(f"default: {_shown(defaults.get(name, setting.default), setting.kind)}")
    meaning = setting.meaning.rstrip(".")
    return _entry(usage, f"{meaning} ({'; '.join(notes)})" if notes else meaning)


def _shown(value: Any, kind: type) -> str:
    if kind is bool and value == "":  # of a flag in a file, which has no value
        return "yes"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    elif isinstance(value, Mapping):
        value = ",".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else str(value)


def _common_flags(has_presets: bool) -> list[str]:
    presets = f", or a preset: {', '.join(PRESETS)}" if has_presets else ""
    return [
        _entry(
            "--flagfile=FILE",
            f"take flags from a file, one a line{presets}; of two values the later one holds",
        ),
        _entry(
            "--verbosity=INT",
            "-1: warnings and errors only; 1: also what TensorFlow and other libraries log, each line with its source, "
            "for bug reports (default: 0)",
        ),
        _entry("--version", "without a value, and last: print the version of the package"),
        _entry("--help", "print this text"),
    ]


def _entry(usage: str, meaning: str) -> str:
    lines = textwrap.wrap(meaning, _WIDTH - _INDENT, break_on_hyphens=False) or [""]
    head = f"  {usage} "
    if len(head) > _INDENT:
        return ("\n" + " " * _INDENT).join([head.rstrip(), *lines])
    return ("\n" + " " * _INDENT).join([head.ljust(_INDENT) + lines[0], *lines[1:]])
