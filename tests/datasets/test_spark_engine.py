"""Preparation on Spark beside the one-machine engine: the same rows in the same order, and the same statistics."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from spark_support import MASTER, skip_without_spark

from tfrs_gru4rec.cli import prepare
from tfrs_gru4rec.pipelines.session_log import SessionLog

from oracle import raw_logs

SETTINGS = {
    "spark.driver.memory": "1g",
    # Compiling takes most of the time of so small a job; real executors compile below.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.coalescePartitions.enabled": "false",  # or it makes one of so few rows
}
KEYS = ("--item_key=sku", "--time_key=when", "--time_unit=ms")


@pytest.fixture(scope="module")
def spark():
    """A session that the commands of this process find."""
    skip_without_spark()
    from tfrs_gru4rec.datasets.spark_session import spark_session

    with spark_session(MASTER, SETTINGS) as session:
        yield session


def run(*flags):
    assert prepare.COMMAND.work(["gru4rec-prepare", *map(str, flags)]) == 0


def assert_same(one, other):
    assert (one / "statistics.json").read_text() == (other / "statistics.json").read_text()
    splits = sorted(path.name for path in one.iterdir() if path.is_dir() or path.suffix == ".parquet")
    left = sorted(path.name for path in other.iterdir() if path.suffix != ".crc")
    assert left == sorted([*splits, "statistics.json"])
    for name in splits:
        expected, found = pd.read_parquet(one / name), pd.read_parquet(other / name)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)
        assert found.Time.dtype == expected.Time.dtype


def both(tmp_path, spark_path, local_path, *flags):
    """Prepares a log on both engines, compares, and returns the statistics."""
    run(f"--input_path={local_path}", f"--output_dir={tmp_path / 'one'}", "--output_format=parquet", *flags)
    run(f"--input_path={spark_path}", f"--output_dir={tmp_path / 'two'}", "--engine=spark", *flags)
    assert_same(tmp_path / "one", tmp_path / "two")
    return json.loads((tmp_path / "two" / "statistics.json").read_text())


def log_of_kinds(seed, n_owners=150):
    """Columns visitor, sku, when (ms), kind, in no order; ids are text beyond ASCII, some buys lack the item."""
    frame = raw_logs.random_events(seed, n_owners, days=10, n_items=25)
    frame.columns = ["visitor", "sku", "when"]
    rng = np.random.default_rng(seed)
    frame["kind"] = rng.choice(["view", "click", "buy"], len(frame), p=[0.6, 0.2, 0.2])
    frame["when"] += 1_600_000_000_000
    # In UTF-16, the order of Java's own text, the emoji would come before the full-width letter.
    names = np.array(["é", "Z", "\uff21", "\U0001f600", "a'b", '"', "ß", ""])
    frame["visitor"] = [f"{names[each % 8]}{each}" for each in frame.visitor]
    frame["sku"] = pd.Series([f"{names[each % 7]} {each}" for each in frame.sku], dtype=object)
    return frame.assign(sku=frame.sku.mask((frame.kind == "buy") & (rng.random(len(frame)) < 0.5)))


@pytest.mark.parametrize(
    "n_partitions", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)]
)
def test_users_gaps_cap_and_dwell_time_on_any_number_of_partitions(spark, tmp_path, n_partitions):
    frame = log_of_kinds(n_partitions)
    frame.to_parquet(tmp_path / "log.parquet")
    (tmp_path / "events").mkdir()
    for part in range(n_partitions):
        frame.iloc[part::n_partitions].to_parquet(tmp_path / "events" / f"{part}.parquet")
    statistics = both(
        tmp_path, tmp_path / "events" / "*.parquet", tmp_path / "log.parquet", *KEYS, "--user_key=visitor",
        "--gap_seconds=3600", "--event_key=kind", "--event_values=view,click",
        f"--spark_conf=spark.sql.shuffle.partitions={n_partitions}",
        "--max_user_events=12", "--dwell_seconds=90", "--test_fraction=0.2",
        *(["--gap_over_all_events"] if n_partitions > 1 else []),
    )  # fmt: skip
    left = [
        statistics[name]["events"] for name in ("raw", "cap", "gaps", "repeats", "length", "support", "valid")
    ]
    assert left[0] > left[1] == left[2] > left[3] > left[4] >= left[5] > left[6] > 0
    if n_partitions > 1:
        assert len(list((tmp_path / "two" / "train.parquet").glob("part-*"))) == n_partitions
    log = SessionLog.from_file(tmp_path / "two" / "train.parquet")
    assert log.n_events == statistics["train"]["events"]
    assert np.array_equal(log.items, SessionLog.from_file(tmp_path / "one" / "train.parquet").items)


@pytest.mark.slow
def test_given_sessions_in_gzipped_text_with_dates_and_bad_rows(spark, tmp_path, capsys):
    frame = raw_logs.random_events(5, 200, days=20, n_items=30)
    dates = pd.to_datetime(frame.time + 1_600_000_000_000, unit="ms")
    raw = pd.DataFrame(
        {"SessionId": frame.owner, "sku": frame.item + 7, "when": dates.dt.strftime("%FT%T.%fZ")}
    )
    raw = raw.astype({"sku": object})
    raw.loc[[3, 30], "when"], raw.loc[[3, 5], "sku"] = "noon", None
    raw.loc[9, "sku"] = "null"  # among numbers no name
    raw.to_csv(tmp_path / "log.tsv.gz", index=False, sep="\t")
    path = tmp_path / "log.tsv.gz"
    with pytest.raises(ValueError, match="no events.*2 rows with no readable when.*noon.*2 rows with no sku"):
        run(f"--input_path={path}", f"--output_dir={tmp_path / 'out'}", "--engine=spark", *KEYS)
    assert not (tmp_path / "out").exists()
    statistics = both(tmp_path, path, path, *KEYS, "--bad_rows=skip", "--test_days=2", "--min_item_support=3")
    assert statistics["raw"]["events"] == len(raw) - 4
    printed = capsys.readouterr().out
    assert "Left out 2 rows with no readable when ('noon'; …)." in printed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_small_logs_of_ties_and_single_clicks_whose_filters_take_many_rounds(spark, tmp_path, seed):
    rng = np.random.default_rng(seed)
    chain = np.repeat(np.arange(12), 2)[1:-1]  # 0 1 1 2 2 ...: a session of 2 and 3, whose end unravels it
    frame = pd.DataFrame(
        {"SessionId": np.arange(len(chain)) // 2, "sku": chain, "when": np.arange(len(chain))}
    )
    random = pd.DataFrame({"SessionId": 20 + rng.integers(0, 15, 60), "sku": 20 + rng.integers(0, 9, 60)})
    random["when"] = rng.integers(0, 9, 60) * (1 if seed else 1.5)
    pd.concat([frame, random]).to_parquet(tmp_path / "log.parquet")
    path = tmp_path / "log.parquet"
    flags = (
        "--item_key=sku",
        "--time_key=when",
        "--min_item_support=2",
        "--test_fraction=0.3",
        "--notuning_splits",
    )
    statistics = both(tmp_path, path, path, *flags)
    assert statistics["prepared"]["events"] < statistics["support"]["events"]


WRITERS = {
    "coveo": (lambda f, e: raw_logs.write_coveo(f / "release_10_23_2020.csv", e), 6),
    "diginetica": (lambda f, e: raw_logs.write_diginetica(f / "train-item-views.csv", e), 30),
    "rees46": (raw_logs.write_rees46, 6),
    "retailrocket": (lambda f, e: raw_logs.write_retailrocket(f / "events.csv", e), 30),
    "yoochoose": (
        lambda f, e: [
            raw_logs.write_yoochoose(f / "yoochoose-clicks.dat.gz", e[e.owner % 4 > 0]),
            raw_logs.write_yoochoose(f / "yoochoose-test.dat", e[e.owner % 4 == 0]),
        ],
        6,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_published_sets_from_their_declarations_on_any_number_of_partitions(spark, tmp_path, name):
    write, days = WRITERS[name]
    write(tmp_path, raw_logs.random_events(1, 400, days=days, n_items=40))
    for n_partitions in (1, 2, 4):
        conf = f"--spark_conf=spark.sql.shuffle.partitions={n_partitions}"
        statistics = both(tmp_path, tmp_path, tmp_path, f"--dataset={name}", conf)
        assert min(row["events"] for row in statistics.values()) > 20


def test_what_spark_cannot_read_is_said_in_one_line_and_leaves_nothing(spark, tmp_path):
    pd.DataFrame({"SessionId": [1, 1], "sku": ["a", "b"], "when": [1, 2]}).to_parquet(
        tmp_path / "log.parquet"
    )
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no Parquet")
    (tmp_path / "bad.csv").write_text("SessionId,sku,when\n1,2,3\n1,2\n")
    out = f"--output_dir={tmp_path / 'out'}"
    for flags, kind, said in (
        (["--input_path=none/*.parquet"], FileNotFoundError, r"none/\*\.parquet"),
        ([f"--input_path={tmp_path / 'bad.parquet'}"], OSError, r"bad\.parquet"),
        ([f"--input_path={tmp_path / 'bad.csv'}"], OSError, r"[Mm]alformed"),
        ([f"--input_path={tmp_path / 'log.parquet'}", "--item_key=item"], ValueError, r"missing=\['item'\]"),
        ([f"--input_path={tmp_path / 'log.parquet'}"], ValueError, "Each split must keep an event"),
        ([f"--input_path={tmp_path}", "--dataset=rees46"], FileNotFoundError, r"2019-Oct\.csv.*Put 2019"),
    ):
        plain = [] if "--dataset=rees46" in flags else [*KEYS[:2]]
        with pytest.raises(kind, match=said) as raised:
            run("--engine=spark", out, *plain, *flags)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "out").exists()


def test_what_was_there_stays_until_the_new_is_whole(spark, tmp_path):
    frame = raw_logs.random_events(2, 60, days=5, n_items=9)
    frame.columns = ["SessionId", "sku", "when"]
    frame.to_parquet(tmp_path / "log.parquet")
    flags = (f"--input_path={tmp_path / 'log.parquet'}", f"--output_dir={tmp_path / 'out'}", *KEYS)
    run("--engine=spark", *flags)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with pytest.raises(ValueError, match="Each split must keep an event"):
        run("--engine=spark", *flags, "--min_item_support=100000")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    run("--engine=spark", *flags, "--min_item_support=2")
    assert {path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("part-*")}.isdisjoint(
        before.values()
    )


@pytest.mark.slow
def test_two_executors_give_the_same_though_one_is_killed(tmp_path):
    skip_without_spark()
    log_of_kinds(3, 1_000).to_parquet(tmp_path / "log.parquet")
    flags = [f"--input_path={tmp_path / 'log.parquet'}", *KEYS, "--user_key=visitor", "--gap_seconds=3600"]
    flags += ["--event_key=kind", "--event_values=view,click", "--nosplit"]
    run(*flags, f"--output_dir={tmp_path / 'one'}", "--output_format=parquet")
    command = [sys.executable, "-m", "tfrs_gru4rec.cli.prepare", *flags, f"--output_dir={tmp_path / 'two'}"]
    command += ["--engine=spark", "--spark_master=local-cluster[2,1,1024]", "--spark_conf"]
    command += ["spark.driver.memory=1g,spark.sql.shuffle.partitions=2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        try:
            is_killed = kill_an_executor(running, tmp_path / "two")
            _, said = running.communicate(timeout=540)
        finally:
            running.kill()  # Spark's own processes end with it
    assert running.returncode == 0, said
    assert "WARN" not in said
    assert is_killed
    assert "Lost executor" in said
    assert_same(tmp_path / "one", tmp_path / "two")


def kill_an_executor(running, folder):
    """Kills one of two executors once tables are being written; returns whether it came to that."""
    while running.poll() is None:
        if len(list(folder.glob(".spark-*/*/_SUCCESS"))) >= 3:
            children = psutil.Process(running.pid).children(recursive=True)
            executors = [each for each in children if is_executor(each)]
            assert len(executors) == 2
            os.kill(executors[0].pid, signal.SIGKILL)
            return True
        time.sleep(0.05)
    return False


def is_executor(process):
    try:
        return "CoarseGrainedExecutorBackend" in " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False
