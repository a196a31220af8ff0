"""Stopping a run in good order at Ctrl-C, or when the operating system asks for it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from absl import logging

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CTRL_C = (
    "Stopping as soon as the steps under way are done and saved. Ctrl-C once more stops at once, unsaved."
)


class StopRequest:
    """Notes SIGINT and SIGTERM instead of dying of them, within a `with` block of the main thread.

    A run looks at `is_set` between graph calls, saves, and leaves with `Stopped`. A second SIGINT does what it does
    anywhere else: it raises `KeyboardInterrupt`.

    Attributes:
      signal: number of the signal that came first, None if none did.

    >>> import os
    >>> with StopRequest() as stop:
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     stop.is_set
    True
    """

    def __init__(self) -> None:
        """Starts without a request."""
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def is_set(self) -> bool:
        """Whether a stop was requested."""
        return self.signal is not None

    def __enter__(self) -> "StopRequest":
        """Takes over both; in other threads than the main one Python has no signals, and nothing happens."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives the signals back to whoever had them."""
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        if number == signal.SIGINT:
            signal.signal(number, self._previous[number])
            logging.warning(_CTRL_C)


class Stopped(SystemExit):
    """The run was stopped by a signal after its state was saved; exits with the code that shells give to the signal.

    >>> Stopped(signal.SIGTERM).code
    143
    """

    def __init__(self, number: int) -> None:
        """Sets the exit code."""
        super().__init__(128 + number)
