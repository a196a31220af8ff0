"""Training runs: folder, records, going on after a stop, divergence, refusals."""

import json
import math
import os
import re
import resource
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
from training_support import Stop, Uncompiled

from tfrs_gru4rec._keras import keras  # isort: skip
from tfrs_gru4rec.config import CheckpointConfig, GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.training import ModelFolder, fit, load_model
from tfrs_gru4rec.training.callbacks import DivergedError, LogProgress
from tfrs_gru4rec.training.fit import make_optimizer
from tfrs_gru4rec.training.stop_request import Stopped

import tensorflow as tf  # isort: skip


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 8, 30)
    sessions = np.repeat(np.arange(30), lengths)
    items = rng.integers(0, 20, len(sessions))
    return SessionLog.from_frame(
        pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": np.arange(len(items))})
    )


def train(
    log,
    folder,
    n_epochs=2,
    callbacks=(),
    checkpoints=None,
    seed=1,
    validation_log=None,
    allow_changed=(),
    block_steps=2,
    **settings,
):
    """Trains; by default with so few steps in a block that a run can be stopped within an epoch."""
    model = Uncompiled(
        log.vocabulary, GRU4RecConfig(layers=(5,), n_sample=6, dropout_p_hidden=0.2, seed=seed)
    )
    settings = {"learning_rate": 0.1, "momentum": 0.2, **settings}
    config = TrainingConfig(batch_size=4, n_epochs=n_epochs, **settings)
    folder = ModelFolder(folder)
    checkpoints = CheckpointConfig(**checkpoints or {})
    more = {"validation_log": validation_log, "allow_changed": allow_changed, "block_steps": block_steps}
    records = fit(model, log, config, folder, callbacks, checkpoints, **more)
    return model, records


def weights(model):
    return {
        variable.name: variable.numpy()
        for variable in [*model.trainable_variables, *model.optimizer.variables]
    }


@pytest.fixture(scope="module", params=["by time"])
def order(request):
    """Settings of the order of sessions."""
    return {"train_random_order": request.param == "random order"}


