"""What is installed is what was locked, and every licence is stated."""

import importlib.metadata
import json
import re
import subprocess
import sys

import pytest

from tfrs_gru4rec.cli import serve


def key(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def locked(repository):
    """The versions of each package in requirements.lock, and the number of hashes of each version."""
    versions = {}
    for block in re.split(r"\n(?=\w)", (repository / "requirements.lock").read_text()):
        pinned = re.match(r"([\w.-]+)==([\w.]+)", block)
        if pinned:
            versions.setdefault(key(pinned[1]), {})[pinned[2]] = len(
                re.findall("--hash=sha256:[0-9a-f]{64}", block)
            )
    return versions


def test_the_lock_is_that_of_the_constraints_and_has_a_hash_for_each(repository, locked):
    lines = (repository / "constraints.txt").read_text().splitlines()
    pinned = [re.match(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if not line.startswith("#")]
    assert {(key(name), version) for name, version in pinned} == {
        (name, version) for name, versions in locked.items() for version in versions
    }, "constraints.txt and requirements.lock differ: make lock"
    assert all(n_hashes for versions in locked.values() for n_hashes in versions.values())


def test_every_dependency_is_locked(locked):
    extras = {"archives", "dev", "plots", "serving", "tune"}
    to_see, seen = ["tfrs_gru4rec"], set()
    while to_see:
        name = to_see.pop()
        seen.add(key(name))
        for line in importlib.metadata.requires(name) or []:
            needed, _, marker = line.partition(";")
            extra = re.search(r"extra == .(\w[\w-]*)", marker)
            other = key(re.match(r"[\w.-]+", needed)[0])
            is_ours = name == "tfrs_gru4rec" and extra and extra[1] in extras
            if other not in seen and (not extra or is_ours) and _is_installed(other):
                to_see.append(other)
    assert seen - locked.keys() == {"tfrs-gru4rec"}


def test_the_image_installs_the_lock_and_its_health_check_finds_the_server(repository, tmp_path):
    text = (repository / "Dockerfile").read_text()
    assert text.count("--require-hashes") == text.count("pip install") - 1  # the package itself has none
    build_tools = re.search(r"sed -n '(.*?)' requirements.lock", text)[1]
    assert build_tools == re.search(r"sed -n '(.*?)' requirements.lock", makefile(repository))[1]
    _, *flags = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])
    flags = [flag.replace("=/exports", f"={tmp_path}") for flag in flags]
    server = serve.COMMAND.parse(["serve", *flags])["server"]
    assert (server.port, server.rest_port) == (8500, 8501)
    assert f"EXPOSE {server.port} {server.rest_port}\n" in text
    assert f"http://127.0.0.1:{server.rest_port}/healthz" in text


def makefile(repository):
    """The Makefile as the shell sees its lines."""
    return (repository / "Makefile").read_text().replace("$$", "$")


def _is_installed(name):
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False  # its marker does not hold here
    return True


def test_every_licence_is_stated_and_lgpl_comes_with_archives_alone(repository):
    listed = subprocess.run(
        [sys.executable, repository / ".ci" / "licences.py"], capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stderr
    reciprocal = {line.split()[0] for line in listed.stdout.splitlines() if "GPL" in line}
    assert reciprocal <= {"py7zr", "inflate64", "multivolumefile", "pybcj", "pyppmd"}


def test_builds_use_the_locked_setuptools(repository, locked):
    needed = re.search(
        r'^requires = \["setuptools==(.*?)"\]', (repository / "pyproject.toml").read_text(), re.M
    )
    assert set(locked["setuptools"]) == {needed[1]}
