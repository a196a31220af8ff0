"""The commands from raw files to a report, in one process, with their bad inputs."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from cli_support import run

from tfrs_gru4rec.cli import evaluate, recommend, train
from tfrs_gru4rec.cli.flag_groups import UsageError
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import load_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A shop in which every item is followed by the next one of a ring, with text ids."""
    folder = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(0)
    for name, n_sessions in (("train", 300), ("test", 40)):
        lengths = rng.integers(2, 6, n_sessions)
        firsts = np.repeat(rng.integers(0, 12, n_sessions), lengths)
        steps = np.concatenate([np.arange(length) for length in lengths])
        frame = pd.DataFrame({"sid": np.repeat(np.arange(n_sessions), lengths)})
        frame["item"] = [f"item-{(first + step) % 12}" for first, step in zip(firsts, steps, strict=True)]
        frame["when"] = np.arange(len(frame))
        if name == "test":
            frame.loc[len(frame)] = [39, "never-seen", len(frame)]
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


COLUMNS = {"session_key": "sid", "item_key": "item", "time_key": "when"}


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    arguments = {
        "flagfile": "/dev/null",  # a plain model: no default settings
        "train_path": files / "train.csv",
        "test_path": files / "test.csv",
        "model_dir": folder / "ring",
        "report_path": folder / "r.json",
        "layers": "16",
        "batch_size": 8,
        "n_epochs": 4,
        "n_sample": 8,
        "learning_rate": 0.2,
        "progress": False,
        "k": "1,5",
        **COLUMNS,
    }
    assert run(train, **arguments) == 0
    return folder


def test_report_holds_what_it_promises(trained):
    report = json.loads((trained / "r.json").read_text())
    assert report == json.loads((trained / "ring" / "report.json").read_text())
    assert report["config"]["layers"] == [16]
    assert report["data"]["sessions"] == 300
    assert report["data"]["items"] == 12
    assert len(report["epochs"]) == 4
    assert set(report["epochs"][0]) >= {"loss", "seconds", "steps_per_second", "events_per_second"}
    for name in ("recall", "mrr", "ndcg", "precision"):
        assert report["test"][name].keys() == report["test"]["intervals"][name].keys() == {"1", "5"}
        low, high = report["test"]["intervals"][name]["5"]
        assert low <= report["test"][name]["5"] <= high
    # One pair of an unknown item is a miss in the figures over all pairs.
    pairs = report["test"]["events"]
    expected = report["test"]["recall"]["5"] * pairs / (pairs + 1)
    of_all = report["test"]["all_pairs"]
    assert of_all["recall"]["5"] == pytest.approx(expected)
    low, high = of_all["intervals"]["recall"]["5"]
    assert low <= expected <= high
    assert low < 1  # most resamples of the sessions hold the miss
    assert report["test"]["lists"]["by_k"].keys() == {"1", "5"}
    assert report["test"]["dropped_events"] == 1
    assert set(report["baselines"]) == {"popularity", "transitions", "session_knn"}
    # The ring is certain, so whoever looks at the last item knows the next.
    assert report["test"]["recall"]["1"] > 0.95
    assert report["baselines"]["transitions"]["recall"]["1"] == 1.0
    assert report["baselines"]["popularity"]["recall"]["1"] < 0.5
    ahead = report["baselines"]["popularity"]["model_ahead"]
    difference = report["test"]["recall"]["1"] - report["baselines"]["popularity"]["recall"]["1"]
    assert ahead["recall"]["1"] == pytest.approx(difference)
    assert 0 < ahead["intervals"]["recall"]["1"][0] < difference


