"""gru4rec-train with a validation: the best epoch, the refit, and the test log that is read last."""

import json

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.cli import evaluate as evaluate_command
from tfrs_gru4rec.cli import train
from tfrs_gru4rec.cli.flag_groups import UsageError
from tfrs_gru4rec.cli.logs import DataConfig
from tfrs_gru4rec.config import ColumnConfig, ValidationConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.neighbours import Fusion, SequentialRules
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import load_model

from oracle import baselines
from oracle import fusion as oracle


@pytest.fixture(scope="module")
def frame():
    """Walks on a ring of 60 items; the last tenth of the sessions visits an item that no other has."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 6, 100)
    sessions = np.repeat(np.arange(100), lengths)
    items = [f"item-{number % 60}" for number in np.arange(len(sessions)) + rng.integers(0, 4, len(sessions))]
    frame = pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": 10 * np.arange(len(sessions))})
    frame.loc[frame.index[-1], "ItemId"] = "new"
    return frame


@pytest.fixture(scope="module")
def train_path(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "train.csv"
    frame.to_csv(path, index=False)
    return path


def run(**settings):
    small = {
        "flagfile": "/dev/null",
        "layers": 8,
        "batch_size": 8,
        "n_sample": 8,
        "learning_rate": 0.3,
        "progress": False,
    }
    settings = {**small, "nobaselines": True, **settings}
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in settings.items()]
    return train.COMMAND.work(["command", *words])


def run_evaluate(**settings):
    return evaluate_command.COMMAND.work(
        ["command", *(f"--{name}={value}" for name, value in settings.items())]
    )


@pytest.mark.usefixtures("uncompiled")
def test_refit_trains_the_best_number_of_epochs_on_all_and_reads_the_test_last(
    frame, train_path, tmp_path, capsys
):
    test_path = tmp_path / "test.csv"
    settings = {
        "train_path": train_path,
        "test_path": test_path,
        "model_dir": tmp_path / "m",
        "valid_share": 0.2,
        "n_epochs": 3,
        "refit": True,
    }
    with pytest.raises(FileNotFoundError, match=r"test\.csv"):
        run(**settings)  # there is no test log yet: all the training was done without it
    frame.tail(60).to_csv(test_path, index=False)
    weights = load_model(tmp_path / "m").embedding.output_table.numpy()
    assert run(**settings) == 0
    np.testing.assert_array_equal(load_model(tmp_path / "m").embedding.output_table, weights)
    printed = capsys.readouterr().out
    whole = SessionLog.from_file(train_path)
    earlier, valid = whole.split_by_time(share=0.2)
    assert "20 sessions, the last 0.2 of the training log's sessions (" in printed
    assert f"({valid.dropped_events} events of unknown items dropped)" in printed
    report = json.loads((tmp_path / "m" / "report.json").read_text())
    validation = report["validation"]
    recalls = [record["val_recall_at_20"] for record in validation["epochs"]]
    assert validation["best_epoch"] == 1 + int(np.argmax(recalls)) == len(report["epochs"])
    # The model of the refit knows the last sessions' item; that of the validation, beside it, does not.
    first, last = load_model(tmp_path / "m" / "validation"), load_model(tmp_path / "m")
    assert first.vocabulary.n_items == earlier.vocabulary.n_items
    assert last.vocabulary.n_items == whole.vocabulary.n_items > earlier.vocabulary.n_items
    assert evaluate(first, valid).recall(20) == validation["recall"]["20"] == max(recalls)


@pytest.mark.usefixtures("uncompiled")
def test_epochs_are_measured_on_some_clicks_and_the_best_on_all(train_path, tmp_path):
    _, valid = SessionLog.from_file(train_path).split_by_time(share=0.3)
    some = valid.some_sessions(20, seed=0)
    assert 10 < some.n_pairs <= 20 < valid.n_pairs
    run(train_path=train_path, model_dir=tmp_path / "m", valid_share=0.3, n_epochs=2, valid_clicks=20)
    found = json.loads((tmp_path / "m" / "report.json").read_text())["validation"]
    model, best = load_model(tmp_path / "m"), found["best_epoch"] - 1
    assert found["recall"]["20"] == evaluate(model, valid).recall(20)
    assert found["epochs"][best]["val_recall_at_20"] == evaluate(model, some).recall(20)
    assert found["recall"]["20"] != found["epochs"][best]["val_recall_at_20"]


def test_a_validation_file_is_joined_for_the_refit(frame, train_path, tmp_path):
    cut = frame["SessionId"].searchsorted(80)
    frame[:cut].to_csv(tmp_path / "a.csv", index=False)
    frame[cut:].to_csv(tmp_path / "b.csv", index=False)
    data = train.DataConfig(train_path=tmp_path / "a.csv")
    by_file = train.ValidationConfig(valid_path=tmp_path / "b.csv", refit=True)
    found = data.read_training_logs(ColumnConfig(), by_file)
    by_share = train.ValidationConfig(valid_share=0.2)
    whole = train.DataConfig(train_path=train_path)
    expected = whole.read_training_logs(ColumnConfig(), by_share)
    for name in ("train", "valid", "whole"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(
            one.vocabulary.ids[one.items], other.vocabulary.ids[other.items], err_msg=name
        )
        np.testing.assert_array_equal(one.offsets, other.offsets)


def test_dwell_time_repeats_no_event_of_the_validation(train_path):
    data = train.DataConfig(train_path=train_path, dwell_seconds=5)
    logs = data.read_training_logs(ColumnConfig(), train.ValidationConfig(valid_share=0.2))
    plain = train.DataConfig(train_path=train_path)
    once = plain.read_training_logs(ColumnConfig(), train.ValidationConfig(valid_share=0.2))
    assert logs.train.n_events > 2 * once.train.n_events
    assert logs.valid.n_events == once.valid.n_events


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"valid_share": 0.1, "valid_days": 2}, "one source of validation.*valid_days=2"),
        ({"refit": True}, "need validation: valid_path"),
        ({"early_stop_epochs": 3}, "need validation"),
        ({"valid_clicks": 3}, "need validation"),
        ({"valid_share": 1.5}, "valid_share must be at least 0 and below 1"),
    ],
)
def test_flags_that_contradict_each_other_are_named(train_path, tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        run(train_path=train_path, model_dir=tmp_path / "m", **flags)


def test_a_split_without_sessions_is_refused_before_any_training(train_path, tmp_path):
    with pytest.raises(ValueError, match="must leave a session of two events.*days=7"):
        run(train_path=train_path, model_dir=tmp_path / "m", valid_days=7)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("n_sessions", "length", "flags", "n_valid"),
    [
        (100, 31, [], 10),
        (99, 40, [], None),
        (1000, 4, [], 100),
        (999, 4, [], None),
        (1000, 2, ["--valid_share=0.3"], 300),
    ],
)
def test_a_log_that_is_large_enough_is_validated_without_a_word(tmp_path, n_sessions, length, flags, n_valid):
    path = tmp_path / "log.csv"
    sessions = np.repeat(np.arange(n_sessions), length)
    frame = pd.DataFrame({"SessionId": sessions, "ItemId": np.arange(len(sessions)) % 7})
    frame["Time"] = np.arange(len(frame))
    frame.to_csv(path, index=False)
    found = train.COMMAND.parse(["train", f"--train_path={path}", f"--model_dir={tmp_path / 'm'}", *flags])
    logs = found["data"].read_training_logs(found["columns"], found["validation"])
    assert (logs.valid.n_sessions if logs.valid else None) == n_valid
    assert logs.validation.refit == bool(n_valid)
    assert logs.whole.n_sessions == n_sessions


def test_a_fusion_is_learned_in_validation_and_counted_on_all(frame, train_path, tmp_path, capsys):
    frame.tail(60).to_csv(tmp_path / "test.csv", index=False)
    settings = {"train_path": train_path, "model_dir": tmp_path / "m", "valid_share": 0.3, "n_epochs": 1}
    assert run(**settings, fusion="rules", refit=True, test_path=tmp_path / "test.csv") == 0
    printed = capsys.readouterr().out
    assert "Fusion with neighbours: rules. Recall@20" in printed
    assert "GRU4Rec alone" in printed
    model, fusion = load_model(tmp_path / "m"), Fusion.load(tmp_path / "m")
    log = SessionLog.from_file(train_path, model.vocabulary)
    expected = SequentialRules(log).table.toarray()
    np.testing.assert_allclose(fusion.tables["rules"].toarray(), expected, rtol=1e-6)
    report = json.loads((tmp_path / "m" / "report.json").read_text())
    assert report["fusion"]["chosen"] == "rules"
    test_log = SessionLog.from_file(tmp_path / "test.csv", model.vocabulary)
    assert report["test"]["mrr"]["20"] == evaluate(FusedModel(model, fusion), test_log).mrr(20)
    assert report["test_alone"]["mrr"]["20"] == evaluate(model, test_log).mrr(20)
    # A run without one leaves none.
    assert run(**{**settings, "model_dir": tmp_path / "m"}, refit=True) == 0
    assert not (tmp_path / "m" / "fusion.npz").exists()


def test_neighbours_are_a_model_by_themselves(frame, train_path, tmp_path, capsys):
    test_path, folder = tmp_path / "test.csv", tmp_path / "m"
    frame.tail(60).to_csv(test_path, index=False)
    assert (
        run(
            train_path=train_path,
            test_path=test_path,
            model_dir=folder,
            valid_share=0.3,
            refit=True,
            fusion="neighbours",
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert "Fusion with neighbours: neighbours." in printed
    assert any(line.startswith("neighbours") for line in printed.splitlines())
    model, fusion = load_model(folder), Fusion.load(folder)
    report = json.loads((folder / "report.json").read_text())
    assert (report["epochs"], report["config"]["n_epochs"], report["config"]["layers"]) == ([], 0, [1])
    # Ranks by slow loops over the sessions of the whole log.
    log, test_log = (SessionLog.from_file(path, model.vocabulary) for path in (train_path, test_path))
    sessions, test = (
        [each.tolist() for each in np.split(part.items, part.offsets[1:-1])] for part in (log, test_log)
    )
    n_items = model.vocabulary.n_items
    tables = [
        baselines.sequential_rules_table(sessions, n_items, 10),
        baselines.item_knn_table(sessions, n_items, len(sessions), 40.0),
    ]
    counts, hits = model.vocabulary.counts, []
    for session in test:
        for seen in range(1, len(session)):
            scores = oracle.fused_scores(
                np.log(1 + counts), tables, counts, fusion.weights.tolist(), session[:seen]
            )
            hits.append(np.count_nonzero(np.array(scores) > scores[session[seen]] + 1e-5) < 5)
    assert report["test"]["recall"]["5"] == pytest.approx(np.mean(hits), abs=1.5 / len(hits))
    assert run_evaluate(model_dir=folder, test_path=test_path, report_path=tmp_path / "again.json") == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["test"]["recall"] == report["test"]["recall"]


def test_a_fusion_without_validation_is_refused(train_path, tmp_path):
    with pytest.raises(UsageError, match="refit and fusion need validation"):
        run(train_path=train_path, model_dir=tmp_path / "m", fusion="auto")


@pytest.mark.parametrize(("share", "is_warned_of"), [(0.2, True), (0.9, False)])
def test_a_validation_of_few_clicks_is_warned_of(tmp_path, caplog, share, is_warned_of):
    n_sessions = 600
    frame = pd.DataFrame({"SessionId": np.repeat(np.arange(n_sessions), 3), "ItemId": 1, "Time": 0})
    frame["Time"] = np.arange(len(frame))
    frame.to_csv(tmp_path / "log.csv", index=False)
    DataConfig(train_path=tmp_path / "log.csv").read_training_logs(
        ColumnConfig(), ValidationConfig(valid_share=share)
    )
    clicks = round(share * n_sessions) * 2
    assert (f"only {clicks} next clicks" in caplog.text) == is_warned_of
