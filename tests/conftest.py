"""What all tests share: quiet logs, fresh processes, and logs that may or may not be on this machine."""

import ctypes
import gc
import logging
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow

ROOT = Path(__file__).parent.parent
OUR_FOLDERS = tuple(f"{ROOT / folder}/" for folder in ("tfrs_gru4rec", "datasets", "export"))
REAL_DATA = Path(os.environ.get("GRU4REC_DATA", ROOT.parent / "shared" / "data"))

# Few examples of a property by default, many in `make test-long`; in continuous integration the same in every
# run. No deadline for one example: other work may share the machine.
hypothesis.settings.register_profile(
    "short", deadline=None, max_examples=30, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.register_profile("long", hypothesis.settings.get_profile("short"), max_examples=250)
hypothesis.settings.load_profile("short")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the folders with the longest files first, so that no worker is left with one while others have none."""
    items.sort(key=lambda item: item.path.parent.name not in ("tuning", "training", "upkeep", "models"))


class DeprecationIsAnError(logging.Handler):
    """Raises where one of our files calls what TensorFlow deprecates: TensorFlow logs this and does not warn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raises DeprecationWarning if the nearest file outside TensorFlow on the stack is one of ours."""
        if " is deprecated" not in record.getMessage():
            return
        files = (frame.f_code.co_filename for frame, _ in traceback.walk_stack(None))
        caller = next(
            (file for file in files if not re.search(r"/(tensorflow|logging|conftest\.py)", file)), ""
        )
        if caller.startswith(OUR_FOLDERS):
            raise DeprecationWarning(record.getMessage())


@pytest.fixture(scope="session", autouse=True)
def graphs_as_traced() -> None:
    """Spares `make test` what Grappler takes to rewrite each small graph; `make test-long` has it done, as users do."""
    if os.environ.get("GRU4REC_GRAPPLER") == "off":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(scope="session", autouse=True)
def no_deprecated_call_of_ours() -> Iterator[None]:
    """Makes deprecations that TensorFlow logs errors, as `filterwarnings` does with those that Python warns of."""
    logger, handler = logging.getLogger("tensorflow"), DeprecationIsAnError()
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def imports_are_no_garbage() -> None:
    """Spares each collection of garbage the look at what TensorFlow has made of itself, ten times as much as a test."""
    import tensorflow  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def memory_given_back(imports_are_no_garbage: None) -> Iterator[None]:
    """After each file, frees models held by cycles, and memory that glibc would keep: a third of a worker's."""
    yield
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # another C library has none
    if trim:
        trim(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds setup.py."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Finds `name` in the folder of real logs; skips the test where it is absent."""

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in {REAL_DATA}; set GRU4REC_DATA to the folder that holds it.")
        return path

    return find


@pytest.fixture
def run_fresh(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python code in a new process, in an empty folder, and returns what it said and how it ended.

    Keyword arguments are environment variables; None removes one.
    """

    def run(code: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables}
        return subprocess.run(
            [sys.executable, "-c", code],
            env={name: value for name, value in environment.items() if value is not None},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
