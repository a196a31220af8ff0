"""The embedded server, in a thread of this process or as gru4rec-serve in a process of its own.

A thread runs the same code, but for the flags and the signals, and saves the seconds that TensorFlow takes to
start. Settings are those of `ServerConfig`, by keyword.
"""

import asyncio
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from tfrs_gru4rec.export.serving.config import ServerConfig

# The command, but that it takes the models of the tests for served ones.
_SERVE = """
from serving_support import tiny_models
from tfrs_gru4rec.cli import serve
from tfrs_gru4rec.export import stock_operations

stock_operations.ALLOWED |= tiny_models.OPERATIONS
serve.run()
"""


class ServerThread:
    """A running server in this process.

    Attributes:
      address: "host:port" of gRPC.
      rest_address: "host:port" of REST, if asked for.
    """

    def __init__(self, export_dir: pathlib.Path, page=None, **settings) -> None:
        self._page = page
        self._config = ServerConfig(export_dir, **{"port": 0, "refusal_seconds": 0.0, **settings})
        self.address, self.rest_address = "", None
        self._failure: BaseException | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._is_up.wait(60.0)
        if not self.address:
            self._thread.join()
            raise RuntimeError(f"The server did not start: {self._failure}") from self._failure

    def is_running(self) -> bool:
        """Returns whether it serves, or finishes calls."""
        return self._thread.is_alive()

    def terminate(self) -> None:
        """Asks it to stop, as a signal does."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def kill(self) -> None:
        """Ends it; a thread cannot be killed, so this is a stop that is waited for."""
        self.terminate()
        self.wait()

    def wait(self, seconds: float = 60.0) -> int:
        """Waits for its end; returns 0 if it went well."""
        self._thread.join(seconds)
        assert not self.is_running()
        return 0 if self._failure is None else 1

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # whatever it is, the test must hear of it
            self._failure = error
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        from tfrs_gru4rec.export.serving import server

        def announce(listening: server.Listening) -> None:
            self.rest_address = listening.rest_address
            self.address = listening.address
            self._is_up.set()

        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await server.serve(self._config, self._stopping, announce, self._page)


class ServerProcess:
    """gru4rec-serve in a process of its own; see `ServerThread` for what else there is.

    Attributes:
      log: what it wrote to standard error so far.
    """

    def __init__(self, export_dir: pathlib.Path, **settings) -> None:
        command = [sys.executable, "-c", _SERVE, f"--export_dir={export_dir}"]
        flags = [f"--{name}={value}" for name, value in {"port": 0, **settings}.items()]
        self._process = subprocess.Popen(
            [*command, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=export_dir,
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])},
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.address, self.rest_address = "", None
        for line in self._process.stdout:
            if match := re.match(r"REST on https?://([^/]+)/", line):
                self.rest_address = match[1]
            if match := re.match(r"listening on (\S+)", line):
                self.address = match[1]
                return
        self.wait()
        raise RuntimeError("The server did not start:\n" + "".join(self.log))

    def is_running(self) -> bool:
        """Returns whether the process lives."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Asks it to stop."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it without notice."""
        self._process.kill()
        self.wait()

    def wait(self, seconds: float = 60.0) -> int:
        """Waits for its end; returns the exit code."""
        code = self._process.wait(seconds)
        self._reader.join(5.0)
        return code

    def _read_log(self) -> None:
        for line in self._process.stderr:
            self.log.append(line)


Server = ServerThread | ServerProcess


@contextlib.contextmanager
def serving(
    export_dir: pathlib.Path, kind: Callable[..., Server] = ServerThread, **settings
) -> Iterator[Server]:
    """Runs a server inside; checks that it stops well."""
    server = kind(export_dir, **settings)
    try:
        yield server
        if server.is_running():
            server.terminate()
            assert server.wait() == 0, getattr(server, "log", "")
    finally:
        if server.is_running():
            server.kill()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until a condition holds; fails if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not come true in time."
        time.sleep(0.02)
