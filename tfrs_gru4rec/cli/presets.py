"""Presets on a command line: by the name of --flagfile, and where no flag says otherwise."""

import os
from collections.abc import Collection, Sequence

from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.presets import PRESETS, flag_values, preset_values

DEFAULT_LOSS = "cross-entropy"


def expand(argv: Sequence[str]) -> list[str]:
    """Lets --flagfile name a preset, as in --flagfile=retailrocket; a file of that name goes first.

    >>> os.path.basename(expand(["gru4rec-train", "--flagfile", "rsc15"])[-1])
    'rsc15.flags'

    Raises:
      UsageError: there is neither a file nor a preset of that name; the message lists the presets.
    """
    expanded = list(argv)
    for place, argument in enumerate(expanded):
        flag, separator, value = argument.partition("=")
        if flag.lstrip("-") != "flagfile" or not argument.startswith("-"):
            continue
        if separator:
            expanded[place] = f"{flag}={_path(value)}"
        elif place + 1 < len(expanded):
            expanded[place + 1] = _path(expanded[place + 1])
    return expanded


def with_defaults(argv: Sequence[str], known: Collection[str]) -> list[str]:
    """Puts the default settings of a loss before the flags that were given, which hold where both name one.

    A file of flags, and the model of a warm start, bring settings of their own: nothing is put before them, nor before
    a loss without default settings. Only flags that the command knows are put.

    >>> with_defaults(["gru4rec-train", "--model_dir=m"], known=["loss", "logq"])
    ['gru4rec-train', '--loss=cross-entropy', '--logq=1', '--model_dir=m']
    >>> with_defaults(["gru4rec-train", "--flagfile", "rsc15"], known=["loss", "logq"])
    ['gru4rec-train', '--flagfile', 'rsc15']
    """
    given = flag_values(argv)
    loss = given.get("loss", DEFAULT_LOSS)
    if {"flagfile", "warm_start_from"} & given.keys() or f"default-{loss}" not in PRESETS:
        return list(argv)
    words = [
        f"--{name}={value}" if value else f"--{name}" for name, value in default_values(known, loss).items()
    ]
    return [argv[0], *words, *argv[1:]]


def default_values(known: Collection[str], loss: str = DEFAULT_LOSS) -> dict[str, str]:
    """Returns the default settings of a loss, by flag; those of a flag without a value are empty.

    The number of epochs is meant for a command that ends a run early: any other one keeps its own.

    >>> default_values(["loss", "n_epochs"])
    {'loss': 'cross-entropy'}
    >>> default_values(["n_epochs", "early_stop_epochs", "refit"])
    {'n_epochs': '20', 'early_stop_epochs': '2', 'refit': ''}
    """
    values = preset_values(f"default-{loss}")
    if "early_stop_epochs" not in known:
        del values["n_epochs"]
    return {name: value for name, value in values.items() if name in known}


def _path(value: str) -> str:
    if os.path.exists(value):
        return value
    rule = f"--flagfile must be a file or one of the presets {', '.join(PRESETS)}."
    require_flags(value in PRESETS, rule, flagfile=value)
    return str(PRESETS[value])
