"""Files of flags that come with the package: the published recipes."""

import os
from collections.abc import Sequence
from pathlib import Path

from tfrs_gru4rec.cli.flag_groups import require_flags

PRESETS = {path.stem: path for path in sorted((Path(__file__).parent.parent / "presets").glob("*.flags"))}


def expand(argv: Sequence[str]) -> list[str]:
    """Lets --flagfile name a preset, as in --flagfile=retailrocket.

    >>> Path(expand(["gru4rec-train", "--flagfile", "rsc15"])[-1]).name
    'rsc15.flags'

    Args:
      argv: the command line.

    Returns:
      The command line with the path of the preset in its place; a file of that name goes first.

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


def _path(value: str) -> str:
    if os.path.exists(value):
        return value
    rule = f"--flagfile must be a file or one of the presets {', '.join(PRESETS)}."
    require_flags(value in PRESETS, rule, flagfile=value)
    return str(PRESETS[value])
