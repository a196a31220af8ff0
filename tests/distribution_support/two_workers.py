"""Two workers on this machine: commands with TF_CONFIG, of which none outlives its test."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

SECONDS = 240


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


def environment(ports: Sequence[int], number: int) -> dict[str, str]:
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": number}}
    return {**os.environ, "TF_CONFIG": json.dumps(config)}


@contextlib.contextmanager
def started(*commands: Sequence[str | Path]) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts a worker for each command, as arguments of Python."""
    ports = free_ports(len(commands))
    workers = []
    try:
        for number, command in enumerate(commands):
            workers.append(
                subprocess.Popen(
                    [sys.executable, *map(str, command)],
                    env=environment(ports, number),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def outputs(workers: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Waits for the ends of all; returns what each said."""
    return [worker.communicate(timeout=SECONDS)[0] for worker in workers]
