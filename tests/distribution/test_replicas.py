"""Two replicas equal one process, stay equal, and add what they changed by themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MIRRORED = Path(__file__).parent.parent / "distribution_support" / "mirrored.py"


def found_by(*names):
    ended = subprocess.run(
        [sys.executable, str(MIRRORED), *names], capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def check_step(found):
    assert found["deviation"] < 1e-5
    assert found["replicas"] == 0
    assert found["losses"][0] == pytest.approx(found["losses"][1], abs=1e-5)
    assert found["steps"] == [50, 50]


def check_block(found):
    assert found["apart"] > 1e-3  # alone they would have gone apart
    assert found["deviation"] < 1e-5
    assert found["replicas"] == 0


@pytest.mark.slow
def test_at_every_step_and_in_blocks():
    found = found_by("step:shared", "block:shared")
    check_step(found["step:shared"])
    check_block(found["block:shared"])


@pytest.mark.slow
def test_in_every_embedding_mode():
    found = found_by("step:separate", "step:one-hot", "block:separate")
    for name, figures in found.items():
        check_step(figures) if name.startswith("step") else check_block(figures)


@pytest.mark.slow
def test_a_run_moves_between_one_process_and_many():
    found = found_by("moves")["moves"]
    assert found["losses"] == sorted(found["losses"], reverse=True)
    assert len(found["losses"]) == 3
    assert max(found["loaded"]) == 0
