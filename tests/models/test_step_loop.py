"""Steps in blocks: every way to hand them over trains on the same steps."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.step_loop import in_blocks, is_block
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch, session_parallel

N_STEPS = 28


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    sessions = np.repeat(np.arange(30), rng.integers(2, 6, 30))
    items = rng.integers(0, 12, len(sessions))
    frame = pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": np.arange(len(items))})
    found = SessionLog.from_frame(frame)
    assert int(session_parallel(found, 3).cardinality()) == N_STEPS
    return found


class PerStep(GRU4Rec):
    """Has a step of its own, so that Keras loops over the steps, and its own logs."""

    def train_step(self, inputs):
        return {**super().train_step(inputs), "lanes": tf.shape(inputs.is_live)[0]}


def make_model(log, kind=GRU4Rec, steps=8, run_eagerly=False, **settings):
    model = kind(log.vocabulary, GRU4RecConfig(**{"layers": (5,), "n_sample": 4, **settings}))
    optimizer = AdagradMomentum(0.1, momentum=0.3)
    model.compile(optimizer, steps_per_execution=steps, run_eagerly=run_eagerly)
    return model


def weights(model):
    return [variable.numpy() for variable in [*model.trainable_variables, *model.optimizer.variables]]


def assert_trained_alike(model, expected):
    assert int(model.train_steps) == int(expected.train_steps)
    for found, value in zip(weights(model), weights(expected), strict=True):
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=2e-6)


@pytest.fixture(scope="module")
def two_epochs(log):
    """Keras' own loop over single steps, with any optimizer's way to update."""
    model = make_model(log, PerStep)
    assert model.block_steps is None
    history = model.fit(session_parallel(log, 3), epochs=2, verbose=0).history
    assert int(model.train_steps) == 2 * N_STEPS
    assert history["lanes"] == [3, 3]
    return model, history["loss"]


def repeated(log):
    return {"x": session_parallel(log, 3).repeat(), "steps_per_epoch": N_STEPS}


def blocks(log):
    return {"x": session_parallel(log, 3, block_steps=4).repeat(), "steps_per_epoch": N_STEPS}


def exact(log):
    return {"x": session_parallel(log, 3), "steps_per_epoch": N_STEPS}


def plain(log):
    return {"x": session_parallel(log, 3)}


@pytest.mark.parametrize(
    ("data", "steps"), [(plain, 1), (plain, 8), (plain, 128), (exact, 13), (repeated, 13), (blocks, 8)]
)
def test_every_way_trains_on_the_same_steps(log, two_epochs, data, steps):
    expected, losses = two_epochs
    model = make_model(log, steps=steps)
    assert model.block_steps == steps
    history = model.fit(**data(log), epochs=2, verbose=0).history
    assert_trained_alike(model, expected)
    assert history["loss"] == pytest.approx(losses, rel=1e-5)


def test_a_second_fit_goes_on(log, two_epochs):
    model = make_model(log)
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch + 1 == N_STEPS)
    )
    for _ in range(2):
        # Stopped in its last, smaller call, which leaves Keras' number of steps a call at 2.
        model.fit(session_parallel(log, 3), epochs=1, verbose=0, callbacks=[stop])
    assert_trained_alike(model, two_epochs[0])


def test_eager_training_takes_the_same_steps(log, two_epochs):
    model = make_model(log, steps=1, run_eagerly=True)
    model.fit(session_parallel(log, 3), epochs=2, verbose=0)
    assert_trained_alike(model, two_epochs[0])


def test_validation_data_are_single_steps(log):
    model = make_model(log)
    data = session_parallel(log, 3)
    history = model.fit(data, epochs=1, verbose=0, validation_data=data).history
    assert history["val_loss"][0] < history["loss"][0]


@pytest.mark.parametrize(
    "settings",
    [{"layers": (4, 6)}, {"n_sample": 0}, {"layers": (4, 6), "constrained_embedding": False}, {"l2": 0.01}],
    ids=str,
)
def test_the_whole_program_equals_keras_way(log, settings):
    models = [make_model(log, kind, **settings) for kind in (GRU4Rec, PerStep)]
    for model in models:
        model.fit(session_parallel(log, 3), epochs=1, verbose=0)
    assert_trained_alike(*models)


def test_blocks_end_where_an_epoch_ends(log):
    found, steps = in_blocks(session_parallel(log, 3).repeat(), 8, 21)
    sizes = [len(block.is_live) for block in found.take(6)]
    assert is_block(found.element_spec)
    assert (sizes, steps) == ([8, 8, 5, 8, 8, 5], 21)
    rows = np.concatenate([block.input_rows for block in found.take(3)])
    np.testing.assert_array_equal(rows, [step.input_rows for step in session_parallel(log, 3).take(21)])


def test_unusable_blocks_are_refused(log):
    model = make_model(log)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(session_parallel(log, 3, block_steps=8), verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="end of a graph call"):
        model.fit(session_parallel(log, 3, block_steps=9), steps_per_epoch=N_STEPS, verbose=0)


@pytest.mark.parametrize("settings", [{}, {"constrained_embedding": False}], ids=["shared", "one-hot"])
def test_no_table_is_copied_in_the_program(settings):
    # A copy would make the cost of a step grow with the catalogue.
    n_items = 4007
    frame = pd.DataFrame(
        {"SessionId": np.arange(3 * n_items) // 3, "ItemId": np.arange(3 * n_items) % n_items}
    )
    log = SessionLog.from_frame(frame.assign(Time=np.arange(len(frame))))
    model = make_model(log, n_sample=40, **settings)
    model.lanes.build(3)
    block = next(iter(session_parallel(log, 3, block_steps=8)))

    @tf.function(jit_compile=True)
    def train(block, n_steps):
        for step in tf.range(n_steps):
            model._fused_train_step(SessionBatch(*[field[step] for field in block]))

    program = train.experimental_get_compiler_ir(block, tf.constant(8))(stage="optimized_hlo")
    of_tables = [line for line in program.splitlines() if f"[{n_items}" in line]
    assert any("scatter" in line for line in of_tables)
    assert not [line for line in of_tables if " copy(" in line]
