"""A Spark session that comes up within a stated time or says why not, and files on Spark's own paths."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from tfrs_gru4rec.checks import require

LEAST_JAVA = 17
SECONDS_TO_CONNECT = 10.0
SECONDS_TO_A_WORKER = 120.0

# Times are read and shown in UTC, as on one machine. A user's events beyond a cap go before they are sent to one task;
# and the start of a quantile's session is not looked for in a heap of all starts.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.optimizer.windowGroupLimitThreshold": str((1 << 31) - 1),
    "spark.sql.execution.topKSortFallbackThreshold": "100000",
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


@contextlib.contextmanager
def spark_session(
    master: str, settings: Mapping[str, str], seconds: float = SECONDS_TO_A_WORKER
) -> Iterator[Any]:
    """Gives a Spark session, and turns what fails on Spark within the block into one line.

    Args:
      master: Spark's address of a cluster, such as spark://host:7077, yarn or local[2].
      settings: of Spark, by name; they go before ours.
      seconds: how long to wait for the first worker of a cluster.

    Yields:
      A `SparkSession`: one of its own beside the one that is active, or one that is stopped at the end.

    Raises:
      ImportError: pyspark is not installed.
      OSError: there is no Java runtime, no master or no worker, or Spark failed.
      FileNotFoundError: a path does not exist.
    """
    _require_java()
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise ImportError("--engine spark needs pyspark: pip install 'tfrs_gru4rec[spark]'.") from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    active = SparkSession.getActiveSession()
    if active is None:
        _require_reachable(master, SECONDS_TO_CONNECT)
    settings, spark = {**_SETTINGS, **settings}, None
    try:
        if active is not None:
            spark = active.newSession()
            for name in filter(lambda name: name.startswith("spark.sql."), settings):
                spark.conf.set(name, settings[name])
        else:
            logging.info("Starting Spark on %s.", master)
            builder = SparkSession.builder.master(master).appName("tfrs_gru4rec")
            spark = builder.config(map=settings).getOrCreate()
            if not re.fullmatch(r"local(\[.*\])?", master):
                _wait_for_worker(spark, master, seconds)
        yield spark
    except (PySparkException, Py4JError) as error:
        kind = FileNotFoundError if "PATH_NOT_FOUND" in str(error) else OSError
        raise kind(f"Spark failed: {_cause(str(error))}") from error
    finally:
        if spark is not None and active is None:
            spark.stop()


def _cause(said: str) -> str:
    """Finds the line that says what was wrong: of a worker's Python, else at the end of a chain of causes."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it does not say why."]
    python = said.partition("Traceback (most recent call last):")[2]
    raised = re.search(r"^[A-Za-z_][\w.]*: .*", python, re.MULTILINE)
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (raised[0] if raised else (causes[-1] if causes else lines[0]))[:500]


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(os.path.join(home, "bin", "java") if home else "java")
    needed = f"--engine spark needs a Java runtime, {LEAST_JAVA} or later (Debian: openjdk-17-jre-headless)."
    if java is None:
        raise FileNotFoundError(f"{needed} There is none: JAVA_HOME={home!r}, and no java on the PATH.")
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    version = re.search(r'version "(\d+)', shown)
    if version and int(version[1]) < LEAST_JAVA:
        raise OSError(f"{needed} Received: {java}, version {version[1]}.")


def _require_reachable(master: str, seconds: float) -> None:
    """Tries the addresses of a master: Spark itself would go on trying for minutes."""
    addresses = re.findall(r"([\w.-]+):(\d+)", master) if "://" in master else []
    failures = []
    for host, port in addresses:
        try:
            socket.create_connection((host, int(port)), timeout=seconds).close()
        except OSError as error:
            failures.append(f"{host}:{port}: {error}")
        else:
            return
    if failures:
        raise ConnectionError(f"The Spark master cannot be reached: {'; '.join(failures)}.")


def _wait_for_worker(spark: Any, master: str, seconds: float) -> None:
    tracker = spark.sparkContext._jsc.sc().statusTracker()
    end = time.monotonic() + seconds
    while len(tracker.getExecutorInfos()) < 2:  # the first one is this process
        if time.monotonic() > end:
            rule = "No worker of the Spark master took up work"
            raise TimeoutError(f"{rule} within {seconds:g} s. Received: master={master!r}.")
        time.sleep(0.1)


class SparkFolder:
    """A folder on a path that Spark knows, in which results appear when they are whole.

    What is on its way is in a folder of its own inside. On HDFS and local disks each result appears at once; an
    object store has no such move and copies.
    """

    def __init__(self, spark: Any, path: str) -> None:
        """Looks the path up; nothing is made before the first `save`."""
        self.spark, self._target = spark, path.rstrip("/")
        self._hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        self._files = self._path("").getFileSystem(self._hadoop)
        self._was_there = self._files.exists(self._path(""))
        self._aside = f".spark-{uuid.uuid4().hex}"
        self._count = 0

    def __enter__(self) -> SparkFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.delete(self._path(self._aside), True)
        is_new = not self._was_there and self._files.exists(self._path(""))
        if is_new and not len(self._files.listStatus(self._path(""))):
            self._files.delete(self._path(""), True)

    def save(self, rows: Any) -> Any:
        """Writes a table aside and returns it as read back, so that nothing before it is ever computed again."""
        self._count += 1
        path = f"{self._target}/{self._aside}/{self._count}"
        rows.write.parquet(path)
        return self.spark.read.schema(rows.schema).parquet(path)

    def find(self, folder: str, names: Sequence[str], instructions: str = "") -> str:
        """Returns the path of the first of some files that is in a folder.

        Raises:
          FileNotFoundError: none is.
        """
        for name in names:
            path = self.spark.sparkContext._jvm.org.apache.hadoop.fs.Path(f"{folder.rstrip('/')}/{name}")
            if path.getFileSystem(self._hadoop).exists(path):
                return path.toString()
        raise FileNotFoundError(
            f"The raw file is missing: {folder} holds none of {', '.join(names)}. {instructions}"
        )

    def publish(self, tables: Mapping[str, Any], texts: Mapping[str, str]) -> list[str]:
        """Writes tables as folders of Parquet parts and texts as files, all aside; then moves them into place.

        The texts go before the first move and come after the last: where they are, what is beside them belongs
        together.

        Returns:
          The paths of the tables.
        """
        for name, rows in tables.items():
            rows.write.parquet(f"{self._target}/{self._aside}/{name}")
        for name, text in texts.items():
            stream = self._files.create(self._path(f"{self._aside}/{name}"))
            stream.write(bytearray(text.encode()))
            stream.close()
            self._files.delete(self._path(name), True)
        for name in (*tables, *texts):
            self._files.delete(self._path(name), True)
            moved = self._files.rename(self._path(f"{self._aside}/{name}"), self._path(name))
            require(moved, "A result must be movable into its place.", path=f"{self._target}/{name}")
        return [self.path_of(name) for name in tables]

    def path_of(self, name: str) -> str:
        """Returns the path of a result."""
        return f"{self._target}/{name}"

    def _path(self, name: str) -> Any:
        # With the slash the root of a file system is a path too: "hdfs://shop" is none.
        return self.spark.sparkContext._jvm.org.apache.hadoop.fs.Path(f"{self._target}/{name}")
