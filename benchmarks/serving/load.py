"""Closed-loop load: so many clients that each send a step, wait for the answer, and send the next.

A process of its own, so that it shares no interpreter with the server. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import random
import resource
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import grpc
import numpy as np
from google.protobuf.message import Message

from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.serving.client import SessionClient
from tfrs_gru4rec.export.serving.predict_messages import ModelChoice, predict_of, put_ids

EVENTS_PER_SESSION = 10
WARM_UP_SECONDS = 0.5


class Clicks:
    """An endless row of clicks, session after session."""

    def __init__(self, name: str, n_items: int) -> None:
        self._name, self._chance, self._n_items = name, random.Random(name), n_items
        self._count = 0

    def next(self) -> tuple[str, str, int]:
        """Returns session, item and position."""
        session, event = divmod(self._count, EVENTS_PER_SESSION)
        self._count += 1
        # Squared: most clicks fall on few items, as in a shop.
        item = int(self._n_items * self._chance.random() ** 2)
        return f"{self._name}-{session}", str(item), event + 1


def step_request(model: ModelChoice, session: str, item: str, position: int) -> Message:
    """Returns a step of one row."""
    request = model.request(signatures.STEP.name)
    put_ids(request, "session_id", [session], 1)
    put_ids(request, "item_id", [item], 1)
    put_ids(request, "position", [position], 1)
    return request


async def drive(
    send: Callable[[str, str, int], Awaitable[object]], concurrency: int, n_items: int, seconds: float
) -> list[tuple[float, float]]:
    """Sends steps, each client one after another; returns begin and end of every call."""
    calls: list[tuple[float, float]] = []
    end = time.perf_counter() + WARM_UP_SECONDS + seconds

    async def client(number: int) -> None:
        clicks = Clicks(f"{time.time_ns()}-{number}", n_items)
        while (begin := time.perf_counter()) < end:
            await send(*clicks.next())
            calls.append((begin, time.perf_counter()))

    await asyncio.gather(*[client(number) for number in range(concurrency)])
    return calls


async def drive_stub(target: str, *load: Any) -> list[tuple[float, float]]:
    """Sends steps over the bare stub."""
    model = ModelChoice(signatures.DEFAULT_MODEL_NAME)
    async with grpc.aio.insecure_channel(target) as channel:
        predict = predict_of(channel)
        return await drive(lambda *click: predict(step_request(model, *click), timeout=30.0), *load)


async def drive_rest(target: str, *load: Any) -> list[tuple[float, float]]:
    """Sends steps as JSON over REST."""
    url = f"http://{target}/v1/models/{signatures.DEFAULT_MODEL_NAME}:predict"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30.0), raise_for_status=True) as http:

        async def send(session: str, item: str, position: int) -> None:
            inputs = {"session_id": [session], "item_id": [item], "position": [position]}
            async with http.post(url, json={"signature_name": "step", "inputs": inputs}) as answer:
                await answer.json()

        return await drive(send, *load)


def drive_session_client(
    target: str, concurrency: int, n_items: int, seconds: float
) -> list[tuple[float, float]]:
    """The same through SessionClient, a thread a client."""
    calls: list[tuple[float, float]] = []
    end = time.perf_counter() + WARM_UP_SECONDS + seconds
    with SessionClient(target) as shared:

        def client(number: int) -> None:
            clicks = Clicks(f"{time.time_ns()}-{number}", n_items)
            while (begin := time.perf_counter()) < end:
                session, item, _ = clicks.next()
                shared.click(session, item)
                calls.append((begin, time.perf_counter()))

        threads = [threading.Thread(target=client, args=[number]) for number in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return calls


def main() -> None:
    """Runs and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--client", choices=["stub", "session", "rest"], default="stub")
    options = parser.parse_args()
    arguments = (options.target, options.concurrency, options.items, options.seconds)
    cpu_before = _cpu_seconds()
    if options.client == "session":
        calls = drive_session_client(*arguments)
    else:
        calls = asyncio.run({"stub": drive_stub, "rest": drive_rest}[options.client](*arguments))
    cpu = (_cpu_seconds() - cpu_before) / len(calls)
    measured_from = min(begin for begin, _ in calls) + WARM_UP_SECONDS
    milliseconds = [1e3 * (end - begin) for begin, end in calls if begin >= measured_from]
    p50, p90, p99 = np.percentile(milliseconds, [50, 90, 99])
    seconds = max(end for _, end in calls) - measured_from
    figures = {
        "requests_per_second": len(milliseconds) / seconds,
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "client_cpu_microseconds": 1e6 * cpu,
        "calls": len(calls),
    }
    print(json.dumps(figures))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
