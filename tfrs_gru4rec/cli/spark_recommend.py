"""Recommends for a table of sessions on Spark: `recommend` on each worker, with one model a Python process."""

from __future__ import annotations

import functools
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tfrs_gru4rec.cli.recommenders import Source, TrainedModel
from tfrs_gru4rec.config import ColumnConfig, RecommendConfig

if TYPE_CHECKING:
    from tfrs_gru4rec.datasets.spark_session import SparkFolder
    from tfrs_gru4rec.export.whole_sessions import ExportedModel


def write_recommendations(
    folder: SparkFolder,
    output: str,
    source: Source,
    sessions_path: str,
    columns: ColumnConfig,
    recommendations: RecommendConfig,
) -> tuple[int, int]:
    """Writes a folder of Parquet parts with session, rank, item and score, sessions in the order of their starts.

    Args:
      folder: where, and the Spark session.
      output: name of the folder of parts.
      source: of the model, which is sent to the workers; they must have this package.
      sessions_path: log in Parquet, of any number of parts.
      columns: of the log.
      recommendations: what is recommended.

    Returns:
      The numbers of recommendations and of sessions.

    Raises:
      ValueError: the log cannot be read.
    """
    from pyspark.sql import functions as F

    from tfrs_gru4rec.datasets import spark_log

    keys = (columns.session_key, columns.item_key, columns.time_key)
    sessions = folder.save(spark_log.read_sessions(folder, sessions_path, keys))
    item_type = "bigint" if source.has_integers() else "string"
    kind = dict(sessions.dtypes)["session"]
    in_order = sessions.repartitionByRange("start", "session").sortWithinPartitions("start", "session")
    with tempfile.TemporaryDirectory() as temporary:
        # A folder of this machine's disk goes to workers of others as an archive only.
        name = f"model-{uuid.uuid4().hex}"
        archive = shutil.make_archive(str(Path(temporary) / name), "zip", source.folder)
        folder.spark.sparkContext.addArchive(f"{archive}#{name}")
        found = in_order.select("session", "items").mapInPandas(
            functools.partial(_recommend_parts, name=name, is_export=source.is_export, asked=recommendations),
            f"session {kind}, rank int, item {item_type}, score float",
        )
        folder.publish({output: found}, {})
    written = folder.spark.read.parquet(folder.path_of(output))
    return written.agg(F.count("*")).first()[0], sessions.count()


def _recommend_parts(
    parts: Iterator[pd.DataFrame], name: str, is_export: bool, asked: RecommendConfig
) -> Iterator[pd.DataFrame]:
    from pyspark import SparkFiles

    model = _load(Source(Path(SparkFiles.get(name)), is_export))
    for part in parts:
        by_id = dict(zip(part["session"], part["items"], strict=True))
        yield model.recommend(by_id, asked.top_k, asked.exclude_seen)


@functools.cache
def _load(source: Source) -> TrainedModel | ExportedModel:
    return source.load()
