"""Reads raw logs on Spark, to the same events as `events/raw_log.py` and `source.py` read on one machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.datasets.source import Source
from tfrs_gru4rec.datasets.spark_engine import SparkEvents, SparkLog
from tfrs_gru4rec.datasets.spark_session import SparkFolder
from tfrs_gru4rec.events import converters, id_codes, raw_ids, raw_log, times
from tfrs_gru4rec.events.bad_rows import BadRows
from tfrs_gru4rec.events.delimited import Converter
from tfrs_gru4rec.events.log_files import require_keys
from tfrs_gru4rec.events.text_lines import split_header

_NAMES = ("session", "item", "time")
_TEXT = re.compile(r"\.(tsv|csv|txt)(\.gz)?$", re.IGNORECASE)
_BAD_RULE = "Rows are no events: correct them, or leave them out (--bad_rows skip)."
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_CSV = {"header": True, "quote": '"', "escape": '"', "mode": "FAILFAST", "enforceSchema": False}
_SOURCE_TIMES: dict[Converter, Callable[[Column], Column]] = {
    converters.integers: lambda text: text.try_cast("bigint"),
    converters.iso_milliseconds: lambda text: F.unix_millis(text.try_cast("timestamp")),
    converters.utc_seconds: lambda text: F.unix_seconds(text.try_cast("timestamp")),
}


def read_log(
    folder: SparkFolder,
    path: str,
    keys: tuple[str, str, str],
    time_unit: str = "s",
    kinds: tuple[str, Sequence[str]] | None = None,
    skip_bad_rows: bool = False,
) -> SparkLog:
    """Reads a log from Parquet, or from text with a header line, as `raw_log.read_raw_log` does from one file.

    Args:
      folder: where tables are written aside.
      path: one that Spark knows, a pattern or folder included; text if it ends in .tsv, .csv or .txt, or .gz after it.
      keys: columns of sessions (or users), items and times.
      time_unit: of times that are numbers: s, ms, us or ns.
      kinds: column of the kind of event, and the kinds to keep; None keeps all.
      skip_bad_rows: leave out rows without a readable time, a session or an item; otherwise one of them is an error.

    Returns:
      The log; times in seconds, integers if all are whole.

    Raises:
      ValueError: the content is no log.
    """
    rows, is_text = _read(folder, path, [*keys, *([kinds[0]] if kinds else [])])
    wanted = F.lit(True)
    if kinds:
        wanted = F.coalesce(F.col(_quoted(kinds[0])).cast("string").isin(list(kinds[1])), F.lit(False))
        _require_wanted(rows, path, wanted, *kinds)
    columns = [F.col(_quoted(key)) for key in keys]
    types = [dict(rows.select(column.alias("it")).dtypes)["it"] for column in columns]
    rows = rows.select(*(c.alias(name) for c, name in zip(columns, _NAMES, strict=True)),
                       wanted.alias("wanted"))  # fmt: skip
    session, is_no_session = _id_column(rows, "session", keys[0], types[0], is_text)
    item, is_no_item = _id_column(rows.where("wanted"), "item", keys[1], types[1], is_text)
    time, per_second = _ticks(rows, keys[2], types[2], time_unit)
    is_bad = {
        f"no readable {keys[2]}": ("time", time.isNull()),
        f"no {keys[0]}": ("session", is_no_session),
        f"no {keys[1]}": ("item", is_no_item & F.col("wanted")),
    }
    found = _bad_rows(rows, is_bad)
    require(skip_bad_rows or not found, _BAD_RULE, file=path, rows=[str(each) for each in found])
    for _, is_found in is_bad.values():
        rows = rows.where(~is_found) if found else rows
    item = F.when(F.col("wanted"), item)
    log = SparkEvents(rows.select(session.alias("session"), item.alias("item"), time.alias("time")), folder)
    require(len(log) > 0, raw_log.EVENTS_RULE, file=path, skipped=[str(each) for each in found])
    log = SparkEvents(_in_seconds(log.rows, per_second, {"file": path, "column": keys[2]}, time_unit), folder)
    return SparkLog(log, skipped=found)


def read_source(folder: SparkFolder, source: Source, path: str) -> SparkLog:
    """Reads the raw files of a published set, as `source.read_source` does; they must be text, plain or gzipped.

    Args:
      folder: where tables are written aside.
      source: the set.
      path: the folder that holds the files.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: a value cannot be read.
    """
    columns, names = source.columns, source.layout.names
    schema = {} if names is None else {"schema": ", ".join(f"`{name}` string" for name in names)}
    files = [folder.find(path, (name, f"{name}.gz"), source.instructions) for name in source.files]
    options = {**_CSV, "header": names is None, "sep": source.layout.delimiter, **schema}
    rows = folder.spark.read.csv(files[0], **options)
    for file in files[1:]:
        rows = rows.unionByName(folder.spark.read.csv(file, **options))
    needed = [columns.session, columns.item, columns.time, *filter(None, [columns.day])]
    require_keys(rows.columns, needed, file=path)
    wanted = F.lit(True)
    if columns.kind:
        wanted = F.coalesce(F.col(columns.kind[0]) == columns.kind[1], F.lit(False))
        if not (source.recipe and source.recipe.gap_over_all_events):
            rows = rows.where(wanted)
    id_type = "string" if columns.has_text_ids else "bigint"
    time = _SOURCE_TIMES[columns.read_time](F.col(columns.time))
    if columns.day:
        day = F.unix_millis(F.col(columns.day).try_cast("date").cast("timestamp"))
        time = time + F.min(day).over(Window.partitionBy(columns.session))
    session, item = (F.col(name).try_cast(id_type) for name in (columns.session, columns.item))
    is_bad = session.isNull() | time.isNull()
    if not columns.has_text_ids:
        is_bad |= item.isNull()
    rows = rows.select(session.alias("session"), F.when(wanted, item).alias("item"), time.alias("time"),
                       is_bad.alias("is_bad"))  # fmt: skip
    log = SparkEvents(rows, folder)
    n_bad = log.saved().where("is_bad").count()
    require(n_bad == 0, "Each row must have a session, an item and a time.", folder=path, rows=n_bad)
    require(len(log) > 0, raw_log.EVENTS_RULE, folder=path)
    return SparkLog(log.derive(log.rows.drop("is_bad")), columns.ticks_per_second)


def read_sessions(folder: SparkFolder, path: str, keys: tuple[str, str, str]) -> DataFrame:
    """Reads the items of sessions from a log in Parquet; events of one time stand as they do in the file.

    Args:
      folder: gives the Spark session.
      path: one that Spark knows.
      keys: columns of sessions, items and times.

    Returns:
      Session, its items, oldest first, and its start, a row a session.

    Raises:
      ValueError: the content is no log.
    """
    rows, is_text = _read(folder, path, keys)
    require(not is_text, "Sessions for Spark must be in Parquet.", file=path)
    place = (F.col("_metadata.file_path").alias("file"), F.col("_metadata.row_index").alias("row"))
    rows = rows.select(
        *(F.col(_quoted(key)).alias(name) for key, name in zip(keys, _NAMES, strict=True)), *place
    )
    types = dict(rows.dtypes)
    session, is_no_session = _id_column(rows, "session", keys[0], types["session"], is_text)
    item, is_no_item = _id_column(rows, "item", keys[1], types["item"], is_text)
    ticks, _ = _ticks(rows, keys[2], types["time"], "s")
    n_bad, n_rows = rows.agg(F.count_if(is_no_session | is_no_item | ticks.isNull()), F.count("*")).first()
    require(n_bad == 0, "Each row must have a session, an item and a time.", file=path, rows=n_bad)
    require(n_rows > 0, raw_log.EVENTS_RULE, file=path)
    event = F.struct(ticks.alias("time"), "file", "row", item.alias("item"))
    events = rows.groupBy(session.alias("session")).agg(F.sort_array(F.collect_list(event)).alias("events"))
    return events.select(
        "session", F.col("events.item").alias("items"), F.col("events")[0]["time"].alias("start")
    )


def _read(folder: SparkFolder, path: str, keys: Sequence[str]) -> tuple[DataFrame, bool]:
    is_text = bool(_TEXT.search(path))
    if is_text:
        header = folder.spark.read.text(path).first()
        require(header is not None, raw_log.EVENTS_RULE, file=path)
        separator, _ = split_header(header[0].lstrip("\ufeff"), tuple(keys))
        rows = folder.spark.read.csv(path, sep=separator, **_CSV)
    else:
        rows = folder.spark.read.parquet(path)
    require_keys(rows.columns, keys, file=path)
    return rows, is_text


def _require_wanted(rows: DataFrame, path: str, wanted: Column, key: str, kinds: Sequence[str]) -> None:
    if rows.where(wanted).isEmpty():
        present = rows.select(F.col(_quoted(key)).cast("string")).distinct().limit(20).collect()
        present = sorted(row[0] for row in present if row[0] is not None)
        require(False, raw_log.KIND_RULE, file=path, column=key, event_values=list(kinds), present=present)


def _id_column(rows: DataFrame, name: str, key: str, kind: str, is_text: bool) -> tuple[Column, Column]:
    """Returns ids as integers or text, as `id_codes` decides, and which of them are none."""
    column = F.col(name)
    if kind in _INTEGERS:
        return column.cast("bigint"), column.isNull()
    if kind in ("float", "double"):
        is_no_integer = column.isNotNull() & ~F.isnan(column) & (F.floor(column) != column)
        require(rows.where(is_no_integer).isEmpty(), id_codes.KIND_RULE, column=key, type=kind)
        return column.cast("bigint"), column.isNull() | F.isnan(column)
    require(kind == "string", id_codes.KIND_RULE, column=key, type=kind)
    if not is_text:
        return column, column.isNull()
    is_word = F.lower(column).isin(id_codes.NULL_SPELLINGS.to_pylist())
    is_integer = column.rlike(raw_ids.PLAIN_INTEGER) & column.try_cast("bigint").isNotNull()
    counts = rows.where(column.isNotNull() & (column != "")).agg(
        F.count_if(is_word), F.count_if(is_integer), F.count("*")
    )
    words, integers, total = counts.first()
    is_none = column.isNull() | (column == "")
    if words and words + integers == total:
        is_none, total = is_none | is_word, integers
    return (column.try_cast("bigint") if integers == total else column), is_none


def _ticks(rows: DataFrame, key: str, kind: str, time_unit: str) -> tuple[Column, int]:
    """Returns the times as numbers, null where there is none, and how many of them a second has."""
    time, per_second = F.col("time"), times.TICKS_PER_SECOND[time_unit]
    if kind in ("date", "timestamp", "timestamp_ntz"):
        return F.unix_micros(time.cast("timestamp")), times.TICKS_PER_SECOND["us"]
    if kind in _INTEGERS:
        return time.cast("bigint"), per_second
    number = time.try_cast("double")
    number = F.when(~F.isnan(number) & (F.abs(number) != float("inf")), number)
    if kind != "string":
        is_number = kind in ("float", "double") or kind.startswith("decimal")
        require(is_number, times.TIME_RULE, column=key, type=kind)
        return number, per_second
    integer, date = time.try_cast("bigint"), F.unix_micros(time.try_cast("timestamp"))
    total, integers, numbers = rows.agg(F.count("*"), F.count(integer), F.count(number)).first()
    if 2 * numbers < total:  # the kind of most of them is that of the column
        return date, times.TICKS_PER_SECOND["us"]
    return (integer if integers == numbers else number), per_second


def _bad_rows(rows: DataFrame, is_bad: dict[str, tuple[str, Column]]) -> list[BadRows]:
    """Counts the bad rows by the first rule that they break, with one of each as an example."""
    reason = F.coalesce(*(F.when(is_found, F.lit(why)) for why, (_, is_found) in is_bad.items()))
    value = F.coalesce(*(F.when(f, F.col(name).cast("string")) for name, f in is_bad.values()))
    rows = rows.select(reason.alias("reason"), value.alias("value")).where("reason is not null")
    counts = {row[0]: row[1:] for row in rows.groupBy("reason").agg(F.count("*"), F.min("value")).collect()}
    return [BadRows(why, counts[why][0], (repr(counts[why][1]),)) for why in is_bad if why in counts]


def _in_seconds(rows: DataFrame, per_second: int, place: dict[str, str], time_unit: str) -> DataFrame:
    """As `times.in_seconds`: integers if all are whole, else fractions, by the same arithmetic."""
    ticks, is_integer = F.col("time"), dict(rows.dtypes)["time"] == "bigint"
    if is_integer:
        rest = F.pmod(ticks, F.lit(per_second))
        whole = F.expr(f"(time - pmod(time, {per_second}L)) div {per_second}L")  # the operator / rounds
        seconds, is_part = whole + rest / F.lit(per_second), rest != 0
    else:
        seconds = ticks / F.lit(per_second)
        whole, is_part = seconds.cast("bigint"), seconds.cast("bigint") != seconds
    has_parts, largest = rows.agg(F.bool_or(is_part), F.max(seconds)).first()
    require(largest < times.YEAR_5000, times.UNIT_RULE, **place, largest=largest, time_unit=time_unit)
    return rows.withColumn("time", seconds if has_parts else whole)


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
