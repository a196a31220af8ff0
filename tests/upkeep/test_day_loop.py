"""The day loop: what it exports, what it learns under drift, and that a stop loses and repeats no day."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec import metrics
from tfrs_gru4rec.config import DailyConfig, GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.folder_lock import lock_folder
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours import Fusion, NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit, load_model
from tfrs_gru4rec.upkeep import day_loop, publisher
from tfrs_gru4rec.upkeep.carried_rows import in_rows_of
from tfrs_gru4rec.upkeep.day_figures import measure_day
from tfrs_gru4rec.upkeep.day_logs import day_files
from tfrs_gru4rec.upkeep.day_loop import DayLoop, DayLoopConfig
from tfrs_gru4rec.upkeep.ledger import Ledger

import tensorflow as tf  # isort: skip

DAY_SECONDS = 86_400
OLD_RING = [f"old-{n}" for n in range(8)]


def write_day(folder, number, rings, n_sessions=60):
    """Sessions that walk along one of the day's rings."""
    rng = np.random.default_rng(number)
    events = []
    for session in range(n_sessions):
        ring = rings[session % len(rings)]
        first = rng.integers(len(ring))
        events += [(session, ring[(first + step) % len(ring)]) for step in range(rng.integers(3, 6))]
    frame = pd.DataFrame(events, columns=["SessionId", "ItemId"])
    frame["Time"] = number * DAY_SECONDS + np.arange(len(frame))
    frame.to_csv(folder / f"2024-05-{number:02}.tsv.gz", sep="\t", index=False)


@pytest.fixture
def days_dir(tmp_path):
    """Half of the sessions stay with the old ring; the other half follow a fashion, which changes with day 3."""
    folder = tmp_path / "logs"
    folder.mkdir()
    fashions = ["a", "a", "b", "b", "b"]
    for number, fashion in enumerate(fashions, 1):
        write_day(folder, number, [OLD_RING, [f"{fashion}-{n}" for n in range(6)]])
    return folder


class Versions:
    """A publisher that counts."""

    def __init__(self):
        self.published = []
        self.calls = 0

    def next_version(self):
        return len(self.published) + 1

    def has(self, version):
        return version in [number for number, _ in self.published]

    def publish(self, model, version, about):
        self.calls += 1
        self.about = about
        gru = getattr(model, "model", model)
        self.published.append((version, gru.embedding.output_table.numpy()))


@pytest.mark.usefixtures("longer_run")
@pytest.mark.slow
def test_refreshed_beats_stale_under_drift_and_keeps_the_old_items(days_dir, tmp_path):
    versions = Versions()
    config = DayLoopConfig(
        GRU4RecConfig(layers=(16,), n_sample=8),
        TrainingConfig(batch_size=4, n_epochs=4, learning_rate=0.2),
        WarmStartConfig(retire_after_days=1.5),
        DailyConfig(days_dir, tmp_path / "work", tmp_path / "exports"),
        k=1,
    )
    loop = DayLoop(versions, config)
    days = loop.run()
    assert [day["day"] for day in days] == ["2024-05-01", "2024-05-02", "2024-05-03", "2024-05-04"]
    assert days[0]["refreshed"] == days[0]["stale"]
    assert days[0]["serving"] is None
    # The fashion changes with day 3: the model of day 1 knows half of day 4 and 5, the refreshed one all of it.
    for day in days[2:]:
        assert day["stale"]["recall"] < 0.6
        assert day["refreshed"]["recall"] > day["stale"]["recall"] + 0.35
    assert (days[2]["new_items"], days[2]["retired_items"]) == (6, 0)
    assert days[3]["retired_items"] == 6  # of fashion a, last seen on day 2
    assert len(versions.published) == len([day for day in days if day["version"] is not None])

    old = pd.DataFrame({"SessionId": 1, "ItemId": [*OLD_RING, *OLD_RING], "Time": np.arange(16)})
    newest = load_model(tmp_path / "work" / "days" / "2024-05-04")
    first = load_model(tmp_path / "work" / "days" / "2024-05-01")
    recalls = [
        evaluate(model, SessionLog.from_frame(old, vocabulary=model.vocabulary)).recall(1)
        for model in (first, newest)
    ]
    assert min(recalls) > 0.9

    # No day is done twice, and a new log makes one more day: the last, whose successor was missing.
    assert loop.run() == []
    write_day(days_dir, 6, [OLD_RING])
    assert [day["day"] for day in loop.run()] == ["2024-05-05"]
    assert Ledger(tmp_path / "work" / "ledger.json").names == [f"2024-05-0{number}" for number in range(1, 6)]
    assert (tmp_path / "work" / "daily.png").read_bytes().startswith(b"\x89PNG")


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


