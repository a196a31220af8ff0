"""Training processes killed at random points end with the very bits of an uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import tensorflow as tf  # isort: skip

KILLS = int(os.environ.get("GRU4REC_KILLS", "1"))


@pytest.fixture(scope="module")
def log_path(tmp_path_factory):
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 8, 2000)
    frame = pd.DataFrame({"SessionId": np.repeat(np.arange(2000), lengths)})
    frame["ItemId"] = rng.integers(0, 50, len(frame))
    frame["Time"] = np.arange(len(frame))
    path = tmp_path_factory.mktemp("log") / "train.tsv"
    frame.to_csv(path, sep="\t", index=False)
    return path


def command(log_path, folder):
    settings = {
        "train_path": log_path,
        "model_dir": folder,
        "layers": 8,
        "n_sample": 16,
        "batch_size": 4,
        "n_epochs": 3,
        "dropout_p_hidden": 0.2,
        "momentum": 0.1,
        "train_random_order": True,
        "deterministic": True,
        "checkpoint_steps": 128,
        "progress": False,
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "tfrs_gru4rec.cli.train", *flags]


def start(log_path, folder):
    return subprocess.Popen(
        command(log_path, folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def checkpoint_index(folder):
    found = tf.train.latest_checkpoint(folder / "checkpoints")
    return int(found.rsplit("-", 1)[1]) if found else 0


def wait_for_checkpoint(process, folder, number, seconds=180):
    until = time.monotonic() + seconds
    while checkpoint_index(folder) < number and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def final_state(folder):
    """All that a checkpoint holds, but for what tells the time or counts savings."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if "save_counter" not in name]
    names = [name for name in names if "_records" not in name and "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names}


def losses(folder):
    return pd.read_csv(folder / "logs" / "epochs.csv")["loss"].tolist()


@pytest.mark.slow
def test_killed_again_and_again(log_path, tmp_path):
    process = start(log_path, tmp_path / "whole")
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    chance = random.Random(1)
    for number in range(KILLS):
        process = start(log_path, tmp_path / "killed")
        # Somewhere within the life of the process, after it has made some progress most of the time.
        wait_for_checkpoint(
            process, tmp_path / "killed", checkpoint_index(tmp_path / "killed") + chance.randint(0, 2)
        )
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
        process.communicate(timeout=120)
    process = start(log_path, tmp_path / "killed")
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    expected, found = final_state(tmp_path / "whole"), final_state(tmp_path / "killed")
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_saves_first(log_path, tmp_path, number, code):
    folder = tmp_path / "m"
    process = start(log_path, folder)
    wait_for_checkpoint(process, folder, 1)
    before = checkpoint_index(folder)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code, output
    # A signal that comes while a checkpoint is being written needs no other one; test_fit.py has a stop between two.
    assert checkpoint_index(folder) >= before
    assert "the same command goes on from here" in output
