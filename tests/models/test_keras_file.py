"""The model in files of Keras: the whole in one `.keras` file, weights alone in either format, refusals."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel

ARRANGEMENTS = {
    "shared": {},
    "two layers, reset after": {"layers": (3, 4), "reset_after": True},
    "separate": {"constrained_embedding": False, "embedding": 5},
    "one-hot": {"constrained_embedding": False},
}


def make_log(of_text=False):
    rng = np.random.default_rng(0)
    events = np.arange(40)
    items = rng.integers(0, 9, 40)
    items = [f"item-{item}" for item in items] if of_text else items
    return SessionLog.from_frame(pd.DataFrame({"SessionId": events // 4, "ItemId": items, "Time": events}))


def make_model(log, optimizer=None, jit_compile=False, **settings):
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(**{"layers": (4,), "n_sample": 2, **settings}))
    model.compile(optimizer or AdagradMomentum(0.1, momentum=0.3), jit_compile=jit_compile)
    return model


def train(model, log):
    model.run_eagerly = True  # tracing would take most of the time
    model.fit(session_parallel(log, 3, block_steps=16), verbose=0)


def assert_equal(found, expected):
    for one, other in zip(found.trainable_variables, expected.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)
    assert int(found.train_steps) == int(expected.train_steps) > 0


@pytest.mark.parametrize(
    "arrangement",
    [each if each == "shared" else pytest.param(each, marks=pytest.mark.slow) for each in ARRANGEMENTS],
)
def test_a_saved_model_is_loaded_and_trains_on(tmp_path, arrangement):
    log = make_log(of_text=arrangement == "shared")
    model = make_model(log, **ARRANGEMENTS[arrangement])
    train(model, log)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is GRU4Rec
    assert loaded.config == model.config
    assert loaded.vocabulary.ids.tolist() == log.vocabulary.ids.tolist()
    assert loaded.vocabulary.ids.dtype == log.vocabulary.ids.dtype
    np.testing.assert_array_equal(loaded.vocabulary.counts, log.vocabulary.counts)
    assert_equal(loaded, model)
    for one, other in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=other.name)
    # The same weights in the same order, so that those of one can be set in the other.
    assert [weight.name for weight in loaded.weights] == [weight.name for weight in model.weights]
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    loaded.set_weights(model.get_weights())
    for one in (model, loaded):  # every session starts anew in the next epoch
        train(one, log)
    assert_equal(loaded, model)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_file_says_how_the_model_was_compiled(tmp_path, jit_compile):
    log = make_log()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 20, 0.5)
    make_model(log, keras.optimizers.Adam(schedule), jit_compile).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)
    assert loaded.optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == 20
    assert loaded.wants_jit_compile == jit_compile
    assert keras.models.load_model(tmp_path / "model.keras", compile=False).optimizer is None


def test_a_model_that_was_never_compiled_is_saved_too(tmp_path):
    model = GRU4Rec(make_log().vocabulary, GRU4RecConfig(layers=(4,)))
    model.train_steps.assign(3)
    model.save(tmp_path / "model.keras")
    assert_equal(keras.models.load_model(tmp_path / "model.keras"), model)


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5", "model"])
def test_weights_alone_in_every_format(tmp_path, name):
    log = make_log()
    model, other = make_model(log), make_model(log, seed=5)
    train(model, log)
    model.save_weights(tmp_path / name)
    other.load_weights(tmp_path / name)
    assert_equal(other, model)


@pytest.mark.parametrize("name", ["folder", "model.h5", "model.hdf5"])
def test_other_formats_are_refused_with_the_call_that_works(tmp_path, name):
    model = make_model(make_log())
    with pytest.raises(ValueError, match=r"Call model.save\('model.keras'\); for serving export_saved_model"):
        model.save(tmp_path / name)
    with pytest.raises(ValueError, match="save_format='tf'"):
        model.save(tmp_path / "model.keras", save_format="tf")
    assert list(tmp_path.iterdir()) == []


def test_a_sampler_of_ones_own_is_not_lost_in_silence(tmp_path):
    class First:
        def sample(self, n_sample, seed):
            return tf.zeros([n_sample], tf.int32)

    model = GRU4Rec(make_log().vocabulary, GRU4RecConfig(layers=(4,)), First())
    with pytest.raises(ValueError, match="A sampler of your own cannot be saved.*sampler='First'"):
        model.save(tmp_path / "model.keras")


def test_the_summary_counts_every_weight(capsys):
    model = make_model(make_log(), layers=(5, 4), constrained_embedding=False, embedding=7)
    model.summary()
    shown = capsys.readouterr().out
    n_items = model.vocabulary.n_items
    items = n_items * 4 + n_items + n_items * 7
    tower = 3 * (7 * 5 + 5 * 5 + 5) + 3 * (5 * 4 + 4 * 4 + 4)
    for name, count in {"item_embedding": items, "gru_tower": tower, "session_retrieval": 0}.items():
        line = next(line for line in shown.splitlines() if line.strip().startswith(name))
        assert line.split()[-1] == str(count)
    assert "unused" not in shown
    assert f"Trainable params: {items + tower} " in shown