@pytest.fixture(scope="module")
def whole(log, order, tmp_path_factory):
    """The model, not to be changed, the records and the folder of three epochs without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    return *train(log, folder, n_epochs=3, **order), folder


@pytest.fixture(scope="module")
def measured(log, tmp_path_factory):
    """A log to measure the epochs on, and the records of three epochs that are."""
    part = log.first_sessions(75)
    assert 65 < part.n_events <= 75
    return part, train(log, tmp_path_factory.mktemp("measured"), n_epochs=3, validation_log=part)[1]


@pytest.fixture(scope="module")
def one_epoch(log, tmp_path_factory):
    """The folder of a run of one epoch, not to be changed."""
    folder = tmp_path_factory.mktemp("one epoch") / "m"
    train(log, folder, n_epochs=1)
    return folder


@pytest.fixture
def begun(one_epoch, tmp_path):
    """A copy of it, to go on from."""
    return shutil.copytree(one_epoch, tmp_path / "m")


def assert_ends_like(model, records, whole):
    expected, expected_records, _ = whole
    for name, value in weights(expected).items():
        np.testing.assert_allclose(weights(model)[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    assert [r["loss"] for r in records] == pytest.approx([r["loss"] for r in expected_records], rel=1e-5)
    assert int(model.train_steps) == sum(record["steps"] for record in expected_records)


def test_every_epoch_is_trained_and_recorded(log, tmp_path):
    seen = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    model, records = train(log, tmp_path / "m", n_epochs=3, callbacks=[count])
    assert seen == [0, 1, 2]
    assert len(records) == 3
    assert all(record["steps"] * 3 == int(model.train_steps) for record in records)
    assert set(records[0]) >= {"loss", "seconds", "steps_per_second", "events_per_second"}
    assert records[2]["loss"] < records[0]["loss"]


def test_trained_model_is_loaded_from_its_folder(whole):
    model, _, folder = whole
    loaded = load_model(folder)
    np.testing.assert_array_equal(loaded.vocabulary.ids, model.vocabulary.ids)
    assert loaded.config == model.config
    rows = tf.constant([[1, 2, 3]])
    np.testing.assert_array_equal(loaded.predict(rows, verbose=0), model.predict(rows, verbose=0))


@pytest.mark.parametrize(
    ("order", "stop_after"),
    [
        ("by time", 31),
        *[
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [("by time", 3), ("by time", 17), *(("random order", step) for step in (3, 17, 31))]
        ],
    ],
    indirect=["order"],
)
def test_stopped_run_ends_like_an_uninterrupted_one(log, tmp_path, whole, stop_after, order):
    often = {"checkpoints": {"checkpoint_steps": 2}}
    with pytest.raises(KeyboardInterrupt):
        train(log, tmp_path / "m", n_epochs=3, callbacks=[Stop(stop_after)], **often, **order)
    resumed = train(log, tmp_path / "m", n_epochs=3, callbacks=[Stop(10_000)], **often, **order)
    assert_ends_like(*resumed, whole)


def test_checkpoints_by_the_clock_and_how_many_are_kept(log, tmp_path):
    often = {"checkpoint_minutes": 1e-9, "keep_checkpoints": 3}
    with pytest.raises(KeyboardInterrupt):
        train(log, tmp_path / "m", callbacks=[Stop(5)], checkpoints=often)
    assert len(list((tmp_path / "m" / "checkpoints").glob("*.index"))) == 3
    seen = []
    note = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    train(log, tmp_path / "m", n_epochs=1, callbacks=[Stop(10_000), note])
    assert seen[0] == 5  # five blocks were saved


def test_each_epoch_is_measured_on_a_validation_log(measured, whole):
    part, records = measured
    expected = evaluate(whole[0], part)
    assert records[-1]["val_recall_at_20"] == pytest.approx(expected.recall(20))
    assert records[-1]["val_mrr_at_20"] == pytest.approx(expected.mrr(20))
    assert len({record["val_mrr_at_20"] for record in records}) == 3


@pytest.mark.parametrize(
    "stop_after", [None, *(pytest.param(step, marks=pytest.mark.slow) for step in (25, 45))]
)
def test_callbacks_remember_across_a_stop(log, tmp_path, stop_after):
    # The loss falls in every epoch, so one that is to rise fails after the first: epochs 2, 3 and 4 use up the
    # patience, and of ten epochs four are trained.
    def patience():
        return keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=3)

    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            train(log, tmp_path / "m", n_epochs=10, callbacks=[patience(), Stop(stop_after)])
    _, records = train(log, tmp_path / "m", n_epochs=10, callbacks=[patience(), Stop(10_000)])
    losses = [record["loss"] for record in records]
    assert losses == sorted(losses, reverse=True)
    assert len(records) == 4
    # The run is over, whoever asks again; more epochs than were asked for then are trained.
    model, again = train(log, tmp_path / "m", n_epochs=10, callbacks=[patience(), Stop(10_000)])
    assert again == records
    assert int(model.train_steps) == 4 * records[0]["steps"]
    if not stop_after:
        _, more = train(log, tmp_path / "m", n_epochs=11, callbacks=[Stop(10_000)])
        assert len(more) == 11


def test_callback_remembers_a_stop_within_an_epoch(log, tmp_path, whole):
    class Count(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def on_train_batch_end(self, batch, logs=None):
            self.calls += 1

    often = {"checkpoints": {"checkpoint_steps": 2}}
    first, again, last = Count(), Count(), Count()
    with pytest.raises(KeyboardInterrupt):
        train(log, tmp_path / "m", n_epochs=2, callbacks=[first, Stop(5)], **often)
    with pytest.raises(KeyboardInterrupt):
        train(log, tmp_path / "m", n_epochs=2, callbacks=[again, Stop(6)], **often)
    assert (first.calls, again.calls) == (5, 11)
    train(log, tmp_path / "m", n_epochs=2, callbacks=[last, Stop(10_000)], **often)
    assert last.calls == 2 * math.ceil(whole[1][0]["steps"] / 2)  # two epochs, in blocks of two steps


def test_best_weights_are_not_mistaken_after_a_stop(log, tmp_path, caplog):
    def best():
        return keras.callbacks.EarlyStopping(monitor="loss", patience=9, restore_best_weights=True)

    train(log, tmp_path / "m", n_epochs=1, callbacks=[best()])
    resumed = best()
    train(log, tmp_path / "m", n_epochs=2, callbacks=[resumed])
    assert "has lost the best weights" in caplog.text
    assert resumed.best_epoch == 1


def test_unusable_validation_log_is_refused_before_any_training(log, tmp_path):
    other = SessionLog.from_frame(pd.DataFrame({"SessionId": [1, 1], "ItemId": [5, 6], "Time": [1, 2]}))
    with pytest.raises(ValueError, match="read with the model's vocabulary"):
        train(log, tmp_path / "m", validation_log=other)
    lone = SessionLog(log.items[:1], log.offsets[:2] * 0 + [0, 1], log.times[:1], log.vocabulary)
    with pytest.raises(ValueError, match="session of two events"):
        train(log, tmp_path / "m", validation_log=lone)
    assert not (tmp_path / "m" / "checkpoints").exists()


def test_stop_at_the_end_of_an_epoch_saves_at_once_and_measures_later(log, tmp_path, measured, monkeypatch):
    part, expected_records = measured
    ask = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: os.kill(os.getpid(), signal.SIGTERM)
    )
    with monkeypatch.context() as patch:
        patch.setattr("tfrs_gru4rec.training.callbacks.measure", None)  # a call would fail
        with pytest.raises(Stopped):
            train(log, tmp_path / "m", callbacks=[ask], validation_log=part, block_steps=1000)
    _, records = train(log, tmp_path / "m", n_epochs=2, callbacks=[], validation_log=part)
    for name in ("loss", "val_recall_at_20", "val_mrr_at_20"):
        expected = [record[name] for record in expected_records[:2]]
        assert [record[name] for record in records] == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def ctrl_c():
    """Python's own answer to Ctrl-C, which a process in the background may have been started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_stop_saves_and_says_that_the_same_command_goes_on(log, tmp_path, caplog, number, code):
    ask = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: os.kill(os.getpid(), number) if batch == 3 else None
    )
    with pytest.raises(Stopped) as stopped:
        train(log, tmp_path / "m", callbacks=[ask])
    assert stopped.value.code == code
    assert f"Stopped by {number.name}, and saved; the same command goes on from here." in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    seen = []
    note = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(batch))
    train(log, tmp_path / "m", n_epochs=1, callbacks=[note])
    assert seen[0] == 4  # four blocks were done and saved


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_stops_at_once(log, tmp_path):
    def ask(batch, logs):
        os.kill(os.getpid(), signal.SIGINT)

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_begin=ask, on_train_batch_end=ask)]
    with pytest.raises(KeyboardInterrupt):
        train(log, tmp_path / "m", callbacks=callbacks)
    assert not list((tmp_path / "m").glob("checkpoints/*"))


