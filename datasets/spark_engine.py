"""The rules of a recipe as Spark's DataFrame operations: the same recipe, for logs of more than one machine.

Importing this module registers its forms of the generic rules, so `recipe.py` works on `SparkLog` and `SparkEvents`
as on `RawLog` and `Events`. No row passes through Python.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.datasets import preparation, recipe, session_statistics, split_files, time_splits
from tfrs_gru4rec.datasets.spark_session import SparkFolder
from tfrs_gru4rec.events import dwell_time, events, order


def _session() -> Any:
    """A window over the events of a session, or user."""
    return Window.partitionBy("session")


def _in_order() -> Any:
    """The same by time, then item, unwanted ones first."""
    return _session().orderBy("time", F.col("item").asc_nulls_first())


class SparkEvents:
    """Events as a table of session, item and time, in any order; raw ids take the place of codes.

    What is counted or described is written aside first, once, and read from there by all that follows: a plan stays
    short however many rounds the filters take, and a worker that is lost costs its own tasks alone.

    Attributes:
      rows: the table, perhaps only a plan of it.
      folder: where tables are written aside.
    """

    def __init__(self, rows: DataFrame, folder: SparkFolder) -> None:
        self.rows, self._is_saved, self._count = rows, False, -1
        self.folder = folder

    def saved(self) -> DataFrame:
        """The table, written aside."""
        if not self._is_saved:
            self.rows, self._is_saved = self.folder.save(self.rows), True
        return self.rows

    def __len__(self) -> int:
        if self._count < 0:
            self._count = self.saved().count()
        return self._count

    def derive(self, rows: DataFrame) -> SparkEvents:
        """Other events, in the same folder."""
        return SparkEvents(rows, self.folder)


@dataclasses.dataclass(frozen=True, eq=False)
class SparkLog:
    """A raw log on Spark, as `RawLog` is one in memory.

    Attributes:
      events: of all kinds; those that are not wanted have no item.
      ticks_per_second: unit of the times.
      skipped: rows that were left out, by what is wrong with them.
    """

    events: SparkEvents
    ticks_per_second: int = 1
    skipped: Sequence[Any] = ()

    def sorted_wanted(self) -> SparkEvents:
        """The wanted events."""
        return self.events.derive(self.events.rows.where("item is not null"))

    def capped(self, max_events: int, over_all_events: bool = False) -> SparkLog:
        """As `RawLog.capped`. What is too much of a user's is dropped where it is read, before it meets the rest."""
        rows = (self.events if over_all_events else self.sorted_wanted()).rows
        latest_first = _session().orderBy(F.desc("time"), F.col("item").desc_nulls_last())
        rows = rows.withColumn("place", F.row_number().over(latest_first)).where(F.col("place") <= max_events)
        kept = self.events.derive(rows.drop("place"))
        kept.saved()
        return dataclasses.replace(self, events=kept)

    def cut_at_gaps(self, gap: float, over_all_events: bool = False) -> SparkEvents:
        """As `RawLog.cut_at_gaps`; sessions have the same numbers."""
        rows = (self.events if over_all_events else self.sorted_wanted()).rows
        pause = F.col("time") - F.lag("time").over(_in_order())
        is_start = F.when(pause.isNull() | (pause > F.lit(gap)), 1).otherwise(0)
        so_far = _in_order().rowsBetween(Window.unboundedPreceding, 0)
        rows = rows.withColumn("is_start", is_start).withColumn("number", F.sum("is_start").over(so_far))
        rows = self.events.folder.save(rows.drop("is_start"))
        owners = _numbered(self.events.folder, rows.groupBy("session").agg(F.max("number").alias("count")))
        session = (F.col("before") + F.col("number") - 1).alias("session")
        cut = rows.join(owners, "session").select(session, "item", "time")
        return self.events.derive(cut.where("item is not null"))


def _numbered(folder: SparkFolder, owners: DataFrame) -> DataFrame:
    """Adds `before`, the sum of `count` over all owners that sort before, without sending all to one task."""
    parts = folder.save(owners.repartitionByRange("session").withColumn("part", F.spark_partition_id()))
    sums = dict(parts.groupBy("part").agg(F.sum("count")).collect())
    sizes = [sums.get(part, 0) for part in range(max(sums) + 1)]
    starts = F.array(*[F.lit(int(start)).cast("bigint") for start in np.cumsum([0, *sizes[:-1]])])
    earlier = Window.partitionBy("part").orderBy("session").rowsBetween(Window.unboundedPreceding, -1)
    within = F.coalesce(F.sum("count").over(earlier), F.lit(0))
    return parts.select("session", (F.get(starts, F.col("part")) + within).alias("before"))


@preparation.collapse_repeats.register
def _collapse_repeats(part: SparkEvents) -> SparkEvents:
    rows = part.rows.withColumn("last", F.lag("item").over(_in_order()))
    return part.derive(rows.where("last is null or last <> item").drop("last"))


