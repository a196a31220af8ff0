"""Measures what clicks cost while somebody floods the server: p50, p90, p99 of `step`, attack by attack.

    python benchmarks/serving/attack.py --items 37000 --report attacks.json

It exports a model of random weights, starts gru4rec-serve as a process on loopback, finds its rate under closed
load, and then sends clicks at half of that rate, on a fixed schedule, so that a click that comes late counts late.
Beside them it runs each attack for a few seconds, from a process of its own. The aim: a p99 at most three times the
undisturbed one, memory that goes back, a health check that answers SERVING throughout. Every loop is bounded in
number and time, and no packet leaves this machine. The same attacks on another checkout, which exports its own model:

    python benchmarks/serving/attack.py --items 37000 --server_python ../before/.venv/bin/python
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator

import grpc
import numpy as np
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from load import Clicks, step_request
from run import EXPORT, free_port, process, run_json

from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.serving.predict_messages import PREDICT, ModelChoice, predict_of, put_ids

MODEL = ModelChoice(signatures.DEFAULT_MODEL_NAME)
# Upper ends of every attack, whatever the seconds asked for.
MAX_SILENT_CALLS, MAX_IDLE_CONNECTIONS, MAX_REQUESTS = 1024, 400, 20_000
MAX_SECONDS = 60.0
Attack = Callable[[str, float], "contextlib.AbstractAsyncContextManager[None]"]


def one_session_batch(number: int) -> Message:
    """Returns a step of 128 rows of one session."""
    request = MODEL.request(signatures.STEP.name)
    put_ids(request, "session_id", [f"one-{number % 30}"] * 128, 128)
    put_ids(request, "item_id", [str(row) for row in range(128)], 128)
    put_ids(request, "position", [0] * 128, 128)
    return request


def long_recommend(number: int) -> Message:
    """Returns a recommend of a few of the longest sessions."""
    request = MODEL.request(signatures.RECOMMEND.name)
    ids = [str((number + row) % 1000) for row in range(4 * signatures.MAX_LENGTH)]
    put_ids(request, "item_ids", ids, 4, signatures.MAX_LENGTH)
    return request


def huge_shape(number: int) -> Message:
    """Returns some fifty bytes that declare a million ids."""
    request = MODEL.request(signatures.RECOMMEND.name)
    put_ids(request, "item_ids", [str(number % 1000)], 1, 1 << 20)
    return request


def new_session(number: int) -> Message:
    """Returns the first click of a session nobody has had."""
    return step_request(MODEL, f"flood-{random.getrandbits(64)}", str(number % 1000), 1)


@contextlib.asynccontextmanager
async def background(work: Callable[[float], object], seconds: float) -> AsyncIterator[None]:
    """Runs a coroutine function of its end beside the block."""
    task = asyncio.ensure_future(work(time.perf_counter() + min(seconds, MAX_SECONDS)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def requests(make: Callable[[int], Message], workers: int) -> Attack:
    """Returns an attack of so many workers that each send the next request when the last is answered."""

    def attack(target: str, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        async def flood(end: float) -> None:
            async with grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                predict = predict_of(channel)

                async def work(worker: int) -> None:
                    for number in range(MAX_REQUESTS // workers):
                        if time.perf_counter() >= end:
                            return
                        try:
                            await predict(make(worker + number), timeout=10.0)
                        except grpc.RpcError:
                            await asyncio.sleep(0.001)  # refused, which is what should happen

                await asyncio.gather(*[work(worker) for worker in range(workers)])

        return background(flood, seconds)

    return attack


@contextlib.asynccontextmanager
async def silent_calls(target: str, seconds: float) -> AsyncIterator[None]:
    """Keeps calls open that have sent their headers and no message."""
    async with contextlib.AsyncExitStack() as stack:
        calls = []
        for _ in range(8):
            options = [("grpc.use_local_subchannel_pool", 1)]
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(target, options))
            calls += [channel.stream_unary(PREDICT)() for _ in range(MAX_SILENT_CALLS // 8)]
        try:
            yield
        finally:
            for call in calls:
                call.cancel()


@contextlib.asynccontextmanager
async def idle_connections(target: str, seconds: float) -> AsyncIterator[None]:
    """Keeps connections open that never say a word."""
    host, _, port = target.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_IDLE_CONNECTIONS):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=1.0))
        yield


@contextlib.asynccontextmanager
async def spinning(target: str, seconds: float) -> AsyncIterator[None]:
    """Sends nothing: what a process costs that keeps one core busy beside the server."""

    async def spin(end: float) -> None:
        while time.perf_counter() < end:
            await asyncio.sleep(0)

    async with background(spin, seconds):
        yield


def metrics_scrapes(url: str) -> Attack:
    """Returns an attack of four scrapers without a pause."""

    def attack(target: str, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        def scrape(end: float) -> None:
            for _ in range(MAX_REQUESTS):
                if time.perf_counter() >= end:
                    return
                with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5.0) as response:
                    response.read()

        async def flood(end: float) -> None:
            await asyncio.gather(*[asyncio.to_thread(scrape, end) for _ in range(4)])

        return background(flood, seconds)

    return attack


async def watch_health(target: str, end: float, states: list[str]) -> None:
    """Asks for the health five times a second."""
    async with grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.perf_counter() < end:
            try:
                answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
                states.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
            except grpc.RpcError as error:
                states.append(error.code().name)
            await asyncio.sleep(0.2)


async def clicks(target: str, rate: float, n_items: int, end: float) -> tuple[list[float], int]:
    """Sends clicks on a schedule; returns the milliseconds from when each was due, and how many failed."""
    took, failed, running = [], [0], set()
    async with grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        predict = predict_of(channel)
        streams = [Clicks(f"{time.time_ns()}-{number}", n_items) for number in range(64)]

        async def click(due: float, request: Message) -> None:
            try:
                await predict(request, timeout=10.0)
            except grpc.RpcError:
                failed[0] += 1
            took.append(1e3 * (time.perf_counter() - due))

        due, number = time.perf_counter(), 0
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            request = step_request(MODEL, *streams[number % len(streams)].next())
            task = asyncio.ensure_future(click(due, request))
            running.add(task)
            task.add_done_callback(running.discard)
            number, due = number + 1, due + 1.0 / rate
        await asyncio.gather(*running)
    return took, failed[0]


async def attack_alone(attack: Attack, target: str, seconds: float) -> None:
    """Runs an attack for so long and does nothing else."""
    async with attack(target, seconds):
        print("attacking", flush=True)
        await asyncio.sleep(min(seconds, MAX_SECONDS))


@contextlib.contextmanager
def attacking(name: str, target: str, metrics_port: int, seconds: float) -> Iterator[None]:
    """Runs an attack by another process inside."""
    command = [sys.executable, __file__, f"--attack={name}", f"--target={target}", f"--seconds={seconds}"]
    command += [f"--metrics_port={metrics_port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as attacker:
        try:
            attacker.stdout.readline()
            yield
        finally:
            attacker.terminate()


async def measure(
    pid: int, target: str, name: str, metrics_port: int, rate: float, options: argparse.Namespace
) -> dict:
    """Returns the figures of clicks under an attack; its name may be that of none."""
    states: list[str] = []
    seconds = min(options.seconds, MAX_SECONDS)
    is_attack = name in attacks_of(metrics_port)
    with attacking(name, target, metrics_port, seconds + 5.0) if is_attack else contextlib.nullcontext():
        await asyncio.sleep(0.5)
        end = time.perf_counter() + seconds
        (took, failed), _ = await asyncio.gather(
            clicks(target, rate, options.items, end), watch_health(target, end, states)
        )
        memory = resident_mebibytes(pid)
    p50, p90, p99 = np.percentile(took, [50, 90, 99]).tolist()
    bad = sum(state != "SERVING" for state in states)
    return {
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "clicks": len(took),
        "failed": failed,
        "health_wrong": bad,
        "resident_mebibytes": memory,
    }


def resident_mebibytes(pid: int) -> int:
    """Returns a process's memory, Linux only."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmRSS:"))