def test_epochs_are_logged_as_csv_and_for_tensorboard(trained):
    with (trained / "ring" / "logs" / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert list((trained / "ring" / "logs").rglob("events.out.tfevents.*"))


def test_evaluate_agrees_with_the_training_report(trained, files, tmp_path, capsys):
    found = tmp_path / "e.json"
    arguments = {
        "model_dir": trained / "ring",
        "test_path": files / "test.csv",
        "k": "1,5",
        "report_path": found,
    }
    assert run(evaluate, **arguments, **COLUMNS) == 0
    report, again = (
        json.loads((trained / "r.json").read_text())["test"],
        json.loads(found.read_text())["test"],
    )
    assert again["recall"] == report["recall"]
    assert "data:image/png" in found.with_suffix(".html").read_text()
    with pytest.raises(UsageError, match=r"page and the picture.*e\.html"):
        run(evaluate, **{**arguments, "report_path": tmp_path / "e.html"}, **COLUMNS)
    assert again["mrr"] == pytest.approx(report["mrr"])
    printed = capsys.readouterr().out
    assert "1 of unknown items dropped" in printed
    assert "recall@5" in printed
    assert "events seen" in printed
    assert "an unknown item counted as misses: recall@5" in printed
    assert "popularity" in printed


def test_recommends_the_next_item_of_the_ring(trained, capsys):
    assert run(recommend, model_dir=trained / "ring", items="item-3,item-4,nothing", top_k=2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "after item-3, item-4, nothing:"
    assert "nothing" in lines[1]
    assert lines[2].split()[:2] == ["1", "item-5"]
    assert len(lines) == 4


def test_recommendations_show_what_items_are_called(trained, tmp_path, capsys):
    (tmp_path / "items.tsv").write_text("item\tname\nitem-4\tLamp\nitem-5\tDesk, oak\n")
    flags = {"model_dir": trained / "ring", "items": "item-4", "top_k": 1}
    assert run(recommend, **flags, item_columns=tmp_path / "items.tsv") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "after item-4 [Lamp]:"
    assert second.startswith("    1  item-5 [Desk, oak]  ")
    with pytest.raises(FileNotFoundError, match="no such file of item names"):
        run(recommend, **flags, item_columns=tmp_path / "none.csv")


def test_recommends_for_each_session_of_a_file(trained, tmp_path, capsys):
    path = tmp_path / "sessions.txt"
    path.write_text("item-1\n\nitem-7, item-8\n")
    assert run(recommend, model_dir=trained / "ring", sessions_path=path, top_k=1) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1::2]] == ["item-2", "item-9"]


def test_excludes_seen_items(trained, capsys):
    everything = ",".join(f"item-{number}" for number in range(12))
    run(recommend, model_dir=trained / "ring", items=everything, exclude_seen=True)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_path": "/no/such.tsv"}, "no.such.tsv"),
        ({"train_path": None}, "either --train_path or --dataset"),
        ({"n_sample": "many"}, "n_sample must be a whole number. Received: n_sample='many'"),
        ({"layers": ""}, "layers must name at least one"),
        ({"baseline_pairs": 0}, "baseline_pairs must be greater than 0"),
        ({"layers": "16,x"}, "layers must be a whole number. Received: layers='x'"),
        ({"final_act": "elu"}, "final_act must be one of linear, relu"),
        ({"k": "0"}, "k must be greater than 0"),
        ({"learning_rate": 0}, "learning_rate must be greater than 0"),
        ({"optimizer_parameters": "beta_1"}, "name=value"),
        ({"session_key": "SessionId"}, "SessionId"),
    ],
)
def test_wrong_input_is_named_and_leaves_nothing(files, tmp_path, changed, message):
    arguments = {"train_path": files / "train.csv", "model_dir": tmp_path / "m", **COLUMNS, **changed}
    with pytest.raises((ValueError, OSError), match=message):
        run(train, **{name: value for name, value in arguments.items() if value is not None})
    assert not (tmp_path / "m").exists()


def test_wrong_loss_lists_the_allowed_ones(files, tmp_path):
    with pytest.raises(UsageError, match="loss must be one of cross-entropy.*bpr-max.*top1-max.*'bprmax'"):
        run(train, train_path=files / "train.csv", model_dir=tmp_path / "m", loss="bprmax")


def test_a_fusion_in_the_folder_is_evaluated_and_recommends(trained, files, tmp_path, capsys):
    folder = tmp_path / "fused"
    shutil.copytree(trained / "ring", folder)
    vocabulary = load_model(folder).vocabulary
    log = SessionLog.from_file(files / "train.csv", vocabulary, **COLUMNS)
    # What follows in the ring is made the last of all.
    fusion = Fusion.count(log, np.ones([4, 4]), ["rules"])
    dataclasses.replace(fusion, weights=np.tile([-100.0, 0.0, 0.0, 0.0], [4, 1])).save(folder)
    report_path = tmp_path / "r.json"
    run(evaluate, model_dir=folder, test_path=files / "test.csv", k="1", report_path=report_path, **COLUMNS)
    test = json.loads(report_path.read_text())["test"]
    assert test["recall"]["1"] == 0.0
    assert test["known_share"] < 1
    capsys.readouterr()
    run(recommend, model_dir=folder, items="item-3", top_k=12)
    assert capsys.readouterr().out.split().index("item-4") > 12
