"""Measures gru4rec-serve on this machine: steps per second and latency, at several concurrencies.

    python benchmarks/serving/run.py --items 37000 --client stub rest

For each catalogue it exports a model of random weights, starts the server as a process, and drives it
from another over loopback. In the same run it measures what cannot be saved: the bare ranking product,
and an echo over the same gRPC. Weights do not matter to speed. The aim is 1,000 requests/s at a p90
under 7 ms for 37,000 items and 100 units on 2 cores, the client's share of them included.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

FOLDER = pathlib.Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
EXPORT = """
import sys, numpy as np
from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, Vocabulary, export_saved_model
n_items, width, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ids = np.array([str(row) for row in range(n_items)], object)
model = GRU4Rec(Vocabulary.from_counts(ids, np.arange(n_items, 0, -1)), GRU4RecConfig(layers=(width,)))
export_saved_model(model, folder, top_k=20, max_sessions=200_000)
"""


def main() -> None:
    """Runs and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 37_000, 100_000])
    parser.add_argument("--width", type=int, default=100, help="units of the model")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--client", choices=["stub", "session", "rest"], nargs="+", default=["stub"])
    parser.add_argument("--server_flags", nargs="*", default=[], help="more flags for gru4rec-serve")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with process([str(FOLDER / "echo_server.py")]) as (pid, target):
        print("\ngRPC echo, no model")
        report(pid, target, options, options.items[0], [1, max(options.concurrency)], client="stub")
    for n_items in options.items:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-c", EXPORT, str(n_items), str(options.width), folder], check=True
            )
            bare = run_json("bare_product.py", f"--items={n_items}", f"--width={options.width}")
            print(f"\n{n_items:,} items x {options.width}: the bare product and top 20 take", end=" ")
            print(", ".join(f"{time_:.2f} ms for {size}" for size, time_ in bare.items()))
            rest_port = free_port()
            command = ["-m", "tfrs_gru4rec.cli.serve", f"--export_dir={folder}", "--port=0"]
            command += [f"--rest_port={rest_port}", *options.server_flags]
            with process(command) as (pid, target):
                for client in options.client:
                    print(f"client: {client}")
                    where = f"127.0.0.1:{rest_port}" if client == "rest" else target
                    report(pid, where, options, n_items, options.concurrency, client)


def report(
    pid: int, target: str, options: argparse.Namespace, n_items: int, concurrencies: list[int], client: str
) -> None:
    """Prints a line for each concurrency."""
    print("clients  requests/s   p50 ms   p90 ms   p99 ms   CPU µs a request: server  client")
    for concurrency in concurrencies:
        before = cpu_seconds(pid)
        found = run_json(
            "load.py",
            f"--target={target}",
            f"--concurrency={concurrency}",
            f"--items={n_items}",
            f"--seconds={options.seconds}",
            f"--client={client}",
        )
        server_cpu = 1e6 * (cpu_seconds(pid) - before) / found["calls"]
        print(
            f"{concurrency:7d}{found['requests_per_second']:12.0f}{found['p50']:9.2f}{found['p90']:9.2f}"
            f"{found['p99']:9.2f}{server_cpu:26.0f}{found['client_cpu_microseconds']:8.0f}",
            flush=True,
        )


def free_port() -> int:
    """Returns a TCP port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextlib.contextmanager
def process(arguments: list[str], python: str = sys.executable) -> Iterator[tuple[int, str]]:
    """Runs a Python server inside; yields its process id and address."""
    with subprocess.Popen([python, *arguments], stdout=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stdout or ():
                if match := re.match(r"listening on (\S+)", line):
                    yield server.pid, match[1]
                    return
            raise RuntimeError(f"The server did not start: {arguments}.")
        finally:
            server.terminate()


def run_json(script: str, *arguments: str) -> dict:
    """Runs a script of this folder; returns what its last line says."""
    result = subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(result.stdout.splitlines()[-1])


def cpu_seconds(pid: int) -> float:
    """Returns the processor time a process has taken, Linux only."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"\n{time.monotonic() - started:.0f} s")
