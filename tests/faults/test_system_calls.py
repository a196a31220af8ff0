"""No name is moved into place before its content, nor left without its folder's list: read from the system calls."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fault_support.commands import write_logs

STRACE = shutil.which("strace")
CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)\) += 0\b")
TEMPORARY = re.compile(r"/\.[^/]*\.tmp/")


def faults(lines, folder):
    """Returns a line for each rename below a folder, into a place that lasts, that a power cut could undo half.

    The moved file, or every file of a moved folder that is there at the end, must be synced before, and the folder that
    it comes to afterwards, before a name is moved anywhere else.
    """
    synced, waiting, found = set(), None, []
    for line in lines:
        match = CALL.match(line)
        if not match:
            continue
        name, arguments = match["name"], match["arguments"]
        if name in ("fsync", "fdatasync"):
            path = re.search(r"<(.*)>", arguments)[1]
            synced.add(path)
            waiting = None if path == waiting else waiting
            continue
        old, new = re.findall(r'"([^"]*)"', arguments)
        if not new.startswith(f"{folder}/") or TEMPORARY.search(new) or new.endswith(".tmp"):
            continue
        parent = os.path.dirname(new)
        if waiting not in (None, parent):
            found.append(f"{waiting} was not synced before a move to {new}")
        waiting = parent
        inside = [path for path in Path(new).rglob("*") if path.is_file()] if Path(new).is_dir() else []
        for path in [old, *(old + str(path).removeprefix(new) for path in inside)]:
            if path not in synced:
                found.append(f"{path} was not synced before it became {new}")
    return [*found, f"{waiting} was not synced at the end"] if waiting else found


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_every_rename_is_synced(repository, tmp_path):
    write_logs(tmp_path / "inputs")
    trace = tmp_path / "trace"
    names = ["train", "day loop", "prepare", "publish", "export"]
    ended = subprocess.run(
        [STRACE, "-f", "-y", "-qq", "--seccomp-bpf", "-s", "4096", "-o", trace]
        + [
            "-e",
            "trace=rename,renameat,renameat2,fsync,fdatasync",
            sys.executable,
            "-m",
            "fault_support.commands",
        ]
        + [*names, tmp_path / "inputs", tmp_path / "out"],
        cwd=repository / "tests",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    lines = trace.read_text().splitlines()
    assert faults(lines, tmp_path / "out") == []
    moved = [line for line in lines if "rename" in line and str(tmp_path / "out") in line]
    for name in (
        "checkpoints/ckpt-1.index",
        "/checkpoint",
        "vocabulary.parquet",
        "last_seen.parquet",
        "config.json",
    ):
        assert any(f'{name}"' in line for line in moved), name
    for name in ("ledger.json", "version.json", "statistics.json", "train.tsv", "versions/1"):
        assert any(f'{name}"' in line for line in moved), name


FILE, FOLDER = "1 fsync(3</w/.a.tmp>) = 0", "1 fsync(3</w>) = 0"
MOVE, OTHER = '1 rename("/w/.a.tmp", "/w/a") = 0', '1 rename("/w/.a.tmp", "/w/b/a") = 0'


@pytest.mark.parametrize(
    ("lines", "n_faults"),
    [
        ([FILE, MOVE, FOLDER], 0),
        ([MOVE, FOLDER], 1),
        ([MOVE, FILE, FOLDER], 1),
        ([FILE, MOVE], 1),
        ([FILE, FOLDER, MOVE], 1),
        ([FILE, MOVE, OTHER, "1 fsync(3</w/b>) = 0"], 1),
    ],
)
def test_the_reader_sees_a_missing_sync(lines, n_faults):
    assert len(faults(lines, Path("/w"))) == n_faults
