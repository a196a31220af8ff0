"""gru4rec-train --warm_start_from and gru4rec-daily, from files to exported versions."""

import json
import resource

import pytest
from cli_support import run, write_ring

from tfrs_gru4rec.cli import daily, train
from tfrs_gru4rec.export.publishing import publish, versions
from tfrs_gru4rec.training import load_model

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
    caplog.set_level("INFO")
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
