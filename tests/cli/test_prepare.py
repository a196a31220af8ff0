"""gru4rec-prepare against the pandas oracle, and its errors."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.cli import prepare
from tfrs_gru4rec.pipelines.dwell_time import augment_dwell_time
from tfrs_gru4rec.pipelines.session_log import SessionLog

from oracle import preparation as oracle
from oracle import raw_logs

KEYS = ("--session_key=session", "--item_key=sku", "--time_key=when")


def run(log, folder, *arguments):
    settings = prepare.COMMAND.parse(
        ["gru4rec-prepare", f"--input_path={log}", f"--output_dir={folder}", *arguments]
    )
    assert prepare.main(**settings) == 0
    suffix = settings["files"].output_format
    read = pd.read_parquet if suffix == "parquet" else lambda path: pd.read_csv(path, sep="\t")
    return {path.name.split(".")[0]: read(path) for path in folder.glob(f"*.{suffix}")}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, frame in expected.items():
        assert len(frame) > 20, f"the raw file leaves too little in {name}"
        pd.testing.assert_frame_equal(found[name], frame, check_dtype=False, check_exact=True)


@pytest.fixture(scope="module")
def events():
    """Columns session, sku, when (ms), kind; some kinds are not views."""
    frame = raw_logs.random_events(7, 700, days=20)
    frame.columns = ["session", "sku", "when"]
    kinds = np.random.default_rng(7).choice(["view", "click", "buy"], len(frame), p=[0.6, 0.2, 0.2])
    return frame.assign(when=frame.when + 1_600_000_000_000, kind=kinds)


def oracle_frame(events):
    return events.rename(columns={"session": "SessionId", "sku": "ItemId", "when": "Time"})


def test_given_sessions_split_by_days(events, tmp_path):
    events.to_csv(tmp_path / "log.csv", index=False)
    found = run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms", "--test_days=2")
    splits = oracle.by_last_event(oracle.collapse_and_filter(oracle_frame(events)), 2 * oracle.DAY)
    assert_same(found, {name: oracle.in_session_order(part, 1000) for name, part in splits.items()})


def test_users_with_gaps_over_wanted_events(events, tmp_path):
    events.to_csv(tmp_path / "log.tsv.gz", index=False, sep="\t")
    found = run(
        tmp_path / "log.tsv.gz", tmp_path / "out", "--user_key=session", *KEYS[1:], "--time_unit=ms",
        "--gap_seconds=3600", "--event_key=kind", "--event_values=view,click",
        "--min_item_support=3", "--min_session_length=3",
    )  # fmt: skip
    frame = oracle_frame(events[events.kind != "buy"]).rename(columns={"SessionId": "user"})
    frame = oracle.collapse_and_filter(oracle.sessions_from_gaps(frame, "user", 3_600_000), 3, 3)
    starts = frame.groupby("SessionId").Time.min()
    assert_same({"test": found["test"]}, {"test": oracle.in_session_order(
        frame[frame.SessionId.isin(starts[starts >= frame.Time.max() - oracle.DAY].index)], 1000
    )})  # fmt: skip
    train = frame[frame.Time < frame.Time.max() - oracle.DAY]
    train = train[train.groupby("SessionId").ItemId.transform("size") >= 3]
    assert_same({"train": found["train"]}, {"train": oracle.in_session_order(train, 1000)})


def test_users_with_gaps_over_all_events_whose_items_may_be_missing(events, tmp_path):
    raw = events.assign(sku=events.sku.where(events.kind != "buy").astype("Int64"))
    raw.to_parquet(tmp_path / "log.parquet")
    found = run(
        tmp_path / "log.parquet", tmp_path / "out", "--user_key=session", *KEYS[1:], "--time_unit=ms",
        "--gap_seconds=3600", "--event_key=kind", "--event_values=view,click",
        "--gap_over_all_events", "--output_format=parquet",
    )  # fmt: skip
    frame = oracle.sessions_from_gaps(
        oracle_frame(events).rename(columns={"SessionId": "user"}), "user", 3_600_000
    )
    frame = oracle.collapse_and_filter(frame[frame.kind != "buy"])
    splits = oracle.by_last_event(frame, oracle.DAY)
    assert_same(found, {name: oracle.in_session_order(part, 1000) for name, part in splits.items()})


@pytest.mark.parametrize("unit", ["s", "ms"])  # the unit is that of numbers, and dates are none
def test_iso_dates_string_ids_and_a_split_at_a_date(events, tmp_path, unit):
    raw = events.assign(
        session="s" + events.session.astype(str),
        sku="sku " + events.sku.astype(str),
        when=pd.to_datetime(events.when // 1000, unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    raw.to_csv(tmp_path / "log.csv", index=False)
    date = pd.Timestamp("2020-09-30", tz="UTC")
    found = run(
        tmp_path / "log.csv", tmp_path / "out", *KEYS, "--test_from=2020-09-30", "--notuning_splits",
        "--output_format=tsv", f"--time_unit={unit}",
    )  # fmt: skip
    frame = oracle.collapse_and_filter(oracle_frame(raw.assign(when=events.when // 1000)))
    train, test = oracle.split_by_start(frame, date.timestamp())
    assert_same(found, {"train": oracle.in_session_order(train, 1), "test": oracle.in_session_order(test, 1)})


def test_a_fraction_of_the_sessions(events, tmp_path):
    events.to_csv(tmp_path / "log.csv", index=False)
    found = run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms", "--test_fraction=0.1")
    frame = oracle.collapse_and_filter(oracle_frame(events))
    train, test = oracle.tenth_of_sessions(frame)
    train_tr, valid = oracle.tenth_of_sessions(train)
    splits = {"train": train, "test": test, "train_tr": train_tr, "valid": valid}
    assert_same(found, {name: oracle.in_session_order(part, 1000) for name, part in splits.items()})


def test_without_split_collapse_and_filters_all_events_are_kept(events, tmp_path):
    events.to_csv(tmp_path / "log.csv", index=False)
    found = run(
        tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms", "--nosplit", "--nocollapse_repeats",
        "--min_item_support=1", "--min_session_length=1",
    )  # fmt: skip
    expected = oracle_frame(events).sort_values(["SessionId", "Time", "ItemId"])
    assert_same(found, {"train": oracle.in_session_order(expected, 1000)})


def test_a_published_set_by_its_own_rules(tmp_path):
    raw_logs.write_retailrocket(tmp_path / "events.csv", raw_logs.random_events(1, 900, days=30))
    found = run(tmp_path, tmp_path / "out", "--dataset=retailrocket", "--output_format=parquet")
    assert_same(found, oracle.retailrocket(tmp_path / "events.csv"))
    with pytest.raises(ValueError, match="--dataset has columns and rules of its own"):
        run(tmp_path, tmp_path / "out", "--dataset=retailrocket", "--min_item_support=2")


def test_a_folder_of_parts_is_a_log(events, tmp_path):
    (tmp_path / "parts").mkdir()
    for part in range(3):
        events.iloc[part::3].to_parquet(tmp_path / "parts" / f"part-{part}.parquet")
    events.to_parquet(tmp_path / "log.parquet")
    found = run(tmp_path / "parts", tmp_path / "one", *KEYS, "--time_unit=ms")
    assert_same(found, run(tmp_path / "log.parquet", tmp_path / "other", *KEYS, "--time_unit=ms"))


def test_dwell_time_repeats_training_events_only(events, tmp_path):
    raw = events.assign(when=events.when // 1000)
    raw.to_csv(tmp_path / "log.csv", index=False)
    plain = run(tmp_path / "log.csv", tmp_path / "plain", *KEYS)
    augmented = run(tmp_path / "log.csv", tmp_path / "augmented", *KEYS, "--dwell_seconds=90")
    for name in ("test", "valid"):
        pd.testing.assert_frame_equal(augmented[name], plain[name])
    for name in ("train", "train_tr"):
        frame = plain[name]
        dwell = (frame.groupby("SessionId").Time.shift(-1) - frame.Time).fillna(0).astype(int)
        expected = frame.loc[frame.index.repeat(dwell // 90 + 1)].reset_index(drop=True)
        assert len(expected) > len(frame)
        pd.testing.assert_frame_equal(augmented[name], expected)


@pytest.mark.parametrize("seconds", [2.3, 7.7, 90])
def test_dwell_time_in_the_file_equals_dwell_time_in_the_pipeline(events, tmp_path, seconds):
    raw = events[events.groupby("session").when.transform(lambda when: when.max() - when.min()) < 3_600_000]
    raw.to_csv(tmp_path / "log.csv", index=False)
    run(tmp_path / "log.csv", tmp_path / "plain", *KEYS, "--time_unit=ms")
    run(tmp_path / "log.csv", tmp_path / "augmented", *KEYS, "--time_unit=ms", f"--dwell_seconds={seconds}")
    in_pipeline = augment_dwell_time(SessionLog.from_file(tmp_path / "plain" / "train.tsv.gz"), seconds)
    in_file = SessionLog.from_file(tmp_path / "augmented" / "train.tsv.gz")
    assert in_file.n_events > 1_000
    for column in ("items", "offsets", "times"):
        assert np.array_equal(getattr(in_file, column), getattr(in_pipeline, column))
    assert np.array_equal(in_file.vocabulary.ids, in_pipeline.vocabulary.ids)
    assert np.array_equal(in_file.vocabulary.counts, in_pipeline.vocabulary.counts)


def test_results_are_logs_that_training_reads_in_the_same_order(events, tmp_path):
    events.to_csv(tmp_path / "log.csv", index=False)
    found = run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms", "--dwell_seconds=90")
    log = SessionLog.from_file(tmp_path / "out" / "train.tsv.gz")
    assert log.vocabulary.ids[log.items].tolist() == found["train"].ItemId.tolist()
    assert log.n_sessions == found["train"].SessionId.nunique()


def test_statistics_are_printed_and_written(events, tmp_path, capsys):
    events.to_csv(tmp_path / "log.csv", index=False)
    found = run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms")
    written = json.loads((tmp_path / "out" / "statistics.json").read_text())
    assert list(written) == [
        *("raw", "repeats", "length", "support", "prepared", "train", "test", "train_tr", "valid")
    ]
    left = [written[name]["events"] for name in ("raw", "repeats", "length", "support", "prepared")]
    assert left == sorted(left, reverse=True)
    sessions = oracle_frame(events).sort_values(["SessionId", "Time", "ItemId"], kind="stable")
    is_repeat = sessions.SessionId.eq(sessions.SessionId.shift()) & sessions.ItemId.eq(
        sessions.ItemId.shift()
    )
    once = sessions[~is_repeat]
    longer = once[once.groupby("SessionId").ItemId.transform("size") >= 2]
    frequent = longer[longer.groupby("ItemId").ItemId.transform("size") >= 5]
    assert left[1:4] == [len(once), len(longer), len(frequent)]
    assert written["raw"]["events"] == len(events)
    for name, frame in found.items():
        lengths = frame.groupby("SessionId").size()
        assert written[name]["events"] == len(frame)
        assert written[name]["sessions"] == len(lengths)
        assert written[name]["items"] == frame.ItemId.nunique()
        assert written[name]["days"] == pytest.approx((frame.Time.max() - frame.Time.min()) / 86_400)
        assert written[name]["mean_length"] == pytest.approx(lengths.mean())
        assert written[name]["max_length"] == lengths.max()
    printed = capsys.readouterr().out
    assert f"{written['train']['events']:,}" in printed
    assert "train_tr.tsv.gz" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--user_key=session",), "Give either --session_key or --user_key"),
        (("--event_key=kind",), "--event_key and --event_values go together"),
        (
            ("--event_key=kind", "--event_values=look"),
            r"No event is of a kind.*column='kind'.*'look'.*'view'",
        ),
        (("--test_days=1", "--test_fraction=0.5"), "At most one of test_days, test_fraction and test_from"),
        (("--nosplit", "--test_days=1"), "--nosplit leaves no test set"),
        (("--test_from=soon",), "Times must be.*ISO 8601 dates.*--test_from.*'soon'"),
        (("--test_days=-1",), "test_days must be greater than 0"),
        (("--test_fraction=1.5",), "test_fraction must be greater than 0 and below 1"),
        (("--min_item_support=0",), "^min_item_support must be at least 1. Received: min_item_support=0"),
        (("--min_item_support=100000",), "Each split must keep an event"),
        (("--test_from=2033-01-01",), "Each split must keep an event.*split='test'"),
        (("--gap_over_all_events",), "gap_over_all_events needs gap_seconds"),
        (("--dwell_seconds=0",), "dwell_seconds must be greater than 0"),
        (
            ("--time_unit=s",),
            r"beyond the year 5000.*--time_unit=ms.*column='when'",
        ),
        (("--item_key=item",), r"log\.csv.*missing=\['item'\]"),
    ],
)
def test_wrong_flags_are_refused_in_words(events, tmp_path, arguments, message):
    events.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms", *arguments)
    assert not (tmp_path / "out").exists()


def test_users_without_a_gap_are_refused(events, tmp_path):
    events.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(ValueError, match="--user_key needs --gap_seconds"):
        run(tmp_path / "log.csv", tmp_path / "out", "--user_key=session", *KEYS[1:])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("when", "noon", r"Times must be.*log\.csv'.*column='when'.*line=9.*'noon'"),
        ("sku", None, r"log\.csv'.*column='sku'.*line=9"),
    ],
)
def test_the_first_bad_row_is_named(events, tmp_path, column, value, message):
    raw = events.astype(object)
    raw.loc[[7, 12], column] = value
    raw.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms")


def test_a_missing_item_of_a_wanted_event_is_named_by_its_line(events, tmp_path):
    raw = events.astype({"sku": object})
    raw.loc[raw.index[raw.kind == "buy"], "sku"] = None
    row = int(np.flatnonzero(raw.kind == "view")[5])
    raw.loc[row, "sku"] = None
    raw.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(ValueError, match=rf"column='sku'.*line={row + 2}"):
        run(
            tmp_path / "log.csv",
            tmp_path / "out",
            *KEYS,
            "--time_unit=ms",
            "--event_key=kind",
            "--event_values=view",
        )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_bad_rows_are_skipped_counted_and_shown(events, tmp_path, capsys, suffix):
    good = events.astype({"sku": "Int64", "when": "float64"})
    bad = good.copy()
    bad["when"] = bad["when"].mask(np.isin(np.arange(len(bad)), [3, 5, 8, 13]))
    bad["sku"] = bad["sku"].mask(np.isin(np.arange(len(bad)), [5, 21]))  # row 5 counts for its time
    rows = [3, 5, 8, 13, 21]
    keys = ("--time_unit=ms", "--output_format=tsv", *KEYS)
    for name, frame in (("bad", bad), ("good", good.drop(rows))):
        path = tmp_path / f"{name}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(ValueError, match="column='when'"):
        run(tmp_path / f"bad.{suffix}", tmp_path / "out", *keys)
    expected = run(tmp_path / f"good.{suffix}", tmp_path / "good", *keys)
    capsys.readouterr()
    found = run(tmp_path / f"bad.{suffix}", tmp_path / "skipped", *keys, "--bad_rows=skip")
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame)
    word, shift = ("line", 2) if suffix == "csv" else ("row", 1)
    first, second = capsys.readouterr().out.splitlines()[:2]
    value = "nan" if suffix == "parquet" else "None"
    shown = "; ".join(f"{word} {row + shift}: None" for row in rows[:3])
    assert first.replace("nan", "None") == f"Left out 4 rows with no readable when ({shown}; …).", value
    assert second.startswith(f"Left out 1 row with no sku ({word} {21 + shift}: ")


def test_words_among_numbers_are_bad_rows_and_among_names_a_warning(events, tmp_path, capsys, caplog):
    raw = events.astype({"when": str, "sku": str})
    raw.loc[4, "when"], raw.loc[9, "sku"] = "noon", "null"
    raw.to_csv(tmp_path / "log.csv", index=False)
    run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--time_unit=ms", "--bad_rows=skip")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Left out 1 row with no readable when (line 6: 'noon')."
    assert lines[1] == "Left out 1 row with no sku (line 11: 'null')."
    named = raw.assign(sku="sku " + raw.sku).drop(4)
    named.loc[[9, 11, 12], "sku"] = ["null", "NaN", "NaN"]
    named.to_csv(tmp_path / "named.csv", index=False)
    run(tmp_path / "named.csv", tmp_path / "named", *KEYS, "--time_unit=ms")
    assert "These ids read like missing values" in caplog.text
    assert "column='sku'. Events with them: 'null' (1), 'NaN' (2)." in caplog.text


def test_a_log_of_bad_rows_alone_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("session,sku,when\n1,,noon\n2,,dusk\n")
    with pytest.raises(ValueError, match="at least one event.*2 rows with no readable when"):
        run(tmp_path / "log.csv", tmp_path / "out", *KEYS, "--bad_rows=skip")


def test_a_log_whose_wanted_rows_are_all_bad_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text("session,sku,when,kind\n1,,5,view\n1,x,6,search\n")
    keys = ("--session_key=session", "--item_key=sku", "--time_key=when", "--event_key=kind")
    with pytest.raises(ValueError, match="at least one event.*1 row"):
        run(tmp_path / "log.csv", tmp_path / "out", *keys, "--event_values=view", "--bad_rows=skip")


def test_the_command_teaches_and_fails_in_one_line(tmp_path):
    def shell(*arguments):
        command = [sys.executable, "-m", "tfrs_gru4rec.cli.prepare", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    shown = shell("--help").stdout
    assert shown.startswith("gru4rec-prepare: turns a raw log of clicks into training and test sessions")
    for flag in ("--input_path", "--gap_seconds", "--dwell_seconds", "--test_fraction"):
        assert flag in shown
    failed = shell(f"--input_path={tmp_path / 'none.csv'}", f"--output_dir={tmp_path / 'out'}")
    assert failed.returncode == 1
    assert "none.csv" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_cut_off_gzip_is_refused(events, tmp_path):
    packed = gzip.compress(events.to_csv(index=False).encode())
    (tmp_path / "log.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"cannot be read.*log\.csv\.gz"):
        run(tmp_path / "log.csv.gz", tmp_path / "out", *KEYS, "--time_unit=ms")
