"""Prepares a large raw log by gru4rec-prepare on Spark and on one machine, from the same files, one after the other.

    python benchmarks/spark_log.py                          # 100 million events: 30 GB of disk
    python benchmarks/spark_log.py --events 2000000

The log is random and skewed as a shop's: a few users and items have most events, sessions have geometric lengths, and
a part holds some days, users mixed. Spark runs on two executors of one core. For each engine: seconds, rows of each
split, and the largest resident memory of each process but launchers (VmHWM of /proc, read twice a second); at the
end, whether statistics.json, the numbers of every rule and split, is the same.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import psutil
import raw_size_files

RULES = "--user_key user --item_key item --time_key time --time_unit ms --gap_seconds 1800 --max_user_events 20000"
ENGINES = {
    "spark": "--engine spark --spark_master local-cluster[2,1,{0}] "
    "--spark_conf spark.executor.memory={0}m,spark.driver.memory=1g",
    "local": "--output_format parquet",
}
_LAUNCHER_BYTES = 100e6
_KINDS = {
    "CoarseGrainedExecutorBackend": "executor (Java)",
    "SparkSubmit": "driver (Java)",
    "pyspark.daemon": "worker (Python)",
    "tfrs_gru4rec.cli": "command (Python)",
}


def peaks(process: psutil.Process, found: dict[tuple[int, str], int]) -> None:
    """Notes the largest resident memory so far of a process and its descendants, in bytes by number and kind."""
    for each in [process, *process.children(recursive=True)]:
        try:
            command = " ".join(each.cmdline())
            status = pathlib.Path(f"/proc/{each.pid}/status").read_text()
        except (psutil.Error, OSError):  # it has just ended
            continue
        kind = next((kind for part, kind in _KINDS.items() if part in command), None)
        if kind and "VmHWM:" in status:
            found[each.pid, kind] = int(status.split("VmHWM:")[1].split()[0]) * 1024


def prepare(engine: str, folder: pathlib.Path, executor_mb: int) -> str:
    """Prepares the log in `folder / "raw"`, prints what that took, and returns the statistics.

    Raises:
      RuntimeError: the command failed.
    """
    output = folder / engine
    paths = [f"--input_path={folder / 'raw'}", f"--output_dir={output}"]
    settings = f"{RULES} {ENGINES[engine].format(executor_mb)}".split()
    command = [sys.executable, "-m", "tfrs_gru4rec.cli.prepare", *paths, *settings]
    started, free, least = time.monotonic(), shutil.disk_usage(folder).free, shutil.disk_usage(folder).free
    found: dict[tuple[int, str], int] = {}
    environment = {**os.environ, "SPARK_LOCAL_DIRS": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder, env=environment) as running:
        while running.poll() is None:
            peaks(psutil.Process(running.pid), found)
            least = min(least, shutil.disk_usage(folder).free)
            time.sleep(0.5)
    if running.returncode:
        raise RuntimeError(f"The preparation failed, see above: {engine}")
    statistics = (output / "statistics.json").read_text()
    rows = {name: f"{row['events']:,}" for name, row in json.loads(statistics).items()}
    print(
        f"{engine}: {time.monotonic() - started:.0f} s, {(free - least) / 1e9:.1f} GB of disk at most, rows {rows}"
    )
    for (_, kind), size in sorted(found.items()):
        if size > _LAUNCHER_BYTES:
            print(f"  {kind}: {size / 1e6:,.0f} MB", flush=True)
    return statistics


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000_000, help="rows of the raw log, about")
    parser.add_argument("--folder", help="for the files; the system's temporary folder by default")
    parser.add_argument("--engines", default="spark,local", help="which, in order")
    parser.add_argument("--executor_mb", type=int, default=2048, help="heap of each of the two executors")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder, started = pathlib.Path(name), time.monotonic()
        raw_size_files.write_events(folder / "raw", given.events)
        size = sum(path.stat().st_size for path in (folder / "raw").iterdir())
        print(f"{size / 1e9:.2f} GB of raw files written in {time.monotonic() - started:.0f} s.", flush=True)
        statistics = {prepare(engine, folder, given.executor_mb) for engine in given.engines.split(",")}
        print(f"The same statistics: {len(statistics) == 1}")


if __name__ == "__main__":
    main()
