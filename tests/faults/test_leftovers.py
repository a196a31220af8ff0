"""What a stop leaves in a folder: gone on from, begun again, or removed."""

import fcntl
import json
import os

import numpy as np
import pandas as pd
import pytest
from fault_support.commands import COMMANDS, table_of

from tfrs_gru4rec.atomic_files import make_folder, temporary_path, write_text
from tfrs_gru4rec.config import DailyConfig, GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit, load_model
from tfrs_gru4rec.upkeep import day_loop
from tfrs_gru4rec.upkeep.ledger import Ledger
from tfrs_gru4rec.upkeep.publisher import publish_once
from tfrs_gru4rec.upkeep.warm_start import WarmStart

DIGITS = "0123456789abcdef" * 2


pytestmark = pytest.mark.usefixtures("small_runs")


def train(inputs, path, n_epochs=1, day=1, **settings):
    log = SessionLog.from_file(inputs / f"day-{day}.tsv")
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(3,), n_sample=4))
    config = TrainingConfig(batch_size=4, n_epochs=n_epochs, **settings)
    return model, fit(model, log, config, ModelFolder(path))


@pytest.mark.parametrize("lost", ["removed", "emptied"])
def test_a_lost_state_file_costs_no_epoch(inputs, tmp_path, lost):
    trained, _ = train(inputs, tmp_path / "m")
    state = tmp_path / "m" / "checkpoints" / "checkpoint"
    if lost == "removed":
        state.unlink()
    else:
        state.write_text("")
    np.testing.assert_array_equal(table_of(load_model(tmp_path / "m")), table_of(trained))
    model, records = train(inputs, tmp_path / "m")
    assert len(records) == 1
    np.testing.assert_array_equal(table_of(model), table_of(trained))
    assert 'model_checkpoint_path: "ckpt-1"' in state.read_text()


def test_a_run_without_a_checkpoint_begins_anew_with_other_settings(inputs, tmp_path):
    log = SessionLog.from_file(inputs / "day-2.tsv")
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,)))
    ModelFolder(tmp_path / "m").begin(model, TrainingConfig(), log)
    _, records = train(inputs, tmp_path / "m")
    assert len(records) == 1
    assert load_model(tmp_path / "m").config.layers == (3,)


@pytest.mark.slow
def test_a_half_begun_day_starts_again(inputs, tmp_path, caplog):
    """Its log was replaced after its training had begun, and its folder is damaged besides."""
    COMMANDS["day loop"].run(inputs, tmp_path / "whole")
    day = tmp_path / "work" / "days" / "day-1"
    train(inputs, day, day=3, learning_rate=0.7)
    (day / "config.json").write_text("")
    COMMANDS["day loop"].run(inputs, tmp_path)
    assert "day-1 starts again" in caplog.text
    found, expected = (COMMANDS["day loop"].state(path) for path in (tmp_path, tmp_path / "whole"))
    assert found["ledger"] == expected["ledger"] == [("day-1", 1), ("day-2", 2)]
    for table, whole in zip(found["tables"], expected["tables"], strict=True):
        np.testing.assert_allclose(table, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("keep_days", "kept"), [(0, "1234"), (1, "124"), (2, "1234")])
def test_days_are_kept_as_long_as_asked_and_while_they_serve(tmp_path, keep_days, kept):
    """Day 2 serves, for the days after it were held back; day 4 is the newest, and day 1 the first."""
    days = DailyConfig(tmp_path, tmp_path / "work", tmp_path / "exports", keep_days=keep_days)
    config = day_loop.DayLoopConfig(GRU4RecConfig(), TrainingConfig(), None, days)
    loop = day_loop.DayLoop(publisher=None, config=config)
    for number, version in enumerate([1, 2, None, None], 1):
        make_folder(tmp_path / "work" / "days" / str(number) / "checkpoints")
        loop.ledger.append({"day": str(number), "version": version})
    loop.run()
    days = sorted((tmp_path / "work" / "days").iterdir())
    assert "".join(day.name for day in days) == kept
    assert [day.name for day in days if (day / "checkpoints").exists()] == ["1", "2", "4"]


def test_what_dead_processes_left_is_removed(tmp_path):
    (tmp_path / f".config.json.{DIGITS}.tmp").write_text("half")
    left = tmp_path / f".{DIGITS}.tmp"
    (left / "variables").mkdir(parents=True)
    others = [f".other.json.{DIGITS}.tmp", ".config.json.swp", "config.json.tmp", f".config.json.{DIGITS}"]
    for name in others:
        (tmp_path / name).touch()
    write_text(tmp_path / "config.json", "whole")
    assert left.exists()
    with temporary_path(tmp_path):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "config.json"])


def test_what_a_living_process_writes_stays(tmp_path, run_fresh):
    code = (
        "import sys\n"
        "from tfrs_gru4rec.atomic_files import replacing\n"
        "with replacing(sys.argv[1] if len(sys.argv) > 1 else 'config.json') as path:\n"
        "    path.write_text('second')\n"
    )
    with temporary_path(tmp_path, "config.json") as path:
        path.write_text("first")
        assert run_fresh(code).returncode == 0
        assert path.read_text() == "first"
    assert (tmp_path / "config.json").read_text() == "second"
    assert not path.exists()


def test_a_file_system_without_locks_loses_nothing(tmp_path, monkeypatch):
    left = tmp_path / f".config.json.{DIGITS}.tmp"
    left.write_text("perhaps of a living process")

    def refuse(*_):
        raise OSError("No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write_text(tmp_path / "config.json", "whole")
    assert (tmp_path / "config.json").read_text() == "whole"
    assert left.exists()


def damaged(path, content=b"{"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_message_names_the_remedy(inputs, tmp_path):
    train(inputs, tmp_path / "m")
    log = SessionLog.from_file(inputs / "day-2.tsv")
    damaged(tmp_path / "m" / "last_seen.parquet")
    with pytest.raises(ValueError, match=r"last_seen.parquet is damaged.*or remove it"):
        WarmStart(tmp_path / "m", log)
    (tmp_path / "m" / "vocabulary.parquet").unlink()
    with pytest.raises(ValueError, match=r"vocabulary.parquet is missing or damaged.*train the model again"):
        load_model(tmp_path / "m")
    damaged(tmp_path / "m" / "config.json")
    with pytest.raises(ValueError, match=r"config.json is damaged.*train the model again"):
        load_model(tmp_path / "m")
    with pytest.raises(ValueError, match=r"no readable ledger.*another --work_dir"):
        Ledger(damaged(tmp_path / "ledger.json"))
    with pytest.raises(ValueError, match=r"version.json is damaged.*Remove it"):
        publish_once(None, None, damaged(tmp_path / "version.json", json.dumps([]).encode()), {})
    index = tmp_path / "n" / "checkpoints" / "ckpt-1.index"
    train(inputs, tmp_path / "n")
    index.write_bytes(b"")
    with pytest.raises(ValueError, match=r"None of the checkpoints can be read.*remove the model's folder"):
        train(inputs, tmp_path / "n")


def test_last_seen_is_read_back(inputs, tmp_path):
    train(inputs, tmp_path / "m")
    folder = ModelFolder(tmp_path / "m")
    frame = pd.DataFrame({"id": ["a"], "last_seen": [7.0]})
    frame.to_parquet(folder.path / "last_seen.parquet")
    start = WarmStart(folder.path, SessionLog.from_file(inputs / "day-2.tsv"))
    assert np.isfinite(start.last_seen).any()
