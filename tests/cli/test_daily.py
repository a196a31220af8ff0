"""gru4rec-train --warm_start_from and gru4rec-daily, from files to exported versions."""

import json
import resource
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from cli_support import run, write_ring
from export_support.loaders import LOADERS

from tfrs_gru4rec.cli import daily, train
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.export.publishing import publish, versions
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import load_model

from oracle import baselines
from oracle import fusion as oracle

RING = [f"item-{n}" for n in range(8)]
SETTINGS = {
    "layers": "6",
    "batch_size": 4,
    "n_epochs": 2,
    "n_sample": 5,
    "learning_rate": 0.3,
    "momentum": 0.1,
}


LOG = {"n_sessions": 30, "session_key": "sid"}


@pytest.fixture(scope="module")
def monday(uncompiled, tmp_path_factory):
    """A model, and the folder of the logs after it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "logs").mkdir()
    write_ring(folder / "monday.csv", RING, 0, **LOG)
    for day in range(1, 4):
        write_ring(folder / "logs" / f"{day}.csv", [*RING, f"new-{day}"], day, **LOG)
    path = folder / "monday.csv"
    arguments = {"train_path": path, "model_dir": folder / "monday", "progress": False, "session_key": "sid"}
    assert run(train, **arguments, **SETTINGS) == 0
    return folder


def test_warm_start_by_command_takes_over_the_old_settings(monday, tmp_path, capsys, caplog):
    caplog.set_level("INFO", logger="absl")  # another test may have left it quiet
    arguments = {
        "train_path": monday / "logs" / "1.csv",
        "test_path": monday / "logs" / "2.csv",
        "model_dir": tmp_path / "tuesday",
        "warm_start_from": monday / "monday",
        "session_key": "sid",
        "progress": False,
        "n_epochs": 1,
        "k": "1,5",
    }
    assert run(train, **arguments) == 0
    assert "8 items kept, 1 new, 0 retired" in capsys.readouterr().out
    # The first sign of life: TensorFlow, which takes seconds to load, is loaded after it.
    assert caplog.messages[0] == f"Reading the settings of the model in {monday / 'monday'}."
    report = json.loads((tmp_path / "tuesday" / "report.json").read_text())
    # Given: one epoch. Not given, so as on Monday: all else.
    assert report["config"]["n_epochs"] == len(report["epochs"]) == 1
    assert (report["config"]["layers"], report["config"]["momentum"]) == ([6], 0.1)
    assert report["warm_start"]["new_items"] == 1
    assert report["test"]["lists"]["lists"] == report["test"]["events"]
    assert sum(row["events"] for row in report["test"]["by_popularity"].values()) == report["test"]["events"]
    assert (tmp_path / "tuesday" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert list(load_model(tmp_path / "tuesday").vocabulary.ids) == [
        *load_model(monday / "monday").vocabulary.ids,
        "new-1",
    ]


def test_warm_start_into_its_own_folder_is_refused(monday):
    arguments = {"train_path": monday / "logs" / "1.csv", "model_dir": monday / "monday"}
    with pytest.raises(ValueError, match="give another --model_dir"):
        run(train, **arguments, warm_start_from=monday / "logs" / ".." / "monday")


@pytest.mark.slow
def test_daily_exports_versions_and_says_what_it_did(monday, tmp_path, capsys):
    arguments = {
        "days_dir": monday / "logs",
        "work_dir": tmp_path / "work",
        "export_dir": tmp_path / "serving",
        "warm_start_from": monday / "monday",
        "session_key": "sid",
        "margin": 1.0,
        "max_sessions": 128,
        "top_k": 5,
    }
    assert run(daily, **arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[2:]] == ["1", "2"]
    assert [line.split()[-1] for line in printed[2:]] == ["1", "2"]
    assert sorted(path.name for path in (tmp_path / "serving").iterdir()) == ["1", "2"]
    days = json.loads((tmp_path / "work" / "ledger.json").read_text())["days"]
    assert [day["items"] for day in days] == [9, 10]  # Monday's eight, and one new a day
    card = (tmp_path / "serving" / "2" / "assets.extra" / "model_card.md").read_text()
    figures = days[1]["refreshed"]
    assert "On the following day, 3.csv: next item among all items" in card
    assert f"| GRU4Rec | {figures['recall_known']:.4f} (" in card
    assert f"| GRU4Rec, all pairs | {figures['recall']:.4f} (" in card
    n_events = sum(1 for _ in (monday / "logs" / "2.csv").open()) - 1
    assert f"| events | {n_events} |" in card
    assert (tmp_path / "work" / "daily.png").exists()
    assert run(daily, **arguments) == 0
    assert "No day to work" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "serving").iterdir()) == ["1", "2"]


def item_sessions(path):
    frame = pd.read_csv(path)
    return [list(items) for _, items in frame.groupby("sid")["ItemId"]]


def fused_oracle(model, logs, weights, decay):
    """The scores [n_items] of a fused model after a session of ids; its tables are those of weighed logs."""
    row_of = {item: row for row, item in enumerate(model.vocabulary.ids)}
    sessions = [[row_of[item] for item in session] for log in logs for session in log]
    weighed = [decay**age for age, log in zip(range(len(logs))[::-1], logs, strict=True) for _ in log]
    n_items = len(row_of)
    tables = [
        baselines.sequential_rules_table(sessions, n_items, 10, weighed),
        baselines.item_knn_table(sessions, n_items, len(sessions), 40.0, weighed),
    ]

    seen = [
        sum(weight * session.count(item) for session, weight in zip(sessions, weighed, strict=True))
        for item in range(n_items)
    ]

    def scores(session):
        rows = [row_of[item] for item in session]
        alone = model.predict_step(tf.constant([rows], tf.int32)).numpy()[0]
        return np.array(oracle.fused_scores(alone, tables, seen, weights, rows))

    return scores


@pytest.fixture(scope="module")
def fused_monday(monday):
    """Monday's model, and what its neighbours weigh."""
    folder = shutil.copytree(monday / "monday", monday / "fused")
    log = SessionLog.from_file(
        monday / "monday.csv", load_model(folder).vocabulary, session_key=LOG["session_key"]
    )
    Fusion.count(log, np.random.default_rng(0).uniform(0.1, 0.4, [4, 5]), ["rules", "knn"]).save(folder)
    return folder


