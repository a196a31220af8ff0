"""Each command, stopped at every write: what is left is the state before or after, and the same command goes on.

`Disk` notes what a kill or a power cut would leave before every write of one run. From these states, each once, the
command runs again; the long version takes twenty of each command (GRU4REC_CRASHES=1000: all), and kills real processes
by their system calls besides.
"""

import os
import random
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from fault_support.commands import COMMANDS, old_model
from fault_support.disk import Disk, write_tree

STRACE = shutil.which("strace")
STATES = int(os.environ.get("GRU4REC_CRASHES", "20"))  # of each command that the long version goes on from
KILLED_AT = [
    (name, call) for name in ("train", "day loop", "export") for call in ("rename", "fsync", "unlink")
]


pytestmark = pytest.mark.usefixtures("small_runs")


def assert_same(found, expected):
    """Compares what a command made; sums of floats may come out of threads in another order."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    elif isinstance(expected, list) and expected and isinstance(expected[0], np.ndarray):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


def spread(states, most):
    """Picks states all along the run, the first and last among them."""
    places = np.unique(np.linspace(0, len(states) - 1, min(most, len(states))).round().astype(int))
    return [states[place] for place in places]


def crash_everywhere(name, inputs, folder, most):
    command = COMMANDS[name]
    command.before(inputs, folder / "whole")
    (folder / "whole").mkdir(exist_ok=True)
    disk = Disk(folder / "whole")
    with disk.followed():
        command.run(inputs, folder / "whole")
    disk.close()
    expected = command.state(folder / "whole")
    tried = spread(disk.states, most)
    for state in [*spread(disk.states, 5 * most), *tried]:
        write_tree(state, folder / "crashed")
        command.check(folder / "crashed")
        if any(state is each for each in tried):
            command.run(inputs, folder / "crashed")
            assert_same(command.state(folder / "crashed"), expected)
        shutil.rmtree(folder / "crashed")
    counted = f"{disk.writes} writes, {len(disk.states)} states of the disk, {len(tried)} gone on from."
    print(f"\n{name}: {counted}")  # noqa: T201
    assert disk.writes > 5
    assert len(disk.states) > 5


@pytest.mark.parametrize("name", ["prepare", "publish"])
def test_a_crash_leaves_the_state_before_or_after(name, inputs, tmp_path):
    crash_everywhere(name, inputs, tmp_path, COMMANDS[name].tries)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_every_write(name, inputs, tmp_path):
    crash_everywhere(name, inputs, tmp_path, STATES)


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize(("name", "call"), KILLED_AT)
def test_a_process_killed_at_a_system_call(name, call, inputs, repository, tmp_path):
    """Covers what TensorFlow writes by itself, which Python does not see."""
    command, folder = COMMANDS[name], name.replace(" ", "-")
    chance = random.Random(f"{name} {call}")
    old_model(inputs)  # before, or a kill may leave it half made
    kills = 0
    for _ in range(3):
        inject = f"inject={call}:signal=KILL:when={chance.randint(1, 12)}"
        ended = subprocess.run(
            [STRACE, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
            + [sys.executable, "-m", "fault_support.commands", name, inputs, tmp_path],
            cwd=repository / "tests",
            capture_output=True,
            timeout=300,
        )
        kills += ended.returncode == -signal.SIGKILL
        if (tmp_path / folder).exists():
            command.check(tmp_path / folder)
    command.run(inputs, tmp_path / folder)
    command.run(inputs, tmp_path / "whole")
    assert_same(command.state(tmp_path / folder), command.state(tmp_path / "whole"))
    print(f"\n{name}: {kills} of 3 processes killed at {call}.")  # noqa: T201