def attacks_of(metrics_port: int) -> dict[str, Attack]:
    """Returns the attacks by name."""
    return {
        "nothing but a busy core": spinning,
        "silent calls": silent_calls,
        "idle connections": idle_connections,
        "one-session batches": requests(one_session_batch, workers=30),
        "long recommends": requests(long_recommend, workers=8),
        "huge shapes": requests(huge_shape, workers=8),
        "new sessions": requests(new_session, workers=32),
        "metrics scrapes": metrics_scrapes(f"http://127.0.0.1:{metrics_port}/metrics"),
    }


async def measure_all(
    pid: int, target: str, metrics_port: int, rate: float, options: argparse.Namespace
) -> dict:
    """Returns the figures of all attacks, printed as they come."""
    found: dict[str, dict] = {}
    for name in ("undisturbed", *attacks_of(metrics_port), "undisturbed again"):
        figures = found[name] = await measure(pid, target, name, metrics_port, rate, options)
        figures["times_undisturbed"] = figures["p99"] / found["undisturbed"]["p99"]
        print(
            f"{name:24s}{figures['p50']:9.2f}{figures['p90']:9.2f}{figures['p99']:9.2f}"
            f"{figures['times_undisturbed']:9.1f}{figures['failed']:8d}{figures['health_wrong']:8d}"
            f"{figures['resident_mebibytes']:8d}",
            flush=True,
        )
        await asyncio.sleep(1.0)
    return found


