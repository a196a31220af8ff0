"""Keras 2 must be the one in use, whatever was imported first, or the user is told what to do."""

import pytest

USE = """
from tfrs_gru4rec._keras import keras, tfrs
import tensorflow as tf
assert tf.keras.layers.Layer is keras.layers.Layer
assert issubclass(tfrs.Model, keras.Model)
print("Keras", keras.__version__)
"""


@pytest.mark.slow
def test_keras_2_is_bound_without_any_setting_if_tensorflow_comes_first(run_fresh):
    ended = run_fresh("import tensorflow" + USE, TF_USE_LEGACY_KERAS=None)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Keras 2.")


@pytest.mark.slow
def test_keras_3_in_use_already_and_a_setting_that_asks_for_it_are_explained(run_fresh):
    ended = run_fresh(
        "import importlib, os\n"
        "import tensorflow as tf\n"
        "tf.keras.layers  # of Keras 3 from now on\n"
        "for value in (None, '0'):\n"
        "    if value:\n"
        "        os.environ['TF_USE_LEGACY_KERAS'] = value\n"
        "    try:\n"
        "        importlib.import_module('tfrs_gru4rec._keras')\n"
        "    except ImportError as error:\n"
        "        print(error)\n",
        TF_USE_LEGACY_KERAS=None,
    )
    used_before, forbidden = ended.stdout.splitlines()
    assert used_before.startswith("tfrs_gru4rec needs Keras 2")
    assert "it was used before tfrs_gru4rec was imported. Import tfrs_gru4rec first" in used_before
    assert forbidden.startswith("tfrs_gru4rec needs Keras 2")
    assert "Set TF_USE_LEGACY_KERAS=1, or leave it unset. Received: TF_USE_LEGACY_KERAS='0'." in forbidden


def test_keras_2_is_bound_if_we_come_first_and_objects_of_keras_3_are_named(run_fresh):
    ended = run_fresh(
        f"import tfrs_gru4rec, tensorflow as tf; tf.keras.layers\n{USE}\n"
        "import keras\n"
        "import tfrs_gru4rec as g4r\n"
        "import tfrs_gru4rec._keras as ours\n"
        "log = g4r.Vocabulary.from_items([1, 2])\n"
        "model = g4r.GRU4Rec(log, g4r.GRU4RecConfig(layers=(2,)))\n"
        "def attempt(call, *values, **named):\n"
        "    try:\n"
        "        call(*values, **named)\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
        "attempt(model.compile, keras.optimizers.Adam())\n"
        "attempt(model.compile, metrics=[keras.metrics.Mean()])\n"
        "attempt(model.fit, None, callbacks=[ours.keras.callbacks.History(), keras.callbacks.EarlyStopping()])\n",
        TF_USE_LEGACY_KERAS=None,
    )
    bound, *lines = ended.stdout.splitlines()
    assert bound.startswith("Keras 2.")
    assert len(lines) == 3, ended.stderr
    for line, call, name in zip(
        lines, ("compile", "compile", "fit"), ("Adam", "Mean", "EarlyStopping"), strict=True
    ):
        assert line.startswith(
            f"{call} takes objects of Keras 2: use {name} of tf_keras (import tf_keras as keras)"
        )
        assert line.endswith("of Keras 3.")