def kill_before(monkeypatch, target, name, at):
    """Ends the process just before the at-th call of a function."""
    whole, left = getattr(target, name), [at]

    def dying(*arguments, **named):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return whole(*arguments, **named)

    monkeypatch.setattr(target, name, dying)


def kill_after(monkeypatch, target, name, at):
    """Ends the process just after the at-th call of a function."""
    whole, left = getattr(target, name), [at]

    def dying(*arguments, **named):
        result = whole(*arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return result

    monkeypatch.setattr(target, name, dying)


def tiny(logs, folder, **settings):
    return DayLoopConfig(
        GRU4RecConfig(layers=(4,), n_sample=4),
        TrainingConfig(batch_size=4, n_epochs=1),
        WarmStartConfig(),
        DailyConfig(logs, folder, folder / "exports", **{"margin": 1.0, **settings}),
        k=1,
    )


def measure(model, log, k):
    """The recall of all pairs, eagerly and by whole prefixes: quicker than `evaluate` has traced its graph."""
    known = in_rows_of(log, model.vocabulary)
    clicks = NextClicks.of(known)
    prefixes = np.full((len(clicks), clicks.positions.max()), -1, np.int32)
    of_click, events = clicks.seen_events()
    prefixes[of_click, events - clicks.starts[of_click]] = known.items[events]
    found = metrics.ranks(model.predict_step(tf.constant(prefixes)), clicks.targets)
    return {"recall": float(np.sum(found.numpy() <= k)) / log.n_pairs}, None


def work(logs, folder, versions, **settings):
    """Works the days of tiny models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(day_loop, "measure_day", measure)
        return DayLoop(versions, tiny(logs, folder, **settings)).run()


# Day 2 trains second, reports second, measures second and third, and is published and entered second.
KILLS = {
    "before training": (kill_before, day_loop, "fit", 2),
    "after training": (kill_after, day_loop, "fit", 2),
    "before the report": (kill_before, day_loop, "write_json", 2),
    "before the neighbours are kept": (kill_before, Fusion, "save", 2),
    "after the neighbours are kept": (kill_after, Fusion, "save", 2),
    "before the comparison ends": (kill_before, sys.modules[__name__], "measure", 3),
    "before the version is noted": (kill_before, publisher, "write_json", 2),
    "after the version is noted": (kill_after, publisher, "write_json", 2),
    "after publishing": (kill_after, Versions, "publish", 2),
    "before the ledger": (kill_before, Ledger, "append", 2),
    "after the ledger": (kill_after, Ledger, "append", 2),
}


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Three days, which are two to work, and what an uninterrupted loop makes of them."""
    folder = tmp_path_factory.mktemp("short")
    (folder / "logs").mkdir()
    for number in range(1, 4):
        write_day(folder / "logs", number, [OLD_RING, [f"day{number}-{n}" for n in range(3)]], 12)
    write_day(folder, 0, [OLD_RING], 12)
    log = SessionLog.from_file(folder / "2024-05-00.tsv.gz")
    start = tiny(folder / "logs", folder / "work")
    fit(GRU4Rec(log.vocabulary, start.model), log, start.training, ModelFolder(folder / "first"))
    Fusion.count(log, np.full([4, 5], 0.1), ["rules", "knn"]).save(folder / "first")
    versions = Versions()
    entries = work(folder / "logs", folder / "work", versions, warm_start_from=folder / "first")
    return folder / "logs", entries, versions


QUICK_KILLS = ("before the neighbours are kept", "after the ledger")


@pytest.mark.parametrize(
    "kill", [kill if kill in QUICK_KILLS else pytest.param(kill, marks=pytest.mark.slow) for kill in KILLS]
)
def test_goes_on_after_a_kill_without_losing_or_repeating_a_day(short, tmp_path, monkeypatch, kill):
    logs, whole, whole_versions = short
    versions = Versions()
    how, target, name, at = KILLS[kill]
    first = logs.parent / "first"
    with monkeypatch.context() as patch:
        how(patch, target, name, at)
        with pytest.raises(Killed):
            work(logs, tmp_path / "work", versions, warm_start_from=first)
    work(logs, tmp_path / "work", versions, warm_start_from=first)
    for day in ("2024-05-01", "2024-05-02"):
        one, other = (folder / "work" / "days" / day for folder in (tmp_path, logs.parent))
        assert (one / "fusion.npz").read_bytes() == (other / "fusion.npz").read_bytes()
    days = Ledger(tmp_path / "work" / "ledger.json").days
    assert [day["day"] for day in days] == [day["day"] for day in whole]
    assert [day["version"] for day in days] == [1, 2]
    assert versions.calls == 2
    for day, expected in zip(days, whole, strict=True):
        for model in ("refreshed", "stale"):
            assert day[model]["recall"] == pytest.approx(expected[model]["recall"], abs=0.05)
    for (_, table), (_, expected_table) in zip(versions.published, whole_versions.published, strict=True):
        np.testing.assert_allclose(table, expected_table, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("refreshed", "last_version"),
    [(0.44, None), (0.46, 2)],
    ids=["worse: held back", "hardly worse: exported"],
)
def test_export_depends_on_the_margin(short, tmp_path, monkeypatch, refreshed, last_version):
    logs, *_ = short
    # In this order: day 1; day 2 refreshed; day 2 serving, which is the stale one as well.
    recalls = iter([0.5, refreshed, 0.5])
    versions = Versions()
    monkeypatch.setattr(day_loop, "measure_day", lambda *_: ({"recall": next(recalls)}, None))
    days = DayLoop(versions, tiny(logs, tmp_path / "work", margin=0.05)).run()
    assert [day["version"] for day in days] == [1, last_version]
    assert days[1]["serving"] == days[1]["stale"] == {"recall": 0.5}
    assert versions.calls == (1 if last_version is None else 2)


def test_unknown_items_count_as_misses():
    log = SessionLog.from_frame(
        pd.DataFrame({"SessionId": [1, 1, 1, 2, 2], "ItemId": list("abxya"), "Time": range(5)})
    )
    known = in_rows_of(
        log,
        SessionLog.from_frame(
            pd.DataFrame({"SessionId": [1, 1], "ItemId": ["a", "b"], "Time": [0, 1]})
        ).vocabulary,
    )
    assert (log.n_pairs, known.n_pairs, known.dropped_events) == (3, 1, 2)
    model = GRU4Rec(known.vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))
    counted = {"pairs": 3, "known_pairs": 1, "dropped_events": 2}
    # Of two items the next is among the first two: a hit in the one pair of three whose items are known.
    query, _ = model(tf.constant(known.items[np.newaxis, :1]))
    rank = metrics.ranks(model.scores(query), known.items[1:2]).numpy()[0]
    figures, found = measure_day(model, log, 2)
    assert found.ranks == [rank]
    assert figures == {
        "recall": pytest.approx(1 / 3),
        "mrr": pytest.approx(1 / rank / 3),
        "recall_known": 1.0,
        **counted,
    }
    assert measure(model, log, 2)[0] == {"recall": pytest.approx(1 / 3)}
    unknown = SessionLog.from_frame(pd.DataFrame({"SessionId": [1, 1], "ItemId": ["x", "y"], "Time": [0, 1]}))
    nothing = {"recall": 0.0, "mrr": 0.0, "recall_known": 0.0}
    counted = {"pairs": 1, "known_pairs": 0, "dropped_events": 2}
    assert measure_day(model, unknown, 2) == ({**nothing, **counted}, None)


