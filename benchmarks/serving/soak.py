"""Lets gru4rec-serve run for long, at half load, with a version push a minute, and checks every answer.

    python benchmarks/serving/soak.py --seconds 3600 --push_seconds 60

It exports a model of random weights and starts the server as a process on loopback. Session clients follow
sessions whose answers were computed before by the model itself, click after click, on a fixed schedule; each version
pushed has the same weights, so nothing may change. An answer is wrong if its session has another length than
clicks were told, or if its items or scores are other ones, beyond rounding. The metrics are scraped and the health
is asked for once a second. Ends with 1 if an answer was wrong, a click failed, a push was not served, or a look at
health and metrics found anything else than a server in service.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
from attack import free_port, resident_mebibytes
from grpc_health.v1 import health_pb2, health_pb2_grpc
from run import process, run_json

from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, Vocabulary, export_saved_model, recommend
from tfrs_gru4rec.export.publishing import publish
from tfrs_gru4rec.export.serving.client import ServedRecommendations, SessionClient
from tfrs_gru4rec.export.serving.retry import RetryPolicy
from tfrs_gru4rec.export.signatures import Status

CLICKS_OF_A_SESSION, TOP_K, WORKERS = 10, 20, 16
# Micro-batches of other sizes sum the same products in another order.
ROUNDING = 1e-5


@dataclasses.dataclass(frozen=True)
class Click:
    """A click and the right answer to it: items best first, and scores, one more than is asked for."""

    item: str
    items: list[Any]
    scores: np.ndarray


def scripted_sessions(model: GRU4Rec, count: int = 200, top_k: int = TOP_K) -> list[list[Click]]:
    """Makes sessions of random clicks, and the answers to them, by the model alone."""
    chance, n_items = random.Random(5), model.vocabulary.n_items
    sessions = [
        [str(model.vocabulary.ids[int(n_items * chance.random() ** 2)]) for _ in range(CLICKS_OF_A_SESSION)]
        for _ in range(count)
    ]
    begun = [session[: end + 1] for session in sessions for end in range(CLICKS_OF_A_SESSION)]
    found = recommend(model, begun, k=top_k + 1).groupby("session")
    clicks = [
        Click(session[-1], group["item"].tolist(), group["score"].to_numpy())
        for session, (_, group) in zip(begun, found, strict=True)
    ]
    return [
        clicks[start : start + CLICKS_OF_A_SESSION] for start in range(0, len(clicks), CLICKS_OF_A_SESSION)
    ]


def is_right(answer: ServedRecommendations, click: Click, length: int) -> bool:
    """Returns whether an answer is the one of a session of this length; equal scores stand in any order."""
    expected = dict(zip(click.items, click.scores, strict=True))
    return (
        answer.session_length == length
        and answer.status in (Status.APPLIED, Status.REPEATED)
        and len(set(answer.item_ids)) == len(answer.item_ids) == len(click.items) - 1
        and bool(np.allclose(answer.scores, click.scores[:-1], rtol=ROUNDING, atol=ROUNDING))
        and all(
            abs(expected.get(item, click.scores[-1]) - score) <= ROUNDING * (1.0 + abs(score))
            for item, score in zip(answer.item_ids, answer.scores, strict=True)
        )
    )


@dataclasses.dataclass
class Soak:
    """Clicks, pushes and looks at one server, and what they found.

    Attributes:
      target: "host:port" of gRPC.
      metrics_url: where the metrics are.
      source: a version folder, to be pushed again and again.
      export_dir: where to.
      sessions: to be clicked.
      memory: returns the server's memory in MiB.
      policy: how long clients try.
      milliseconds: what each click took, from when it was due.
      mebibytes: the memory at the start, before each push, and at the end.
      version: the last one pushed.
      wrong: clicks whose answer was wrong.
      failed: clicks without an answer.
      unwell: what was found by looks at health and metrics, and by pushes, instead of a server in service.
    """

    target: str
    metrics_url: str
    source: pathlib.Path
    export_dir: pathlib.Path
    sessions: list[list[Click]]
    memory: Callable[[], int] = lambda: 0
    policy: RetryPolicy = RetryPolicy()
    milliseconds: list[float] = dataclasses.field(default_factory=list)
    mebibytes: list[int] = dataclasses.field(default_factory=list)
    version: int = 0
    wrong: list[Click] = dataclasses.field(default_factory=list)
    failed: list[Click] = dataclasses.field(default_factory=list)
    unwell: list[str] = dataclasses.field(default_factory=list)
    _end: float = 0.0

    def run(self, seconds: float, push_seconds: float, rate: float) -> None:
        """Goes on for so long, with a push after each `push_seconds` and so many clicks a second."""
        self._end = time.monotonic() + seconds
        self.mebibytes.append(self.memory())
        with (
            concurrent.futures.ThreadPoolExecutor(WORKERS + 2) as threads,
            SessionClient(self.target, policy=self.policy) as client,
        ):
            work = [threads.submit(self._click, client, worker, rate) for worker in range(WORKERS)]
            work += [threads.submit(self._push, push_seconds), threads.submit(self._look)]
            for each in work:
                each.result()

    def figures(self) -> dict[str, float]:
        """Returns what was found, by name."""
        p50, p99 = np.percentile(self.milliseconds, [50, 99]).round(2).tolist()
        return {
            "clicks": len(self.milliseconds),
            "version": self.version,
            "wrong": len(self.wrong),
            "failed": len(self.failed),
            "unwell": len(self.unwell),
            "p50": p50,
            "p99": p99,
            "mebibytes at the start": self.mebibytes[0],
            "at the end": self.mebibytes[-1],
            "at most": max(self.mebibytes),
        }

    def figure(self, name: str) -> float:
        """Returns one of the server's metrics."""
        with urllib.request.urlopen(self.metrics_url, timeout=30.0) as response:
            found = re.search(rf"^gru4rec_{name} (\S+)", response.read().decode(), re.MULTILINE)
        return float(found[1]) if found else float("nan")

    def _is_over(self) -> bool:
        return time.monotonic() >= self._end

    def _click(self, client: SessionClient, worker: int, rate: float) -> None:
        chance, due = random.Random(worker), time.monotonic() + worker / rate
        for number in itertools.count():
            name = f"soak-{worker}-{number}"
            for length, click in enumerate(chance.choice(self.sessions), 1):
                time.sleep(max(0.0, due - time.monotonic()))
                if self._is_over():
                    return
                try:
                    answer = client.click(name, click.item)
                except grpc.RpcError as error:
                    print(f"A click failed: {error}", file=sys.stderr)
                    self.failed.append(click)
                    break
                if not is_right(answer, click, length):
                    self.wrong.append(click)
                self.milliseconds.append(1e3 * (time.monotonic() - due))
                due += WORKERS / rate

    def _push(self, push_seconds: float) -> None:
        begun, n_clicks = time.monotonic(), 0
        for number in itertools.count(1):
            time.sleep(max(0.0, min(self._end, begun + number * push_seconds) - time.monotonic()))
            self.mebibytes.append(self.memory())
            p50, p99 = np.percentile(self.milliseconds[n_clicks:] or [0.0], [50, 99])
            n_clicks = len(self.milliseconds)
            print(
                f"{time.monotonic() - begun:8.0f} s{n_clicks:10d}{p50:9.2f}{p99:9.2f}"
                f"{len(self.wrong):7d}{len(self.failed):7d}{len(self.unwell):7d}{self.mebibytes[-1]:8d}",
                flush=True,
            )
            if self._is_over():
                return
            self.version = int(publish(self.export_dir, None, self._copy, keep_versions=2).name)
            if not self._is_served(self.version):
                self.unwell.append(f"version {self.version} not served")

    def _is_served(self, version: int, seconds: float = 60.0) -> bool:
        end = time.monotonic() + seconds
        while self.figure("model_version") != version and time.monotonic() < end:
            time.sleep(0.05)
        return self.figure("model_version") == version

    def _copy(self, hidden: pathlib.Path) -> None:
        shutil.copytree(self.source, hidden, dirs_exist_ok=True)

    def _look(self) -> None:
        with grpc.insecure_channel(self.target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while not self._is_over():
                try:
                    status = health.Check(health_pb2.HealthCheckRequest(), timeout=30.0).status
                    failures = self.figure("load_failures_total")
                    if status != health_pb2.HealthCheckResponse.SERVING or failures:
                        self.unwell.append(f"health {status}, {failures} failed loads")
                except (grpc.RpcError, OSError) as error:
                    self.unwell.append(str(error))
                time.sleep(max(0.0, min(1.0, self._end - time.monotonic())))


def main() -> int:
    """Runs a soak and prints a line before each push; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--push_seconds", type=float, default=60.0, help="time between two pushes")
    parser.add_argument("--items", type=int, default=37_000)
    parser.add_argument("--width", type=int, default=100, help="units of the model")
    parser.add_argument("--rate", type=float, help="clicks a second; default: half of what the server can do")
    parser.add_argument("--report", type=pathlib.Path, help="JSON file to write")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        export_dir = pathlib.Path(folder, "export")
        ids = np.array([str(row) for row in range(options.items)], object)
        vocabulary = Vocabulary.from_counts(ids, np.arange(options.items, 0, -1))
        model = GRU4Rec(vocabulary, GRU4RecConfig(layers=(options.width,)))
        version = export_saved_model(model, export_dir, top_k=TOP_K, max_sessions=200_000)
        source = shutil.copytree(version, pathlib.Path(folder, "source"))
        metrics_port = free_port()
        command = ["-m", "tfrs_gru4rec.cli.serve", f"--export_dir={export_dir}", "--port=0"]
        with process([*command, f"--rest_port={metrics_port}"]) as (pid, target):
            load = run_json("load.py", f"--target={target}", f"--items={options.items}", "--client=session")
            rate = options.rate or load["requests_per_second"] / 2
            print(f"{os.cpu_count()} cores, {rate:.0f} clicks/s; times in ms, memory in MiB\n")
            print("      time    clicks      p50      p99  wrong failed unwell  memory")
            soak = Soak(
                target,
                f"http://127.0.0.1:{metrics_port}/metrics",
                source,
                export_dir,
                scripted_sessions(model),
                lambda: resident_mebibytes(pid),
            )
            soak.run(options.seconds, options.push_seconds, rate)
    figures = soak.figures()
    print("\n" + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if options.report:
        options.report.write_text(json.dumps({"clicks_per_second": rate, **figures}, indent=2) + "\n")
    return 1 if soak.wrong or soak.failed or soak.unwell else 0


if __name__ == "__main__":
    sys.exit(main())