@contextlib.contextmanager
def exported(options: argparse.Namespace) -> Iterator[str]:
    """Yields the folder to serve: the one asked for, or a new one of random weights."""
    if options.export_dir:
        yield options.export_dir
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [options.server_python, "-c", EXPORT, str(options.items), str(options.width), folder]
        subprocess.run(command, check=True)
        yield folder


def main() -> None:
    """Runs all attacks in turn and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=37_000, help="the model's items, whose ids are 0, 1, …")
    parser.add_argument("--width", type=int, default=100, help="units of the model")
    parser.add_argument("--export_dir", help="folder of versions to serve; default: a new one")
    parser.add_argument(
        "--server_python", default=sys.executable, help="Python that has the server to attack"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one attack, at most 60")
    parser.add_argument("--rate", type=float, help="clicks a second; default: half of what the server can do")
    parser.add_argument("--report", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--attack", help="run this attack alone, without measuring; needs --target")
    parser.add_argument("--target", help="host:port on loopback")
    parser.add_argument("--metrics_port", type=int, default=0)
    options = parser.parse_args()
    if options.attack:
        if not (options.target or "").startswith("127.0.0.1:"):
            parser.error("--target must be on 127.0.0.1.")
        attack = attacks_of(options.metrics_port)[options.attack]
        asyncio.run(attack_alone(attack, options.target, options.seconds))
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    metrics_port = free_port()
    with exported(options) as folder:
        command = ["-m", "tfrs_gru4rec.cli.serve", f"--export_dir={folder}", "--port=0"]
        command.append(f"--rest_port={metrics_port}")
        with process(command, options.server_python) as (pid, target):
            load = run_json("load.py", f"--target={target}", f"--items={options.items}", "--seconds=3")
            rate = options.rate or load["requests_per_second"] / 2
            print(f"{os.cpu_count()} cores, {rate:.0f} clicks/s; times in ms, memory in MiB\n")
            columns = ("p50", "p90", "p99", "p99 x")
            print(f"{'attack':24s}{''.join(f'{name:>9s}' for name in columns)}  failed  health  memory")
            found = asyncio.run(measure_all(pid, target, metrics_port, rate, options))
    if options.report:
        options.report.write_text(json.dumps({"clicks_per_second": rate, "attacks": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
