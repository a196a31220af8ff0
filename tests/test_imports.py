"""Who may know whom: reads the imports of every source file and fails on one that points upward.

A module belongs to the room with the longest name that it starts with, and may import its own room and
what is listed beside it. Imports under a condition or inside a function, and
`importlib.import_module("...")`, count as any other.
"""

import ast
from collections.abc import Iterator

import pytest
from source_tree import source_files

FLOOR = ("checks", "settings", "config", "atomic_files", "folder_lock", "random_words", "_keras")
BELOW_EVENTS = ("checks", "atomic_files")
NEIGHBOURS = ("losses", "sampling", "layers", "metrics", "optimizers", "pipelines")
BELOW_TASKS = (*FLOOR, "events", *NEIGHBOURS)
BELOW_MODELS = (*BELOW_TASKS, "tasks", "distribution")
BELOW_EVALUATION = (*BELOW_MODELS, "models", "neighbours")
BELOW_TRAINING = (*BELOW_EVALUATION, "evaluation")
BELOW_UPKEEP = (*BELOW_TRAINING, "training")  # and below tuning, its neighbour
CONTRACT = ("export.signatures", "export.stock_operations", "export.version_folders")

MAY_KNOW = {
    "checks": (),
    "random_words": (),
    "atomic_files": (),
    "folder_lock": ("atomic_files",),
    "_keras": (),
    "presets": (),
    "settings": ("checks",),
    "config": ("checks", "settings"),
    "events": BELOW_EVENTS,
    **dict.fromkeys(NEIGHBOURS, (*FLOOR, "events")),
    "tasks": BELOW_TASKS,
    "distribution": (*FLOOR, "optimizers", "pipelines"),
    "models": BELOW_MODELS,
    "neighbours": BELOW_MODELS,
    "evaluation": BELOW_EVALUATION,
    "training": BELOW_TRAINING,
    "upkeep": BELOW_UPKEEP,
    "tuning": (*BELOW_UPKEEP, "presets"),
    "cli": (*BELOW_UPKEEP, "presets", "upkeep", "tuning", "datasets", "export"),
    "datasets": (*BELOW_EVENTS, "settings", "events"),
    # An export is checked by the loader that serves it.
    "export": (
        *FLOOR,
        "events.raw_ids",
        "pipelines.vocabulary",
        "layers",
        "models",
        "neighbours",
        *CONTRACT,
        "export.serving.config",
        "export.serving.servable",
    ),
    # What a server loads: the contract and a folder on disk, so neither the model nor TFRS.
    **dict.fromkeys(CONTRACT, ("checks", "atomic_files")),
    "export.serving": ("checks", "settings", *CONTRACT),
}
ONLY_KERAS_BINDING_IMPORTS = ("keras", "tf_keras", "tensorflow_recommenders", "tensorflow.keras")


def room_of(module: str) -> str | None:
    """Returns the room of one of our modules, None for the package itself, which every file may know."""
    inside = module.removeprefix("tfrs_gru4rec").removeprefix(".")
    if not inside:
        return None
    rooms = [room for room in MAY_KNOW if f"{inside}.".startswith(f"{room}.")]
    return max(rooms, key=len) if rooms else inside


