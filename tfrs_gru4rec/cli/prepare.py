r"""gru4rec-prepare: turns a raw log of clicks into training and test sessions.

    gru4rec-prepare --input_path clicks.csv --output_dir prepared --session_key session --item_key sku \
        --time_key timestamp --test_days 1
    gru4rec-prepare --input_path events.parquet --output_dir prepared --user_key visitor --item_key item \
        --time_key ms --time_unit ms --gap_seconds 3600 --event_key event --event_values view --test_days 7

The log is a TSV, CSV or Parquet file (also gzipped), a row an event, in any order. The rules are those behind
the published results of GRU4Rec:
  1. Keep events of the wanted kinds (--event_key, --event_values).
  2. Cut a user's events into sessions where the pause is longer than --gap_seconds (before 1 with
     --gap_over_all_events, so that events of other kinds bridge pauses).
  3. Sort by session, time and item; of immediate repeats of an item keep the first (--collapse_repeats).
  4. Until nothing changes, drop sessions of fewer than --min_session_length events and items of fewer than
     --min_item_support events.
  5. test: the sessions that start in the test period. train: the events before it, so that sessions that
     straddle its start are cut. train_tr and valid: the same once more on train, to tune on.
  6. With --dwell_seconds repeat training events that a user stayed on for long.

Written to --output_dir: train, test, train_tr and valid with the columns SessionId, ItemId and Time (seconds;
dates become seconds since 1970 UTC), as gru4rec-train reads them, and statistics.json.
"""

import dataclasses

from absl import flags

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.cli.command import run_command
from tfrs_gru4rec.datasets.recipe import Recipe, augment_training, prepare_sessions, split_sessions
from tfrs_gru4rec.datasets.session_statistics import describe, format_table
from tfrs_gru4rec.datasets.split_files import FORMATS, split_table, write_splits
from tfrs_gru4rec.events.raw_log import RawLog, read_raw_log
from tfrs_gru4rec.events.times import read_time

_DEFAULT_TEST_DAYS = 1.0


def define_flags(values: flags.FlagValues) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string("input_path", None, "The raw log.", flag_values=values, required=True)
    flags.DEFINE_string("output_dir", None, "Folder for the results.", flag_values=values, required=True)
    flags.DEFINE_enum("output_format", FORMATS[0], FORMATS, "Of the results.", flag_values=values)
    _define_column_flags(values)
    _define_rule_flags(values)


def _define_column_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("session_key", None, "Column of session ids (default SessionId).", flag_values=values)
    flags.DEFINE_string(
        "user_key",
        None,
        "Column of user ids, in a log without sessions: --gap_seconds makes them.",
        flag_values=values,
    )
    flags.DEFINE_string("item_key", "ItemId", "Column of item ids.", flag_values=values)
    flags.DEFINE_string(
        "time_key", "Time", "Column of event times: numbers, or ISO dates.", flag_values=values
    )
    flags.DEFINE_enum(
        "time_unit", "s", ("s", "ms", "us", "ns"), "Of times that are numbers.", flag_values=values
    )
    flags.DEFINE_string("event_key", None, "Column of the kind of event.", flag_values=values)
    flags.DEFINE_list("event_values", None, "Kinds of events to keep, as in view,click.", flag_values=values)


