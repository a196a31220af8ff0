"""A Spark session of this machine, or the reason why there is none."""

import importlib.util
import os
import shutil

import pytest

# What tests run on; the executors of a local-cluster are processes, as on other machines.
MASTER = os.environ.get("GRU4REC_SPARK_MASTER", "local[2]")


def skip_without_spark() -> None:
    """Skips the test, by name, where Spark cannot run."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed: make spark")
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(os.path.join(home, "bin", "java") if home else "java"):
        pytest.skip("there is no Java runtime: install openjdk-17-jre-headless, or set JAVA_HOME")