def imported_names(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Yields all that a file imports, in full: `from a import b` gives a.b, whether b is a module or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = module.split(".")
                kept = parents[: len(parents) - node.level + is_package]
                origin = ".".join([*kept, *filter(None, [origin])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_module(node.func):
            yield from _leading_text(node.args[0])
        elif isinstance(node, ast.Attribute) and node.attr == "keras" and _is_tensorflow(node.value):
            yield "tensorflow.keras"


def _is_import_module(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _leading_text(argument: ast.expr) -> Iterator[str]:
    """Yields the constant text that a module's name starts with."""
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
    if isinstance(first, ast.Constant):
        yield str(first.value).rstrip(".")


def _is_tensorflow(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("tf", "tensorflow")


def may_know(room: str, name: str) -> bool:
    """Returns whether a room's modules may import one of our names; a listed room brings those inside it."""
    inside = name.removeprefix("tfrs_gru4rec").removeprefix(".")
    return room_of(name) in (room, None) or any(
        f"{inside}.".startswith(f"{allowed}.") for allowed in MAY_KNOW[room]
    )


def faults(module: str, source: str, is_package: bool = False) -> list[str]:
    """Returns one line for each import of a file that the rules forbid."""
    room = room_of(module)
    if room is None:
        return []  # the package itself names everything, lazily; another test sees that it loads nothing
    if room not in MAY_KNOW:
        return [f"{module}: {room} is no room of the house"]
    found = []
    for name in imported_names(ast.parse(source), module, is_package):
        if name.split(".")[0] == "tfrs_gru4rec":
            if not may_know(room, name):
                found.append(f"{module}: {room} must not know {name}")
        elif module != "tfrs_gru4rec._keras" and any(
            f"{name}.".startswith(f"{foreign}.") for foreign in ONLY_KERAS_BINDING_IMPORTS
        ):
            found.append(f"{module}: {name} comes through tfrs_gru4rec._keras")
    return found


def is_pure(module: str) -> bool:
    """Returns whether a module promises to be plain NumPy, pandas and pyarrow."""
    if room_of(module) in ("events", "datasets"):
        return not module.endswith("_builder")  # a builder is TFDS's
    return module.split(".")[-1] in ("checks", "config", "atomic_files", "vocabulary", "session_log")


@pytest.mark.parametrize("module", source_files())
def test_no_import_points_upward(module):
    path = source_files()[module]
    assert faults(module, path.read_text(), path.name == "__init__.py") == []


@pytest.mark.parametrize("module", [module for module in source_files() if is_pure(module)])
def test_pure_modules_import_no_tensorflow(module):
    """Imports inside a function are allowed here: they are for the caller who wants TensorFlow's part."""
    tree = ast.parse(source_files()[module].read_text())
    top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    names = imported_names(top, module, is_package=False)
    assert [name for name in names if name.split(".")[0].startswith("tensorflow")] == []


@pytest.mark.parametrize("module", [module for module in source_files() if ".cli" not in module])
def test_only_the_command_lines_print(module):
    tree = ast.parse(source_files()[module].read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if getattr(call.func, "id", "") == "print"] == []


def test_a_server_loads_no_recommenders(run_fresh):
    modules = [name for name in source_files() if room_of(name) in ("export.serving", *CONTRACT)]
    code = "import importlib, sys\n" + "".join(f"importlib.import_module({module!r})\n" for module in modules)
    ended = run_fresh(code + "print(*sys.modules)")
    loaded = set(ended.stdout.split())
    assert {"grpc", "tensorflow", "tfrs_gru4rec.export.serving.server"} <= loaded, ended.stderr
    assert "tensorflow_recommenders" not in loaded
    assert {name.split(".")[1] for name in loaded if name.startswith("tfrs_gru4rec.")} == {
        "atomic_files",
        "checks",
        "export",
        "settings",
    }


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tfrs_gru4rec.losses.bpr", "from tfrs_gru4rec.sampling import alias"),
        ("tfrs_gru4rec.losses.bpr", "from tfrs_gru4rec import models"),
        ("tfrs_gru4rec.losses.bpr", "import tfrs_gru4rec.tasks.session_retrieval"),
        ("tfrs_gru4rec.losses.bpr", "from ..layers import GRUTower"),
        ("tfrs_gru4rec.losses.bpr", "def later():\n    from tfrs_gru4rec.training import fit"),
        ("tfrs_gru4rec.checks", "from tfrs_gru4rec import config"),
        ("tfrs_gru4rec.tasks.task", "from tfrs_gru4rec import GRU4Rec"),
        ("tfrs_gru4rec.models.gru4rec", "import importlib\nimportlib.import_module('tfrs_gru4rec.training')"),
        ("tfrs_gru4rec.training.fit", "from tfrs_gru4rec.cli import train"),
        (
            "tfrs_gru4rec.training.fit",
            "from importlib import import_module\nimport_module(f'tfrs_gru4rec.cli.{x}')",
        ),
        ("tfrs_gru4rec.datasets.published", "from tfrs_gru4rec.pipelines import SessionLog"),
        ("tfrs_gru4rec.events.order", "from tfrs_gru4rec import config"),
        ("tfrs_gru4rec.events.order", "from tfrs_gru4rec.datasets import source"),
        ("tfrs_gru4rec.export.signatures", "from tfrs_gru4rec._keras import keras"),
        ("tfrs_gru4rec.export.serving.server", "from tfrs_gru4rec.export import saved_model"),
        ("tfrs_gru4rec.export.saved_model", "from tfrs_gru4rec.export.serving import server"),
        ("tfrs_gru4rec.layers.tower", "import tensorflow_recommenders as tfrs"),
        ("tfrs_gru4rec.layers.tower", "from tf_keras import layers"),
        ("tfrs_gru4rec.layers.tower", "from tensorflow.keras import layers"),
        ("tfrs_gru4rec.layers.tower", "from tensorflow import keras"),
        ("tfrs_gru4rec.layers.tower", "import tensorflow as tf\ntf.keras.layers.Dense(1)"),
        ("tfrs_gru4rec.export.saved_model", "from tfrs_gru4rec.pipelines import session_log"),
        ("tfrs_gru4rec.helpers", "import os"),
    ],
)
def test_the_reader_sees_what_is_forbidden(module, source):
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "tfrs_gru4rec.losses.bpr",
            "from tfrs_gru4rec.losses import candidates\nfrom tfrs_gru4rec import checks",
        ),
        ("tfrs_gru4rec.losses.bpr", "from . import candidates\nfrom ..checks import require"),
        ("tfrs_gru4rec.models.gru4rec", "from tfrs_gru4rec._keras import keras, tfrs"),
        ("tfrs_gru4rec.cli.export", "from tfrs_gru4rec.export.saved_model import write\nimport tfrs_gru4rec"),
        ("tfrs_gru4rec.cli.serve", "from tfrs_gru4rec.export.serving import server"),
        ("tfrs_gru4rec.export.saved_model", "from tfrs_gru4rec.export import signatures"),
        ("tfrs_gru4rec.export.saved_model", "from tfrs_gru4rec.pipelines.vocabulary import Vocabulary"),
        (
            "tfrs_gru4rec.export.serving.server",
            "from tfrs_gru4rec.export.signatures import STEP\nimport grpc",
        ),
        (
            "tfrs_gru4rec.export.verification",
            "from tfrs_gru4rec.export.serving.servable import Servable",
        ),
        ("tfrs_gru4rec.layers.tower", "import tensorflow as tf\ntf.keras_like.anything"),
    ],
)
def test_the_reader_lets_pass_what_is_allowed(module, source):
    assert faults(module, source) == []