@pytest.mark.slow
def test_daily_publishes_neighbours_that_know_all_the_days(monday, fused_monday, tmp_path):
    arguments = {
        "days_dir": monday / "logs",
        "work_dir": tmp_path / "work",
        "export_dir": tmp_path / "serving",
        "warm_start_from": fused_monday,
        "session_key": "sid",
        "margin": 1.0,
        "max_sessions": 128,
        "top_k": 5,
        "train_every": 2,
        "neighbour_decay": 0.7,
    }
    assert run(daily, **arguments) == 0
    model = load_model(tmp_path / "work" / "days" / "2")
    logs = [
        item_sessions(path) for path in (monday / "monday.csv", *sorted((monday / "logs").glob("[12].csv")))
    ]
    weights = Fusion.load(fused_monday).weights.tolist()
    expected = fused_oracle(model, logs, weights, 0.7)
    for load in LOADERS.values():
        with load(tmp_path / "serving" / "2") as call:
            for session in (["item-3"], ["item-0", "item-1", "new-2", "item-1"], ["new-1", "new-2"]):
                scores = expected(session)
                outputs = call("recommend", item_ids=[session])
                best = np.argsort(-scores, kind="stable")[:5]
                found = [item.decode() for item in outputs["item_ids"][0]]
                assert found == list(model.vocabulary.ids[best])
                np.testing.assert_allclose(outputs["scores"][0], scores[best], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_warm_start_carries_the_fusion_or_learns_it_anew(monday, fused_monday, tmp_path):
    arguments = {
        "train_path": monday / "logs" / "1.csv",
        "warm_start_from": fused_monday,
        "session_key": "sid",
        "progress": False,
        "neighbour_decay": 0.7,
    }
    logs = [item_sessions(path) for path in (monday / "monday.csv", monday / "logs" / "1.csv")]
    for name, more in (("carried", {}), ("anew", {"fusion": "both", "valid_share": 0.2, "refit": True})):
        assert run(train, model_dir=tmp_path / name, **arguments, **more) == 0
        model, fusion = load_model(tmp_path / name), Fusion.load(tmp_path / name)
        was = Fusion.load(fused_monday).weights
        assert np.array_equal(fusion.weights, was) == (name == "carried")
        expected = fused_oracle(model, logs, fusion.weights.tolist(), 0.7)
        session = ["item-2", "item-3"]
        found = FusedModel(model, fusion).predict_step(tf.constant([model.vocabulary.rows(session)]))
        np.testing.assert_allclose(found[0], expected(session), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_full_disk_at_an_export_loses_nothing(monday, tmp_path, monkeypatch):
    arguments = {
        "days_dir": monday / "logs",
        "work_dir": tmp_path / "work",
        "export_dir": tmp_path / "versions",
        "session_key": "sid",
        "max_sessions": 100,
        "top_k": 5,
        "margin": 1.0,
        **SETTINGS,
    }
    export = daily.SavedModelVersions.publish
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_a_full_disk(self, model, version, about):
        if version == 1:
            publish(
                self._export_dir, version, lambda hidden: (hidden / "whole").write_text("without a model")
            )
            return
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            export(self, model, version, about)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with monkeypatch.context() as patch:
        patch.setattr(daily.SavedModelVersions, "publish", on_a_full_disk)
        with pytest.raises(OSError, match=r"could not be written"):
            run(daily, **arguments)
    ledger = tmp_path / "work" / "ledger.json"
    assert [day["day"] for day in json.loads(ledger.read_text())["days"]] == ["1"]
    assert versions(tmp_path / "versions") == [1]
    first = contents(tmp_path / "versions" / "1")
    trained = contents(tmp_path / "work" / "days" / "2" / "checkpoints")
    assert run(daily, **arguments) == 0
    assert [day["version"] for day in json.loads(ledger.read_text())["days"]] == [1, 2]
    assert versions(tmp_path / "versions") == [1, 2]
    assert contents(tmp_path / "versions" / "1") == first
    assert contents(tmp_path / "work" / "days" / "2" / "checkpoints") == trained  # not trained again


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