def test_a_day_leaves_a_report_of_what_it_reached_on_the_next(short, tmp_path):
    logs, *_ = short
    versions = Versions()
    DayLoop(versions, tiny(logs, tmp_path / "work")).run()
    folder = tmp_path / "work" / "days" / "2024-05-02"
    report = json.loads((folder / "report.json").read_text())
    next_log = SessionLog.from_file(logs / "2024-05-03.tsv.gz")
    model = load_model(folder)
    n_known = in_rows_of(next_log, model.vocabulary).n_pairs
    assert 0 < n_known < next_log.n_pairs
    of_all = measure(model, next_log, 5)[0]["recall"]
    test = report["test"]
    assert test["log"] == "the following day, 2024-05-03.tsv.gz"
    assert test["all_pairs"]["recall"]["5"] == pytest.approx(of_all)
    assert test["recall"]["5"] == pytest.approx(of_all * next_log.n_pairs / n_known)
    assert "On the following day, 2024-05-03.tsv.gz" in (folder / "report.html").read_text()
    assert report["warm_start"]["kept_items"] > 0
    # What its version's card is made of: settings, data and figures.
    assert versions.about["test"] == test
    assert {"training", "data"} <= versions.about.keys()


@pytest.mark.slow
def test_only_the_models_needed_keep_their_weights(short, tmp_path):
    logs, *_ = short
    folder = tmp_path / "logs"
    folder.mkdir()
    for file in logs.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    write_day(folder, 4, [OLD_RING], 12)
    work(folder, tmp_path / "work", Versions(), warm_start_from=logs.parent / "first")
    for part in ("checkpoints", "fusion.npz"):
        kept = [day.name for day in sorted((tmp_path / "work" / "days").iterdir()) if (day / part).exists()]
        assert kept == ["2024-05-01", "2024-05-03"]
    assert (tmp_path / "work" / "days" / "2024-05-02" / "report.json").exists()