def _define_rule_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_float("gap_seconds", None, "A longer pause starts a new session.", flag_values=values)
    flags.DEFINE_bool(
        "gap_over_all_events",
        False,
        "Let events of unwanted kinds count when pauses are measured.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "collapse_repeats", True, "Keep one of immediate repeats of an item.", flag_values=values
    )
    flags.DEFINE_integer("min_session_length", 2, "Least number of events of a session.", flag_values=values)
    flags.DEFINE_integer("min_item_support", 5, "Least number of events of an item.", flag_values=values)
    flags.DEFINE_float(
        "test_days",
        None,
        f"Test sessions start within so many days of the last event (default {_DEFAULT_TEST_DAYS:g}).",
        flag_values=values,
    )
    flags.DEFINE_float(
        "test_fraction", None, "Instead: this share of the sessions, the last.", flag_values=values
    )
    flags.DEFINE_string(
        "test_from",
        None,
        "Instead: test sessions start at this time (in --time_unit, or an ISO date) or later.",
        flag_values=values,
    )
    flags.DEFINE_bool("split", True, "Split at all; otherwise all goes into train.", flag_values=values)
    flags.DEFINE_bool("tuning_splits", True, "Also write train_tr and valid.", flag_values=values)
    flags.DEFINE_float(
        "dwell_seconds",
        None,
        "Write each event of train and train_tr floor(dwell time / dwell_seconds) + 1 times.",
        flag_values=values,
    )


def read_recipe(values: flags.FlagValues) -> Recipe:
    """Turns the flags into settings.

    Raises:
      ValueError: the flags contradict each other.
    """
    test_from = values["test_from"].value
    ways = {name: values[name].value for name in ("test_days", "test_fraction")}
    ways["test_from"] = None if test_from is None else read_time(test_from, values["time_unit"].value)
    if not values["split"].value:
        given = {f"--{name}": value for name, value in ways.items() if value is not None}
        require(not given, "--nosplit leaves no test set.", given=given)
    elif all(value is None for value in ways.values()):
        ways["test_days"] = _DEFAULT_TEST_DAYS
    return Recipe(
        gap_seconds=values["gap_seconds"].value,
        gap_over_all_events=values["gap_over_all_events"].value,
        collapse_repeats=values["collapse_repeats"].value,
        min_length=values["min_session_length"].value,
        min_support=values["min_item_support"].value,
        tuning_splits=values["tuning_splits"].value,
        dwell_seconds=values["dwell_seconds"].value,
        **ways,
    )


def read_log(values: flags.FlagValues) -> RawLog:
    """Reads the raw log that the flags name.

    Raises:
      ValueError: the flags contradict each other, or the log is unusable.
    """
    session_key, user_key = values["session_key"].value, values["user_key"].value
    rule = "Give either --session_key or --user_key."
    require(not (session_key and user_key), rule, session_key=session_key, user_key=user_key)
    rule = "--user_key needs --gap_seconds, as in --gap_seconds=3600, to make sessions."
    require(not user_key or values["gap_seconds"].value is not None, rule, user_key=user_key)
    event_key, event_values = values["event_key"].value, values["event_values"].value
    rule = "--event_key and --event_values go together."
    require(bool(event_key) == bool(event_values), rule, event_key=event_key, event_values=event_values)
    return read_raw_log(
        values["input_path"].value,
        (user_key or session_key or "SessionId", values["item_key"].value, values["time_key"].value),
        values["time_unit"].value,
        (event_key, event_values) if event_key else None,
    )


def main(values: flags.FlagValues) -> int:
    """Prepares the log, writes the results and prints their statistics; returns the exit code."""
    recipe, log = read_recipe(values), read_log(values)
    statistics = {"raw": describe(log.sorted_wanted())}
    prepared = prepare_sessions(log, recipe)
    statistics["prepared"] = describe(prepared)
    session_ids = log.session_ids if recipe.gap_seconds is None else None
    item_ids = log.item_ids
    del log
    splits = augment_training(split_sessions(prepared, recipe), recipe)
    statistics |= {name: describe(part) for name, part in splits.items()}
    paths = write_splits(
        values["output_dir"].value,
        {name: split_table(part, session_ids, item_ids) for name, part in splits.items()},
        values["output_format"].value,
        {name: dataclasses.asdict(row) for name, row in statistics.items()},
    )
    print(format_table(statistics))
    print(f"\nWritten: {', '.join(str(path) for path in paths)}.")
    return 0


def run() -> None:
    """Runs the command."""
    run_command("gru4rec-prepare", define_flags, main)


if __name__ == "__main__":
    run()
