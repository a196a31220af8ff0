"""Runs the `>>>` examples of every docstring, and asks every public name for one."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest
from source_tree import PACKAGES, source_files

# Spaces and line breaks are the reader's; `...` stands for what is not worth showing.
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

SOURCES = {name: path.read_text(encoding="utf-8") for name, path in source_files().items()}
PROMPTS = {name: len(re.findall(r"^ *>>> ", source, re.MULTILINE)) for name, source in SOURCES.items()}
ROOMS = [name for name, source in SOURCES.items() if re.search("^__all__ = ", source, re.MULTILINE)]


def examples(module: str) -> list[doctest.DocTest]:
    """Returns the docstrings of a module that hold examples, as doctest finds them."""
    found = doctest.DocTestFinder().find(importlib.import_module(module), module)
    return [test for test in found if test.examples]


def public_callables(room: str) -> dict[str, str]:
    """Returns the classes and functions in a room's `__all__`, each with its full name where it is defined."""
    module = importlib.import_module(room)
    values = {name: getattr(module, name) for name in module.__all__}
    return {
        name: f"{value.__module__}.{value.__qualname__}"
        for name, value in values.items()
        if inspect.isclass(value) or inspect.isroutine(value)
    }


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """The full names of all that has an example which is run."""
    return [test.name for module, prompts in PROMPTS.items() if prompts for test in examples(module)]


def test_the_installed_package_is_what_is_read_here():
    installed = set(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        installed |= {found.name for found in pkgutil.walk_packages(path, f"{package}.")}
    assert installed == set(SOURCES)


@pytest.mark.parametrize("module", [name for name, prompts in PROMPTS.items() if prompts])
def test_the_examples_are_true(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write a file
    found = examples(module)
    # An example that doctest does not see, such as one of a wrapped function, would never be run.
    assert sum(len(test.examples) for test in found) == PROMPTS[module]
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    for test in found:
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_an_example(room, shown):
    missing = {
        name
        for name, full_name in public_callables(room).items()
        if not any(f"{place}.".startswith(f"{full_name}.") for place in shown)
    }
    assert missing == set()


def test_a_wrong_example_is_seen():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lambda text: None)
    assert result.failed == 1


def test_the_rooms_are_found():
    assert {"tfrs_gru4rec", "tfrs_gru4rec.losses", "tfrs_gru4rec.sampling"} <= set(ROOMS)
    assert public_callables("tfrs_gru4rec.losses")["bpr"] == "tfrs_gru4rec.losses.bpr.bpr"
