"""Whether a command works on Spark, and on which."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from tfrs_gru4rec.settings import OneOf, Settings


@dataclasses.dataclass(frozen=True)
class SparkConfig(Settings):
    """Where the work is done.

    >>> SparkConfig().engine
    'local'

    Attributes:
      engine: local, this process; or spark, which needs tfrs_gru4rec[spark] and a Java runtime.
      spark_master: address of the cluster, as in spark://host:7077, yarn or local[*], all cores of this machine.
      spark_conf: further settings of Spark, as in spark.executor.memory=8g.
    """

    engine: Annotated[str, OneOf(("local", "spark"))] = "local"
    spark_master: str = "local[*]"
    spark_conf: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @contextmanager
    def folder(self, path: str) -> Iterator[Any]:
        """Gives a folder to write to on a Spark session, which ends with the block; None without Spark.

        Raises:
          ImportError, OSError: as `spark_session.spark_session`.
        """
        if self.engine != "spark":
            yield None
            return
        from tfrs_gru4rec.datasets.spark_session import SparkFolder, spark_session

        with spark_session(self.spark_master, self.spark_conf) as spark, SparkFolder(spark, path) as folder:
            yield folder
