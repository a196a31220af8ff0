"""What keeps Spark from starting is said in one line, within a stated time; no Java is needed to see it."""

import socket
import sys
import time
from unittest import mock

import pytest

from tfrs_gru4rec.datasets import spark_session as sessions
from tfrs_gru4rec.datasets.spark_session import spark_session


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Puts a `java` on the PATH that says its version and nothing else; returns a function that sets it."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def set_version(version):
        (tmp_path / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        (tmp_path / "java").chmod(0o755)

    return set_version


def refusal(kind, master="local[1]"):
    started = time.monotonic()
    with pytest.raises(kind) as raised, spark_session(master, {}):
        pass
    assert time.monotonic() - started < 30
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_no_java_or_an_old_one(java, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no java on the PATH" in refusal(FileNotFoundError)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert f"JAVA_HOME='{tmp_path / 'jdk'}'" in refusal(FileNotFoundError)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    java("11.0.2")
    assert "17 or later" in refusal(OSError)


def test_no_pyspark(java, monkeypatch):
    java("17.0.15")
    for name in ("pyspark", "pyspark.sql", "py4j.protocol"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'tfrs_gru4rec[spark]'" in refusal(ImportError)


def test_no_master_at_the_address(java):
    pytest.importorskip("pyspark")
    java("17.0.15")
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        said = refusal(ConnectionError, f"spark://127.0.0.1:{port}")
    assert f"cannot be reached: 127.0.0.1:{port}: " in said


def test_no_worker_of_a_master_in_time():
    spark = mock.MagicMock()
    tracker = spark.sparkContext._jsc.sc.return_value.statusTracker.return_value
    tracker.getExecutorInfos.return_value = ["this process"]
    with pytest.raises(
        TimeoutError, match=r"No worker .* within 0\.2 s\. Received: master='spark://host:7077'"
    ):
        sessions._wait_for_worker(spark, "spark://host:7077", 0.2)
    tracker.getExecutorInfos.return_value.append("a worker")
    sessions._wait_for_worker(spark, "spark://host:7077", 0.2)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("[PATH_NOT_FOUND] No such path: a.\n\tat b", "[PATH_NOT_FOUND] No such path: a."),
        ("Job aborted.\nCaused by: A: x\n\tat b\nCaused by: B: y\n\tat c", "B: y"),
        (
            "Job aborted.\nCaused by: PythonException: Traceback (most recent call last):\n"
            '  File "a.py", line 3\n    x: int = 1\nValueError: no such item\n\tat b',
            "ValueError: no such item",
        ),
    ],
)
def test_of_what_spark_says_the_cause_is_told(said, cause):
    assert sessions._cause(said) == cause
