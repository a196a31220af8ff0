"""The type of item ids belongs to the export folder: no day's log and no model changes it under its clients."""

import json

import numpy as np
import pytest
from cli_support import run, write_ring
from serving_support.servers import serving, until

from tfrs_gru4rec.cli import daily, export, train
from tfrs_gru4rec.export.publishing import versions
from tfrs_gru4rec.export.serving.client import SessionClient
from tfrs_gru4rec.training import load_model

SETTINGS = {"layers": 4, "batch_size": 4, "n_epochs": 1, "n_sample": 4}
EXPORT = {"max_sessions": 128, "top_k": 5}

pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture(scope="module")
def of_integers(uncompiled, tmp_path_factory):
    """A model of integer ids."""
    folder = tmp_path_factory.mktemp("integers")
    log = write_ring(folder / "log.csv", range(10, 20))
    assert run(train, train_path=log, model_dir=folder / "model", progress=False, **SETTINGS) == 0
    return folder / "model"


@pytest.mark.slow
def test_no_click_fails_when_a_day_has_another_type(tmp_path):
    (tmp_path / "logs").mkdir()
    days = [list(range(10, 20)) for _ in range(4)]
    days[1][3] = "A12"
    for day, items in enumerate(days):
        write_ring(tmp_path / "logs" / f"{day}.csv", items, day)
    arguments = {name: tmp_path / name for name in ("work_dir", "export_dir")}
    arguments |= {"days_dir": tmp_path / "logs", "margin": 1.0, **EXPORT}
    late = [path.rename(tmp_path / path.name) for path in sorted((tmp_path / "logs").iterdir())[2:]]
    assert run(daily, **arguments, **SETTINGS) == 0
    clicks = 0
    with (
        serving(tmp_path / "export_dir", poll_seconds=0.05) as server,
        SessionClient(server.address) as client,
    ):
        for path in late:
            path.rename(tmp_path / "logs" / path.name)
            assert run(daily, **arguments, **SETTINGS) == 0
            newest = versions(tmp_path / "export_dir")[-1]
            until(lambda newest=newest: client.click("probe", 10).item_ids and served(server) == newest)
            for item in range(10, 20):
                answer = client.click("visitor", item)
                clicks += 1
                assert answer.session_length == clicks
                assert all(isinstance(each, int) for each in answer.item_ids)
    entries = json.loads((tmp_path / "work_dir" / "ledger.json").read_text())["days"]
    assert [entry["version"] for entry in entries] == [1, None, 2]
    assert "value='A12'" in entries[1]["held_back"]
    assert "file=" in entries[1]["held_back"]
    assert "line=" in entries[1]["held_back"]


def served(server):
    from serving_support.calls import Caller

    caller = Caller(server.address)
    try:
        return caller.version()
    finally:
        caller.channel.close()


def test_a_warm_start_refuses_another_type_before_training(of_integers, tmp_path):
    log = write_ring(tmp_path / "log.csv", [*range(10, 15), "A12"], 1)
    line = 1 + next(row for row, text in enumerate(log.read_text().splitlines()) if "A12" in text)
    arguments = {"train_path": log, "model_dir": tmp_path / "new", "warm_start_from": of_integers}
    with pytest.raises(ValueError, match=rf"log.csv', .*line={line}, value='A12'"):
        run(train, **arguments)
    with pytest.raises(ValueError, match="item_type=integer"):
        run(train, **arguments, item_type="string")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_an_export_into_a_folder_of_another_type_is_refused(of_integers, tmp_path, capsys):
    target = {"export_dir": tmp_path / "shop", **EXPORT}
    assert run(export, model_dir=of_integers, **target) == 0
    # All of these look like integers, and the flag decides.
    log = write_ring(tmp_path / "log.csv", range(10, 20))
    model = {"model_dir": tmp_path / "model"}
    assert run(train, train_path=log, item_type="string", progress=False, **model, **SETTINGS) == 0
    assert sorted(load_model(tmp_path / "model").vocabulary.ids) == [str(item) for item in range(10, 20)]
    with pytest.raises(ValueError, match="one type.*item_id='1.', served='integer', new='string'"):
        run(export, **model, **target)
    with pytest.raises(ValueError, match="one type"):
        run(daily, days_dir=tmp_path, work_dir=tmp_path / "work", item_type="string", **target)
    with pytest.raises(ValueError, match="served=5, new=4"):
        run(export, model_dir=of_integers, **{**target, "top_k": 4})
    assert versions(tmp_path / "shop") == [1]

    with serving(tmp_path / "shop") as server, SessionClient(server.address) as client:
        for call in (client.recommend, lambda ids: client.click("a", ids[0])):
            with pytest.raises(ValueError, match="type int64. Received: item_ids?='A12'"):
                call(["A12"])
        for bad in ("A12", 1.5, None, True, 1 << 63):
            with pytest.raises(ValueError, match="all integers or all strings"):
                client.recommend([10, bad])
        assert client.click("a", np.int64(10)).session_length == 1