@pytest.mark.parametrize(
    ("train_every", "epochs"),
    [
        pytest.param(0, [0, 0], marks=pytest.mark.slow),
        pytest.param(1, [1, 1], marks=pytest.mark.slow),
        (2, [1, 0]),
    ],
)
def test_neighbours_learn_on_days_without_training(short, tmp_path, train_every, epochs):
    logs, *_ = short
    first = logs.parent / "first"
    entries = work(logs, tmp_path / "work", Versions(), warm_start_from=first, train_every=train_every)
    assert [entry["epochs"] for entry in entries] == epochs
    before, after = load_model(first), load_model(tmp_path / "work" / "days" / "2024-05-02")
    rows = after.vocabulary.rows(before.vocabulary.ids)
    old, new = (model.embedding.output_table.numpy() for model in (before, after))
    assert np.array_equal(old, new[rows]) == (train_every == 0)
    # Items of both days are in the catalogue, and their neighbours are those of their rings.
    fusion = Fusion.load(tmp_path / "work" / "days" / "2024-05-02")
    fusion.require_vocabulary(after.vocabulary)
    for day in (1, 2):
        ring = after.vocabulary.rows(np.array([f"day{day}-{n}" for n in range(3)], object))
        rules = fusion.tables["rules"].toarray()[ring]
        assert (rules[:, ring].sum(axis=1) > 0).all()
        assert rules[:, ring].sum() == pytest.approx(rules.sum())


def test_days_without_training_need_neighbours(short):
    with pytest.raises(ValueError, match=r"Days without training are for neighbours.*train_every=0"):
        tiny(short[0], short[0], train_every=0, warm_start_from=short[0])


def test_day_files(tmp_path):
    for name in ("b.csv", "a.tsv.gz", ".c.tsv", "notes.md", "d.parquet.tmp", "e.TSV.Gz"):
        (tmp_path / name).touch()
    assert list(day_files(tmp_path)) == ["a", "b", "e"]
    (tmp_path / "a.parquet").touch()
    with pytest.raises(ValueError, match=r"one log.*a\.parquet.*a\.tsv\.gz"):
        day_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder of daily logs"):
        day_files(tmp_path / "none")


def test_late_log_is_left_out_and_named(tmp_path, caplog):
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("1.tsv", "2.tsv", "3.tsv"):
        (logs / name).touch()
    ledger = Ledger(tmp_path / "work" / "ledger.json")
    ledger.append({"day": "2", "version": 1})
    loop = DayLoop(Versions(), tiny(logs, tmp_path / "work"))
    assert loop.pending() == []
    assert "Left out, because 2 is done already: 1." in caplog.text


def test_ledger_is_never_half_written(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.json")
    ledger.append({"day": "1", "version": 1})
    before = ledger.path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(OSError, match="No space"):
        ledger.append({"day": "2", "version": None})
    assert ledger.path.read_bytes() == before
    assert ledger.names == ["1"]
    with pytest.raises(ValueError, match="done once"):
        ledger.append({"day": "1", "version": 2})


@pytest.mark.parametrize("text", ["{", '{"format": 7, "days": []}', "[]"])
def test_damaged_ledger_is_refused(tmp_path, text):
    (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(ValueError, match=r"ledger"):
        Ledger(tmp_path / "ledger.json")


def test_two_loops_do_not_share_a_folder(short, tmp_path):
    logs, *_ = short
    with lock_folder(tmp_path / "work"), pytest.raises(BlockingIOError, match="Another process"):
        work(logs, tmp_path / "work", Versions())


def test_entry_is_plain_json(short):
    _, entries, _ = short
    assert json.loads(json.dumps(entries)) == entries
