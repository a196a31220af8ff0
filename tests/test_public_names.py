"""The lazy names of the package itself."""

import ast

import pytest

import tfrs_gru4rec

NAMES = {
    *("SessionLog", "Vocabulary", "session_parallel"),
    *("GRU4Rec", "GRU4RecConfig", "AdagradMomentum", "evaluate", "export_saved_model"),
    *("GRULayer", "ModelFolder", "SessionBatch", "TrainingConfig", "fit", "load_model", "recommend"),
    *("export_weights", "import_weights", "SearchSpace", "tune"),
    *("losses", "sampling", "metrics"),
}


def test_importing_the_package_loads_no_tensorflow_and_no_numpy(run_fresh):
    ended = run_fresh(
        "import sys, tfrs_gru4rec\n"
        "dir(tfrs_gru4rec), tfrs_gru4rec.__version__\n"
        "print([name for name in ('tensorflow', 'tf_keras', 'numpy', 'pandas') if name in sys.modules])"
    )
    assert ended.stdout.strip() == "[]", ended.stderr


def test_the_public_names_are_listed():
    assert set(tfrs_gru4rec.__all__) == NAMES
    assert set(dir(tfrs_gru4rec)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_loads(name):
    value = getattr(tfrs_gru4rec, name)
    assert value.__name__.split(".")[-1] == name
    assert getattr(tfrs_gru4rec, name) is value


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tfrs_gru4rec' has no attribute 'Gru4Rec'"):
        _ = tfrs_gru4rec.Gru4Rec


def test_type_checkers_are_told_the_same_names_and_places(repository):
    tree = ast.parse((repository / "tfrs_gru4rec" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {(alias.asname, node.module) for node in block.body for alias in node.names}
    rooms = {(name, "tfrs_gru4rec") for name in tfrs_gru4rec._ROOMS}
    assert told == rooms | set(tfrs_gru4rec._HOMES.items())