@preparation.drop_short_sessions.register
def _drop_short_sessions(part: SparkEvents, min_length: int) -> SparkEvents:
    if min_length <= 1:
        return part
    rows = part.rows.withColumn("length", F.count("*").over(_session()))
    return part.derive(rows.where(F.col("length") >= min_length).drop("length"))


@preparation.drop_rare_items.register
def _drop_rare_items(part: SparkEvents, min_support: int) -> SparkEvents:
    counts = part.saved().groupBy("item").count()
    rare = part.folder.save(counts.where(F.col("count") < min_support))
    if rare.isEmpty():
        return part
    return part.derive(part.saved().join(rare, "item", "left_anti").select("session", "item", "time"))


@time_splits.split_by_start.register
def _split_by_start(
    part: SparkEvents, split_time: float, min_length: int = 2
) -> tuple[SparkEvents, SparkEvents]:
    rows = part.saved()
    train = part.derive(rows.where(F.col("time") < F.lit(split_time)))
    starts = rows.withColumn("start", F.min("time").over(_session()))
    test = part.derive(starts.where(F.col("start") >= F.lit(split_time)).drop("start"))
    return _drop_short_sessions(train, min_length), test


@time_splits.last_time.register
def _last_time(part: SparkEvents) -> float:
    return part.saved().agg(F.max("time")).first()[0]


@time_splits.start_quantile.register
def _start_quantile(part: SparkEvents, share: float) -> float:
    starts = part.saved().groupBy("session").agg(F.min("time").alias("start")).select("start")
    n_last = order.count_of_last(starts.count(), share)
    return float(starts.orderBy(F.desc("start")).offset(n_last - 1).first()[0])


@session_statistics.describe.register
def _describe(part: SparkEvents, ticks_per_second: float = 1) -> session_statistics.SessionStatistics:
    rows = part.saved()
    sessions = rows.groupBy("session").agg(
        F.count("*").alias("length"), F.min("time").alias("first"), F.max("time").alias("last")
    )
    lengths = sessions.groupBy("length").agg(F.count("*"), F.min("first"), F.max("last"))
    found = lengths.crossJoin(rows.select("item").distinct().agg(F.count("*"))).collect()
    if not found:
        return session_statistics.SessionStatistics(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0)
    length, count, first, last, n_items = zip(*found, strict=True)
    n_sessions = np.zeros(max(length) + 1, np.int64)
    n_sessions[list(length)] = count
    seconds = float(max(last) - min(first)) / ticks_per_second
    return session_statistics.describe_lengths(n_sessions, n_items[0], seconds)


@recipe.repeat_by_dwell.register
def _repeat_by_dwell(part: SparkEvents, seconds: float, ticks_per_second: int) -> SparkEvents:
    dwell = F.coalesce(F.lead("time").over(_in_order()) - F.col("time"), F.lit(0))
    ticks, threshold = dwell_time.in_microseconds(seconds, ticks_per_second)
    copies = F.floor(F.rint(dwell * F.lit(ticks)) / F.lit(threshold)) + 1
    rows = part.saved().withColumn("copies", copies)
    total = rows.agg(F.sum(F.col("copies").cast("double"))).first()[0] or 0.0
    rule = dwell_time.SIZE_RULE
    require(total <= events.MAX_INT32, rule, seconds=seconds, events=len(part), repeated_to=total)
    copy = F.explode(F.sequence(F.lit(1).cast("bigint"), F.col("copies")))
    return part.derive(rows.withColumn("copy", copy).drop("copy", "copies"))


def write_splits(
    folder: SparkFolder, parts: Mapping[str, SparkEvents], statistics: Any, ticks_per_second: int = 1
) -> list[str]:
    """Writes a folder of Parquet parts for each split, rows in the order of `split_files.split_table`.

    Args:
      folder: where.
      parts: events by split name.
      statistics: what goes into statistics.json.
      ticks_per_second: unit of the times.

    Returns:
      The paths of the splits.
    """
    tables = {f"{name}.parquet": _split_table(part, ticks_per_second) for name, part in parts.items()}
    return folder.publish(tables, {split_files.STATISTICS_FILE: json.dumps(statistics, indent=2) + "\n"})


def _split_table(part: SparkEvents, ticks_per_second: int) -> DataFrame:
    by = ("start", "session", "time", "item")
    rows = part.saved().withColumn("start", F.min("time").over(_session()))
    rows = rows.repartitionByRange("start", "session").sortWithinPartitions(*by)
    columns = ("session", "item", _seconds(ticks_per_second))
    return rows.select(*columns).toDF(*split_files.COLUMNS)


def _seconds(ticks_per_second: int) -> Column:
    time = F.col("time")
    return time if ticks_per_second == 1 else time / F.lit(ticks_per_second)
