"""Settings that come with the package, as files of flags: the published recipes, and what training begins with."""

from collections.abc import Iterable
from pathlib import Path

PRESETS = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.flags"))}


def preset_values(name: str) -> dict[str, str]:
    """Returns the value of each flag in a preset; that of a flag without one is empty.

    >>> preset_values("fast")["batch_size"], preset_values("coveo")["constrained_embedding"]
    ('128', '')

    Raises:
      KeyError: there is no preset of that name.
    """
    lines = PRESETS[name].read_text(encoding="utf-8").splitlines()
    return flag_values(line for line in lines if line.startswith("-"))


def flag_values(words: Iterable[str]) -> dict[str, str]:
    """Reads words of a command line: the value of each flag, as in --name=value or --name value.

    >>> flag_values(["--loss=bpr-max", "--n_epochs", "3", "--refit"])
    {'loss': 'bpr-max', 'n_epochs': '3', 'refit': ''}
    """
    found: dict[str, str] = {}
    last = ""
    for word in words:
        if word.startswith("-"):
            last, _, value = word.lstrip("-").partition("=")
            found[last] = value
        elif last:
            found[last] = found[last] or word
    return found