def test_two_runs_in_one_folder_are_one_too_many(log, tmp_path):
    inner = []

    class Again(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            with pytest.raises(BlockingIOError, match="Another process is at work in"):
                train(log, tmp_path / "m", n_epochs=1)
            inner.append(sorted(path.name for path in (tmp_path / "m").iterdir()))

    train(log, tmp_path / "m", n_epochs=1, callbacks=[Again()])
    assert len(inner) == 1
    assert "checkpoints" not in inner[0]


def test_a_file_given_as_a_folder_is_named(log, tmp_path):
    (tmp_path / "m").write_text("notes")
    with pytest.raises(NotADirectoryError, match=r"a file and not a folder.*m'"):
        train(log, tmp_path / "m")


def test_a_run_says_how_far_it_is(log, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    model = Uncompiled(log.vocabulary, GRU4RecConfig(layers=(5,), n_sample=6))
    config = TrainingConfig(batch_size=4, n_epochs=2)
    fit(model, log, config, ModelFolder(tmp_path / "m"), verbose=1, block_steps=2, validation_log=log)
    lines = [line for line in caplog.messages if line.startswith(("Compiling", "Epoch"))]
    assert lines[0] == "Compiling the training step (about 10 s)."
    assert re.fullmatch(r"Epoch 1 of 2, \d+%: loss \d\.\d{4}, [\d,]+ events/s\.", lines[1])
    end = r"Epoch {} of 2: loss \d\.\d{{4}}, val_recall_at_20 [\d.]{{6}}, val_mrr_at_20 [\d.]{{6}}, [\d,]+ events/s\."
    assert all(re.fullmatch(end.format(1 + n), line) for n, line in enumerate(lines[2:]))
    assert len(lines) == 4


def test_lines_within_an_epoch_come_as_often_as_asked(caplog):
    caplog.set_level("INFO", logger="absl")
    told = LogProgress(within_epochs=True, clock=iter([0.0, 4.0, 10.0, 19.0, 20.0, 21.0]).__next__)
    told.set_params({"steps": 8, "epochs": 1})
    for batch in range(6):
        told.on_train_batch_end(batch, {"loss": 1.0})
    assert [line.split(":")[0] for line in caplog.messages] == [
        *("Epoch 1 of 1, 12%", "Epoch 1 of 1, 38%", "Epoch 1 of 1, 62%"),
    ]


@pytest.mark.slow
def test_other_callbacks_than_before_begin_anew(log, tmp_path, caplog):
    train(log, tmp_path / "m", n_epochs=1, callbacks=[Stop(10_000)])
    _, records = train(log, tmp_path / "m", n_epochs=2)
    assert len(records) == 2
    assert "others than at the last checkpoint" in caplog.text


def test_interrupt_leaves_the_last_checkpoint_usable(log, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(log, tmp_path / "m", callbacks=[Stop(20)])
    loaded = load_model(tmp_path / "m")
    assert np.isfinite(loaded.predict(tf.constant([[1, 2]]), verbose=0)).all()


@pytest.mark.usefixtures("begun")
def test_finished_run_can_be_prolonged(log, tmp_path, whole):
    assert_ends_like(*train(log, tmp_path / "m", n_epochs=3), whole)


def test_divergence_stops_and_keeps_the_last_checkpoint(log, tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.tower.gru_layers[0].bias.assign(np.full(15, np.nan))

    with pytest.raises(DivergedError, match=r"at step \d+ of the run.*lower --learning_rate"):
        train(log, tmp_path / "m", callbacks=[Poison()])
    assert np.isfinite(load_model(tmp_path / "m").predict(tf.constant([[1, 2]]), verbose=0)).all()


@pytest.mark.usefixtures("begun")
def test_refuses_to_go_on_with_other_settings_or_data(log, tmp_path):
    with pytest.raises(ValueError, match=r"model\.seed.*\(1, 2\)"):
        train(log, tmp_path / "m", n_epochs=1, seed=2)
    with pytest.raises(ValueError, match=r"training\.train_random_order"):
        train(log, tmp_path / "m", n_epochs=1, train_random_order=True)
    changed = SessionLog(np.roll(log.items, 1), log.offsets, log.times, log.vocabulary)
    with pytest.raises(ValueError, match=r"data\.checksum"):
        train(changed, tmp_path / "m", n_epochs=1)


@pytest.mark.usefixtures("begun")
def test_goes_on_with_what_is_allowed_to_change(log, tmp_path):
    with pytest.raises(ValueError, match=r"--allow_changed=training\.learning_rate"):
        train(log, tmp_path / "m", n_epochs=2, learning_rate=0.03)
    before = load_model(tmp_path / "m").embedding.output_table.numpy()
    changes = {"learning_rate": 0.03, "allow_changed": ["training.learning_rate"]}
    model, records = train(log, tmp_path / "m", n_epochs=2, **changes)
    assert (len(records), float(model.optimizer.learning_rate)) == (2, pytest.approx(0.03))
    assert not np.array_equal(model.embedding.output_table, before)
    others = SessionLog(
        log.items, log.offsets, log.times, Vocabulary(log.vocabulary.ids + 1, log.vocabulary.counts)
    )
    with pytest.raises(ValueError, match="same items; --warm_start_from"):
        train(others, tmp_path / "m", n_epochs=3, **changes)


@pytest.mark.usefixtures("begun")
def test_truncated_checkpoint_falls_back_to_the_one_before(log, tmp_path, caplog):
    before = load_model(tmp_path / "m").embedding.output_table.numpy()
    train(log, tmp_path / "m", n_epochs=2)
    newest = max((tmp_path / "m" / "checkpoints").glob("*.data-*"))
    newest.write_bytes(newest.read_bytes()[:100])
    np.testing.assert_array_equal(load_model(tmp_path / "m").embedding.output_table, before)
    older = min((tmp_path / "m" / "checkpoints").glob("*.data-*"))
    older.write_bytes(b"")
    with pytest.raises(ValueError, match="None of the checkpoints can be read"):
        load_model(tmp_path / "m")


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="There is no trained model in this folder"):
        load_model(tmp_path)


@pytest.mark.usefixtures("begun")
def test_unfinished_settings_file_is_never_seen(tmp_path):
    assert json.loads((tmp_path / "m" / "config.json").read_text())["format"] == 1
    assert [path.name for path in (tmp_path / "m").glob(".*")] == [".lock"]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", GRU4Rec), *[(name, Uncompiled) for name in ("sgd", "rmsprop", "ftrl")]]
)
def test_any_keras_optimizer_trains(log, tmp_path, name, kind):
    model = kind(log.vocabulary, GRU4RecConfig(layers=(5,), n_sample=6))
    config = TrainingConfig(batch_size=4, n_epochs=2, optimizer=name, learning_rate=0.1, clip_norm=1.0)
    before = [variable.numpy() for variable in model.trainable_variables]
    fit(model, log, config, ModelFolder(tmp_path / name))
    assert int(model.optimizer.iterations) == int(model.train_steps) > 0
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert np.isfinite(variable.numpy()).all()
        assert not np.array_equal(old, variable.numpy())


def test_optimizers_by_name():
    config = TrainingConfig(
        optimizer="adam", learning_rate=0.3, optimizer_parameters={"beta_1": 0.5}, clip_norm=2.0
    )
    found = make_optimizer(config)
    assert (type(found).__name__, float(found.learning_rate), found.beta_1) == (
        "Adam",
        pytest.approx(0.3),
        0.5,
    )
    assert found.global_clipnorm == 2.0
    with pytest.raises(ValueError, match="optimizer must be one of adagrad, adadelta"):
        make_optimizer(TrainingConfig(optimizer="adamant"))
    with pytest.raises(ValueError, match="does not take these settings.*beta_3"):
        make_optimizer(TrainingConfig(optimizer="adam", optimizer_parameters={"beta_3": 0.5}))
    with pytest.raises(ValueError, match="one of adagrad, rmsprop, sgd. Received: .*'adam'"):
        make_optimizer(TrainingConfig(optimizer="adam", momentum=0.5))


@pytest.mark.usefixtures("begun")
def test_full_disk_is_a_clear_error_and_keeps_the_previous_checkpoint(log, tmp_path):
    before = load_model(tmp_path / "m").embedding.output_table.numpy()

    class FillDisk(keras.callbacks.Callback):
        """From the end of the epoch on no file may grow beyond two kilobytes, as on a full disk."""

        def on_epoch_end(self, epoch, logs=None):
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="checkpoint could not be written"):
            train(log, tmp_path / "m", n_epochs=2, callbacks=[FillDisk()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    np.testing.assert_array_equal(load_model(tmp_path / "m").embedding.output_table, before)
    model, records = train(log, tmp_path / "m", n_epochs=2)
    assert len(records) == 2
