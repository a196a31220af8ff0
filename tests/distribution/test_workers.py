"""Workers wait for each other, refuse one that differs, and go on together after a kill."""

import json
import os
import random
import re
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from distribution_support.two_workers import free_ports, outputs, started

from tfrs_gru4rec.distribution.workers import strategy_of_environment

WORKER = Path(__file__).parent.parent / "distribution_support" / "worker.py"
KILLS = int(os.environ.get("GRU4REC_WORKER_KILLS", "2"))


@pytest.mark.slow
def test_two_workers_are_bit_equal_and_one_that_differs_is_refused(tmp_path):
    # Of folders of their own it shows who writes: the chief alone.
    commands = [[WORKER, tmp_path / str(number), number] for number in (0, 1)]
    with started(*commands) as workers:
        said = outputs(workers)
        assert [worker.returncode for worker in workers] == [0, 0], said
    chief, other = (json.loads(text.splitlines()[-1]) for text in said)
    assert (chief["chief"], other["chief"]) == (True, False)
    for found in (chief, other):
        of_rate, of_log = found["refused"]
        assert re.search(r"'worker 1': {'training': .*1\.1", of_rate)
        assert "'worker 1': {'data': " in of_log
    assert chief["recall"] == other["recall"]
    assert len(chief["recall"]) == 2
    assert chief["checksums"] == other["checksums"]
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ("{", ValueError, "TF_CONFIG must be JSON"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "ps", "index": 0}}', ValueError, "ps 0"),
    ],
)
def test_a_bad_tf_config_is_named(monkeypatch, config, error, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(error, match=message):
        strategy_of_environment()


def test_a_worker_that_never_comes_up_is_named(monkeypatch):
    ports = free_ports(3)
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with (
        socket.create_server(("", ports[1])),
        pytest.raises(TimeoutError, match=f"from worker 2 at localhost:{ports[2]}: start all"),
    ):
        strategy_of_environment(start_seconds=0.3)


def test_one_worker_needs_no_strategy(monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'
    )
    assert strategy_of_environment() is tf.distribute.get_strategy()


@pytest.fixture
def log_path(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"SessionId": np.repeat(np.arange(1200), 5), "ItemId": rng.integers(0, 50, 6000)})
    frame["Time"] = np.arange(len(frame))
    frame.to_csv(tmp_path / "train.tsv", sep="\t", index=False)
    return tmp_path / "train.tsv"


def command(log_path, folder):
    epochs = 2 + KILLS // 2  # an epoch is thirteen checkpoints: the run is not over before the last kill
    flags = f"--layers=8 --n_sample=16 --batch_size=4 --n_epochs={epochs} --exchange_steps=32 --checkpoint_steps=96 \
        --novalid_auto --norefit --early_stop_epochs=0 --fusion=none --train_path={log_path} --model_dir={folder}"
    return ["-m", "tfrs_gru4rec.cli.train", *flags.split()]


def last_checkpoint(folder):
    found = tf.train.latest_checkpoint(folder / "checkpoints")
    return int(found.rsplit("-", 1)[1]) if found else 0


def final_state(folder):
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if "_records" not in name and "/" in name]
    return {name: reader.get_tensor(name) for name in names}


@pytest.mark.slow
def test_killed_workers_go_on_together(log_path, tmp_path):
    chance = random.Random(1)

    def run(folder, kills=0):
        with started(*[command(log_path, folder)] * 2) as workers:
            wanted, until = last_checkpoint(folder) + 1, time.monotonic() + 120
            while kills and last_checkpoint(folder) < wanted and time.monotonic() < until:
                assert [worker.poll() for worker in workers] == [None, None]
                time.sleep(0.02)
            if kills:
                time.sleep(chance.random() * 0.3)
                workers[kills % 2].send_signal(signal.SIGKILL)
            return outputs(workers), [worker.returncode for worker in workers]

    assert run(tmp_path / "whole")[1] == [0, 0]
    for kill in range(1, KILLS + 1):
        said, codes = run(tmp_path / "killed", kill)
        assert (codes[kill % 2], codes[1 - kill % 2]) == (-signal.SIGKILL, 1), said
        assert "gru4rec-train: Another worker has ended" in said[1 - kill % 2]
        assert "Traceback" not in said[1 - kill % 2]
        assert ["Going on after" in text for text in said] == [kill > 1] * 2
    assert run(tmp_path / "killed")[1] == [0, 0]
    expected, found = final_state(tmp_path / "whole"), final_state(tmp_path / "killed")
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
