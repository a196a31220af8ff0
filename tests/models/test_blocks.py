"""Blocks of steps: however many steps a block has, and whoever updates the weights, training is the same."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec._keras import keras  # isort: skip

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel

N_STEPS = 28


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    sessions = np.repeat(np.arange(30), rng.integers(2, 6, 30))
    items = rng.integers(0, 12, len(sessions))
    frame = pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": np.arange(len(items))})
    found = SessionLog.from_frame(frame)
    assert int(session_parallel(found, 3, block_steps=1).cardinality()) == N_STEPS
    return found


class ByKeras(AdagradMomentum):
    """Has an update of its own, so that Keras updates the weights outside XLA."""

    def update_step(self, gradient, variable):
        super().update_step(gradient, variable)


def make_model(log, optimizer=AdagradMomentum, run_eagerly=False, **settings):
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(**{"layers": (5,), "n_sample": 4, **settings}))
    model.compile(optimizer(0.1, momentum=0.3), run_eagerly=run_eagerly)
    return model


def weights(model):
    return [variable.numpy() for variable in [*model.trainable_variables, *model.optimizer.variables]]


def assert_trained_alike(model, expected):
    assert int(model.train_steps) == int(expected.train_steps)
    for found, value in zip(weights(model), weights(expected), strict=True):
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=2e-6)


@pytest.fixture(scope="module")
def two_epochs(log):
    """Single steps, updated by Keras."""
    model = make_model(log, ByKeras)
    assert not model.jit_compile
    history = model.fit(session_parallel(log, 3, block_steps=1), epochs=2, verbose=0).history
    assert int(model.train_steps) == 2 * N_STEPS
    return model, history["loss"]


@pytest.fixture(scope="module")
def compiled(log):
    """A model whose blocks of three lanes are compiled once for all tests."""
    model = make_model(log)
    assert model.jit_compile
    return model


@pytest.fixture
def model(compiled, anew):
    """That model, as it was before any step."""
    return anew(compiled)


@pytest.mark.parametrize(
    ("block_steps", "is_repeated"),
    [*(pytest.param(size, False, marks=pytest.mark.slow) for size in (1, 8)), (8, True), (128, False)],
)
def test_blocks_of_every_size_train_alike(log, model, two_epochs, block_steps, is_repeated):
    expected, losses = two_epochs
    data = session_parallel(log, 3, block_steps=block_steps)
    n_blocks = int(data.cardinality())
    more = {"x": data.repeat(), "steps_per_epoch": n_blocks} if is_repeated else {"x": data}
    history = model.fit(**more, epochs=2, verbose=0).history
    assert_trained_alike(model, expected)
    assert history["loss"] == pytest.approx(losses, rel=1e-5)


def test_a_second_fit_goes_on(log, model, two_epochs):
    for _ in range(2):
        model.fit(session_parallel(log, 3, block_steps=8), epochs=1, verbose=0)
    assert_trained_alike(model, two_epochs[0])


def test_a_fit_may_begin_within_an_epoch(log, model, two_epochs):
    seen = []
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 1)
    )
    note = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    model.fit(session_parallel(log, 3, block_steps=8), verbose=0, callbacks=[stop])
    rest = session_parallel(log, 3, block_steps=8, first_step=16)
    model.fit(
        rest.concatenate(session_parallel(log, 3, block_steps=8)),
        steps_per_epoch=4,
        epochs=2,
        initial_step=2,
        verbose=0,
        callbacks=[note],
    )
    assert seen == [2, 3, 0, 1, 2, 3]
    assert_trained_alike(model, two_epochs[0])


def test_eager_training_takes_the_same_steps(log, two_epochs):
    model = make_model(log, run_eagerly=True)
    model.fit(session_parallel(log, 3), epochs=2, verbose=0)
    assert_trained_alike(model, two_epochs[0])


def test_validation_may_have_other_lanes_and_leaves_training_alone(log, model, two_epochs):
    data = session_parallel(log, 3, block_steps=8)
    valid = session_parallel(log, 5, block_steps=8)
    history = model.fit(data, epochs=2, verbose=0, validation_data=valid).history
    assert history["val_loss"][1] < history["val_loss"][0]
    assert_trained_alike(model, two_epochs[0])


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"layers": (4, 6)}, marks=pytest.mark.slow),
        pytest.param({"n_sample": 0}, marks=pytest.mark.slow),
        {"layers": (4, 6), "constrained_embedding": False, "l2": 0.01},
        pytest.param({"l2": 0.01}, marks=pytest.mark.slow),
        pytest.param({"n_hard_negatives": 2}, marks=pytest.mark.slow),
        {
            "dropout_p_embed": 0.3,
            "dropout_p_hidden": 0.2,
            "remove_accidental_hits": True,
            "l2": 0.01,
            "layers": (4, 6),
        },
    ],
    ids=str,
)
def test_updates_in_place_equal_those_of_keras(log, settings):
    models = [make_model(log, optimizer, **settings) for optimizer in (AdagradMomentum, ByKeras)]
    for model in models:
        model.fit(session_parallel(log, 3), epochs=1, verbose=0)
    assert_trained_alike(*models)


def test_single_steps_are_refused(log):
    steps = session_parallel(log, 3).unbatch()
    with pytest.raises(ValueError, match="fit takes blocks of steps, as session_parallel gives them"):
        make_model(log).fit(steps, verbose=0)
    block = next(iter(session_parallel(log, 3)))
    with pytest.raises(ValueError, match=r"takes one step, block.at\(number\).*shape=\(128, 3\)"):
        make_model(log).compute_loss(block)
