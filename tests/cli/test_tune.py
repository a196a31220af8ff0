"""gru4rec-tune from a log to the refitted model; the test log is there only when the study is done."""

import json

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.cli import tune
from tfrs_gru4rec.cli.flag_groups import UsageError
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import load_model

pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture
def settings(tmp_path):
    rng = np.random.default_rng(6)
    lengths = rng.integers(2, 5, 40)
    sessions = np.repeat(np.arange(40), lengths)
    items = (np.arange(len(sessions)) + rng.integers(0, 3, len(sessions))) % 50
    frame = pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": np.arange(len(items))})
    frame.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "space.toml").write_text("[bpr-max]\nlayers = [4]\nn_sample = [4, 8]\n")
    return {
        "train_path": tmp_path / "train.csv",
        "valid_share": 0.3,
        "output_dir": tmp_path / "study",
        "space": tmp_path / "space.toml",
        "n_trials": 2,
        "n_epochs": 1,
    }


def run(settings):
    return tune.COMMAND.work(["command", *(f"--{name}={value}" for name, value in settings.items())])


def test_from_a_log_to_a_model_and_the_test_is_read_last(settings, tmp_path, capsys):
    settings["test_path"] = tmp_path / "test.csv"
    with pytest.raises(FileNotFoundError, match=r"test\.csv"):
        run(settings)  # the study and the model were made without a test log
    weights = load_model(tmp_path / "study" / "model").embedding.output_table.numpy()
    frame = pd.read_csv(settings["train_path"])
    frame.tail(40).to_csv(tmp_path / "test.csv", index=False)
    assert run(settings) == 0
    model = load_model(tmp_path / "study" / "model")
    np.testing.assert_array_equal(model.embedding.output_table, weights)
    assert model.vocabulary.n_items == SessionLog.from_file(settings["train_path"]).vocabulary.n_items
    report = json.loads((tmp_path / "study" / "report.json").read_text())
    assert len(report["trials"]) == 2
    assert report["test"]["events"] > 0
    assert (
        report["baselines"]["session_knn"]["model_ahead"]["recall"].keys() == report["test"]["recall"].keys()
    )
    printed = capsys.readouterr().out
    assert "The best of 2 trials" in printed
    assert "session kNN, n_neighbours" in printed
    assert (tmp_path / "study" / "best.flags").exists()


def test_a_study_needs_sessions_to_choose_by(settings):
    del settings["valid_share"]
    with pytest.raises(UsageError, match="--valid_days, --valid_share"):
        run(settings)
    assert not settings["output_dir"].exists()


def test_what_a_study_decides_itself_is_no_flag(settings):
    for name in ("valid_clicks", "refit"):
        with pytest.raises(UsageError, match=f"Unknown command line flag '{name}'"):
            run({**settings, name: 3})


def test_a_wrong_space_is_named_before_anything_is_written(settings):
    settings["space"].write_text("[bpr-max]\nlayers = []\n")
    with pytest.raises(ValueError, match=r"space\.toml: layers needs a value"):
        run(settings)
    assert not settings["output_dir"].exists()
