"""Stopping a run in good order when the operating system asks for it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM


class StopRequest:
    """Notes SIGTERM instead of dying of it, within a `with` block of the main thread.

    A run looks at `is_set` between graph calls, saves, and leaves with `Stopped`.

    Example:
      >>> import os
      >>> with StopRequest() as stop:
      ...     os.kill(os.getpid(), signal.SIGTERM)
      ...     stop.is_set
      True
    """

    def __init__(self) -> None:
        """Starts without a request."""
        self.is_set = False
        self._previous: Any = None

    def __enter__(self) -> "StopRequest":
        """Takes over SIGTERM; in other threads than the main one Python has no signals, and nothing happens."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives SIGTERM back to whoever had it."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True


class Stopped(SystemExit):
    """The run was stopped by SIGTERM after its state was saved; exits with the code that shells give to SIGTERM."""

    def __init__(self) -> None:
        """Sets the exit code."""
        super().__init__(EXIT_CODE)
