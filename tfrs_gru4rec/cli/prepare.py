r"""gru4rec-prepare: turns a raw log of clicks into training and test sessions.

    gru4rec-prepare --input_path clicks.csv --output_dir prepared --session_key session --item_key sku \
        --time_key timestamp --test_days 1
    gru4rec-prepare --input_path events.parquet --output_dir prepared --user_key visitor --item_key item \
        --time_key ms --time_unit ms --gap_seconds 3600 --event_key event --event_values view --test_days 7

    gru4rec-prepare --input_path raw --output_dir prepared --dataset retailrocket
    gru4rec-prepare --input_path 'events/*.parquet' --output_dir prepared --engine spark \
        --spark_master spark://host:7077 --spark_conf spark.executor.memory=8g --max_user_events 10000

The log is a TSV, CSV or Parquet file (also gzipped) or a folder of Parquet parts, a row an event, in any order. The
rules are those behind the published results of GRU4Rec:
  1. Keep events of the wanted kinds (--event_key, --event_values).
  2. Keep the last --max_user_events of each user, then cut a user's events into sessions where the pause is longer
     than --gap_seconds (both before 1 with --gap_over_all_events, so that events of other kinds bridge pauses).
  3. Sort by session, time and item; of immediate repeats of an item keep the first (--collapse_repeats).
  4. Until nothing changes, drop sessions of fewer than --min_session_length events and items of fewer than
     --min_item_support events.
  5. test: the sessions that start in the test period. train: the events before it, so that sessions that
     straddle its start are cut. train_tr and valid: the same once more on train, to tune on.
  6. With --dwell_seconds repeat training events that a user stayed on for long.

Written to --output_dir: train, test, train_tr and valid with the columns SessionId, ItemId and Time (seconds;
dates become seconds since 1970 UTC), as gru4rec-train reads them, and statistics.json.

With --dataset, --input_path is the folder of a published set's raw files, and columns and rules are that set's.

With --engine spark the paths are Spark's own (local, hdfs://, s3a://, patterns such as events/*.parquet). The same
rows are written as folders of Parquet parts; meanwhile temporary tables of about ten times their size lie beside them.
It needs pyspark (pip install 'tfrs_gru4rec[spark]') and a Java runtime, 17 or later. A master that cannot be reached
is given up after 10 s, one without a worker after 120 s.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.spark_flags import SparkConfig
from tfrs_gru4rec.config import ColumnConfig
from tfrs_gru4rec.datasets.published import WITH_RECIPE
from tfrs_gru4rec.datasets.recipe import Recipe, augment_training, prepare_sessions, split_sessions
from tfrs_gru4rec.datasets.session_statistics import describe, format_table
from tfrs_gru4rec.datasets.source import read_source
from tfrs_gru4rec.datasets.split_files import FORMATS, split_table, write_splits
from tfrs_gru4rec.events.raw_log import read_raw_log
from tfrs_gru4rec.events.times import read_time
from tfrs_gru4rec.settings import OneOf, Settings

_LAST_DAY = 1.0
_ROWS = """raw: events of the kinds to keep; cap: the last ones of each user; gaps: cut into sessions; repeats: without
immediate repeats; length: without short sessions; support: without rare items; prepared: both again until nothing
changes. What prepared has and train and test together have not is what the split cuts off sessions that straddle its
start."""


@dataclasses.dataclass(frozen=True)
class FilesConfig(Settings):
    """What is read and where the results go.

    Attributes:
      input_path: the raw log.
      output_dir: folder for the results.
      output_format: of the results; parquet with --engine spark.
      dataset: the published set whose raw files lie in the folder input_path; its rules take the place of those below,
        but for max_user_events and dwell_seconds.
      bad_rows: what to do about rows without a readable time, a session or an item: end with an error, or skip them
        and show how many there are and the first ones.
    """

    input_path: str
    output_dir: str
    output_format: Annotated[str, OneOf(FORMATS)] = FORMATS[0]
    dataset: Annotated[str | None, OneOf(tuple(WITH_RECIPE))] = None
    bad_rows: Annotated[str, OneOf(("fail", "skip"))] = "fail"


@dataclasses.dataclass(frozen=True)
class RawColumnConfig(Settings):
    """What the columns of a raw log are called.

    Attributes:
      session_key: column of session ids; none: SessionId, unless there is a user_key.
      item_key: column of item ids.
      time_key: column of event times: numbers, or ISO dates.
      user_key: column of user ids, in a log without sessions: --gap_seconds makes them.
      time_unit: of times that are numbers.
      event_key: column of the kind of event.
      event_values: kinds of events to keep, as in view,click.
    """

    session_key: str | None = None
    item_key: str = ColumnConfig.item_key
    time_key: str = ColumnConfig.time_key
    user_key: str | None = None
    time_unit: Annotated[str, OneOf(("s", "ms", "us", "ns"))] = "s"
    event_key: str | None = None
    event_values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        require_flags(
            not (self.session_key and self.user_key),
            "Give either --session_key or --user_key.",
            session_key=self.session_key,
            user_key=self.user_key,
        )
        require_flags(
            bool(self.event_key) == bool(self.event_values),
            "--event_key and --event_values go together.",
            event_key=self.event_key,
            event_values=self.event_values,
        )


@dataclasses.dataclass(frozen=True)
class SplitConfig(Settings):
    """Whether and where the log is split.

    Attributes:
      split: split at all, otherwise all goes into train; without test_days, test_fraction or test_from the test is the
        last day.
      test_from: instead: test sessions start at this time (in time_unit, or an ISO date) or later.
    """

    split: bool = True
    test_from: str | None = None


def complete_recipe(recipe: Recipe, split: SplitConfig, time_unit: str) -> Recipe:
    """Adds where to split to a recipe, which knows times in seconds only.

    >>> complete_recipe(Recipe(), SplitConfig(), "s").test_days
    1.0

    Raises:
      UsageError: the flags contradict each other.
      ValueError: the time is none.
    """
    test_from = None if split.test_from is None else read_time(split.test_from, time_unit)
    ways = {"test_days": recipe.test_days, "test_fraction": recipe.test_fraction, "test_from": test_from}
    given = {f"--{name}": value for name, value in ways.items() if value is not None}
    require_flags(split.split or not given, "--nosplit leaves no test set.", given=given)
    if split.split and not given:
        return dataclasses.replace(recipe, test_days=_LAST_DAY)
    return dataclasses.replace(recipe, test_from=test_from)


def choose_recipe(files: FilesConfig, columns: RawColumnConfig, rules: Recipe, splits: SplitConfig) -> Recipe:
    """Returns the rules of the flags, or those of a published set.

    Raises:
      UsageError: the flags contradict each other.
      ValueError: a time is none.
    """
    if files.dataset is None:
        rule = "--user_key needs --gap_seconds, as in --gap_seconds=3600, to make sessions."
        has_sessions = not columns.user_key or rules.gap_seconds is not None
        require_flags(has_sessions, rule, user_key=columns.user_key)
        return complete_recipe(rules, splits, columns.time_unit)
    own: dict[str, Any] = {"max_user_events": rules.max_user_events, "dwell_seconds": rules.dwell_seconds}
    is_plain = rules == Recipe(**own) and (columns, splits) == (RawColumnConfig(), SplitConfig())
    rule = "--dataset has columns and rules of its own: give no others but --max_user_events and --dwell_seconds."
    require_flags(is_plain, rule, dataset=files.dataset)
    recipe: Any = WITH_RECIPE[files.dataset].recipe
    return dataclasses.replace(recipe, **own)


def read_log(files: FilesConfig, columns: RawColumnConfig, folder: Any = None) -> Any:
    """Reads a raw log; see `read_raw_log` and `read_source` for the errors.

    Args:
      files: where it is.
      columns: what its columns are called.
      folder: the `SparkFolder` that the results go to; None on one machine.

    Returns:
      A `RawLog` or `SparkLog`.
    """
    keys = (
        columns.user_key or columns.session_key or ColumnConfig.session_key,
        columns.item_key,
        columns.time_key,
    )
    kinds = (columns.event_key, columns.event_values) if columns.event_key else None
    arguments = (files.input_path, keys, columns.time_unit, kinds, files.bad_rows == "skip")
    source = WITH_RECIPE[files.dataset] if files.dataset else None
    if folder is None:
        return read_source(source, files.input_path) if source else read_raw_log(*arguments)
    from tfrs_gru4rec.datasets import spark_log

    if source:
        return spark_log.read_source(folder, source, files.input_path)
    return spark_log.read_log(folder, *arguments)


def main(
    files: FilesConfig, columns: RawColumnConfig, rules: Recipe, splits: SplitConfig, spark: SparkConfig
) -> int:
    """Prepares the log, writes the results and prints their statistics; returns the exit code."""
    recipe = choose_recipe(files, columns, rules, splits)
    with spark.folder(files.output_dir) as folder:
        log = read_log(files, columns, folder)
        for rows in log.skipped:
            print(f"Left out {rows}.")
        ticks = log.ticks_per_second
        statistics = {"raw": describe(log.sorted_wanted(), ticks)}

        def note(rule: str, events: Any) -> None:
            statistics[rule] = describe(events, ticks)

        prepared = prepare_sessions(log, recipe, note)
        statistics["prepared"] = describe(prepared, ticks)
        ids = None if folder else (log.session_ids if recipe.gap_seconds is None else None, log.item_ids)
        del log
        paths: Sequence[Any]
        parts: Any = augment_training(split_sessions(prepared, recipe, ticks), recipe, ticks)
        statistics |= {name: describe(part, ticks) for name, part in parts.items()}
        rows = {name: dataclasses.asdict(row) for name, row in statistics.items()}
        if ids:
            tables = {name: split_table(part, *ids, ticks) for name, part in parts.items()}
            paths = write_splits(files.output_dir, tables, files.output_format, rows)
        else:
            from tfrs_gru4rec.datasets import spark_engine

            paths = spark_engine.write_splits(folder, parts, rows, ticks)
    print(format_table(statistics))
    print(f"\n{_ROWS}")
    print(f"\nWritten: {', '.join(str(path) for path in paths)}.")
    return 0


COMMAND = Command(
    "gru4rec-prepare",
    main,
    flag_names={
        "rules": {
            "min_length": "min_session_length",
            "min_support": "min_item_support",
            "test_from": None,
            "log_end": None,
        }
    },
)
run = COMMAND.run

if __name__ == "__main__":
    run()
