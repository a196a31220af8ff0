"""What a command logs: what it does, and of the libraries below it errors alone, unless --verbosity asks for more."""

import importlib.util
import logging as standard_logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from absl import logging

import tfrs_gru4rec

_ROOMS_APART = ("tfrs_gru4rec.datasets", "tfrs_gru4rec.export")
_NATIVE_LINE = (
    "^(WARNING: All log messages before absl::InitializeLog|[IWE]0000 00:00:"
    "|WARNING: Using incubator modules|Using Spark's default log4j profile|Setting (default|Spark) log level"
    "|To adjust logging level|[0-9/]+ [0-9:]+ WARN )"
)
_INSTALLED = {"site-packages", "dist-packages"}


def speak_plainly() -> None:
    """Logs to stderr as --verbosity says: 0 what we do, -1 our warnings, 1 all, each line with its source and time."""
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)  # the flag goes before
    handler = logging.get_absl_handler().python_handler
    handler.addFilter(_IsAsked())
    handler.setFormatter(_Formatter())


def hide_native_lines() -> None:
    """Keeps from stderr what absl's C++ logs and Spark write before they are set up, which no level holds back.

    What Python writes does not go this way. The filter is a process of its own, so that nothing is lost in a crash.
    """
    if _is_all_asked() or not shutil.which("grep"):
        return
    real = os.fdopen(os.dup(2), "w", buffering=1)
    command = ["grep", "--line-buffered", "--text", "--invert-match", "--extended-regexp", _NATIVE_LINE]
    # In a session of its own, so that Ctrl-C does not end it before this process.
    reading, writing = os.pipe()
    subprocess.Popen(command, stdin=reading, stdout=real, start_new_session=True)
    os.dup2(writing, 2)
    os.close(reading)
    os.close(writing)
    sys.stderr = logging.get_absl_handler().python_handler.stream = real


def quieten_tensorflow() -> None:
    """Sets how much TensorFlow's C++ code logs, before it is loaded; what the user has set holds.

    It reports a missing GPU as an error; what fails still raises.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if _is_all_asked() else "3")


def _is_all_asked() -> bool:
    return logging.get_verbosity() > logging.INFO


class _IsAsked(standard_logging.Filter):
    """Holds back what other libraries say below the level of an error."""

    def __init__(self) -> None:
        super().__init__()
        rooms = [importlib.util.find_spec(room) for room in _ROOMS_APART]
        apart = [path for room in rooms if room for path in room.submodule_search_locations or ()]
        self._ours = tuple(f"{Path(path)}{os.sep}" for path in [*tfrs_gru4rec.__path__, *apart])

    def filter(self, record: standard_logging.LogRecord) -> bool:
        is_others = not _INSTALLED.isdisjoint(Path(record.pathname).parts)
        is_ours = not is_others or record.pathname.startswith(self._ours)
        return is_ours or record.levelno >= standard_logging.ERROR or _is_all_asked()


class _Formatter(logging.PythonFormatter):
    """The message alone, a warning or an error with that word before it."""

    def format(self, record: standard_logging.LogRecord) -> str:
        if _is_all_asked():
            return super().format(record)
        word = f"{record.levelname.lower()}: " if record.levelno > standard_logging.INFO else ""
        return word + record.getMessage()
