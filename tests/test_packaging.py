"""What a user installs: one package, complete, with its commands."""

import configparser
import importlib
import inspect
import shutil
import subprocess
import sys
import zipfile

import pytest

import tfrs_gru4rec

FOLDERS = {
    "tfrs_gru4rec": "tfrs_gru4rec",
    "datasets": "tfrs_gru4rec/datasets",
    "export": "tfrs_gru4rec/export",
}
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", ".*")
COMMANDS = ("train", "tune", "daily", "evaluate", "export", "serve", "recommend", "prepare", "inspect")


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    """A wheel built from a copy, since a build leaves files behind that a later one would pick up."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(repository / name, folder)
    for name in FOLDERS:
        shutil.copytree(repository / name, folder / name, ignore=LEFT_BEHIND)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    built = subprocess.run([*command, "--wheel-dir", "dist", "."], cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "Warning" not in built.stdout + built.stderr, "pages of it would greet whoever installs"
    (path,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_installs_one_package(wheel):
    info = f"tfrs_gru4rec-{tfrs_gru4rec.__version__}.dist-info"
    assert sorted(path.name for path in wheel.iterdir()) == ["tfrs_gru4rec", info]
    assert "Apache License" in next((wheel / info).rglob("LICENSE")).read_text()


def test_the_wheel_holds_every_file_of_the_three_folders(wheel, repository):
    expected = set()
    for folder, target in FOLDERS.items():
        for path in (repository / folder).rglob("*"):
            inside = path.relative_to(repository / folder)
            if path.is_file() and not LEFT_BEHIND(path.parent, inside.parts):
                expected.add(f"{target}/{inside}")
    held = {str(path.relative_to(wheel)) for path in (wheel / "tfrs_gru4rec").rglob("*") if path.is_file()}
    assert {
        "tfrs_gru4rec/py.typed",
        "tfrs_gru4rec/datasets/__init__.py",
        "tfrs_gru4rec/export/__init__.py",
    } < held
    assert sorted(expected - held) == []
    assert sorted(held - expected) == []


def test_the_wheel_works_without_the_checkout(wheel, run_fresh):
    code = (
        "import importlib, tfrs_gru4rec\n"
        "names = ('checks', 'datasets', 'export')\n"
        "modules = [importlib.import_module(f'tfrs_gru4rec.{name}') for name in names]\n"
        "print(*(module.__file__ for module in (tfrs_gru4rec, *modules)), sep='\\n')"
    )
    ended = run_fresh(code, PYTHONPATH=str(wheel))
    files = ["__init__.py", "checks.py", "datasets/__init__.py", "export/__init__.py"]
    assert ended.stdout.splitlines() == [str(wheel / "tfrs_gru4rec" / name) for name in files], ended.stderr


def test_the_wheel_states_its_commands(wheel):
    parser = configparser.ConfigParser()
    parser.read(next(wheel.glob("*.dist-info")) / "entry_points.txt")
    assert dict(parser["console_scripts"]) == {
        f"gru4rec-{command}": f"tfrs_gru4rec.cli.{command}:run" for command in COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_function(command):
    run = importlib.import_module(f"tfrs_gru4rec.cli.{command}").run
    required = [each for each in inspect.signature(run).parameters.values() if each.default is each.empty]
    assert required == [], "a console script is called without arguments"
