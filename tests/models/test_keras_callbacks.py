"""Every callback of Keras works with `fit`: alone, beside each other, and whatever is shown."""

import itertools

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

CALLBACKS = {
    "TensorBoard": lambda folder: keras.callbacks.TensorBoard(str(folder / "logs")),
    "TensorBoard, all of it": lambda folder: keras.callbacks.TensorBoard(
        str(folder / "all"), histogram_freq=1, update_freq=1, write_steps_per_second=True
    ),
    "ModelCheckpoint, weights": lambda folder: keras.callbacks.ModelCheckpoint(
        str(folder / "weights"), save_weights_only=True
    ),
    "ModelCheckpoint, weights in HDF5": lambda folder: keras.callbacks.ModelCheckpoint(
        str(folder / "best.weights.h5"), save_weights_only=True, save_freq=1
    ),
    "ModelCheckpoint": lambda folder: keras.callbacks.ModelCheckpoint(
        str(folder / "model.keras"), monitor="val_recall_at_20", mode="max", save_best_only=True
    ),
    "BackupAndRestore": lambda folder: keras.callbacks.BackupAndRestore(str(folder / "backup")),
    "EarlyStopping": lambda folder: keras.callbacks.EarlyStopping(
        "val_mrr_at_20", mode="max", restore_best_weights=True
    ),
    "ReduceLROnPlateau": lambda folder: keras.callbacks.ReduceLROnPlateau("val_loss", patience=1),
    "LearningRateScheduler": lambda folder: keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * 0.9, verbose=1
    ),
    "CSVLogger": lambda folder: keras.callbacks.CSVLogger(str(folder / "epochs.csv")),
    "LambdaCallback": lambda folder: keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: None
    ),
    "TerminateOnNaN": lambda folder: keras.callbacks.TerminateOnNaN(),
    "ProgbarLogger": lambda folder: keras.callbacks.ProgbarLogger("steps"),
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    events = np.arange(40)
    frame = pd.DataFrame({"SessionId": events // 4, "ItemId": rng.integers(0, 9, 40), "Time": events})
    return SessionLog.from_frame(frame)


def make_model(log, **how):
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(3,), n_sample=2))
    model.compile(AdagradMomentum(0.1), **how)
    return model


@pytest.fixture(scope="module")
def fit(data):
    """Trains two epochs; one model, traced once, for all callbacks."""
    model = make_model(data, jit_compile=False)
    blocks, valid = session_parallel(data, 3, block_steps=4), session_parallel(data, 5, block_steps=4)

    def train(callbacks, verbose):
        return model.fit(
            blocks, epochs=2, validation_data=valid, verbose=verbose, callbacks=callbacks
        ).history

    return train


@pytest.mark.parametrize("name", CALLBACKS)
def test_alone(fit, tmp_path, name):
    assert np.isfinite(fit([CALLBACKS[name](tmp_path)], verbose=1)["loss"]).all()


# The lines of the projective plane of 13 points: four on a line, and each two points on one line together.
LINES = [[(first + step) % 13 for step in (0, 1, 3, 9)] for first in range(13)]
VERBOSE = [2] * 7 + [0] * 6


def test_each_two_callbacks_share_a_line_and_each_is_on_lines_of_either_verbosity():
    pairs = sorted(pair for line in LINES for pair in itertools.combinations(sorted(line), 2))
    assert pairs == list(itertools.combinations(range(len(CALLBACKS)), 2))
    seen = {(point, verbose) for line, verbose in zip(LINES, VERBOSE, strict=True) for point in line}
    assert len(seen) == 2 * len(CALLBACKS)


@pytest.mark.parametrize(("line", "verbose"), list(zip(LINES, VERBOSE, strict=True)), ids=str)
def test_beside_each_other(fit, tmp_path, line, verbose):
    callbacks = [list(CALLBACKS.values())[point](tmp_path) for point in line]
    assert np.isfinite(fit(callbacks, verbose)["loss"]).all()


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")
@pytest.mark.parametrize("how", ["xla", "run_eagerly", "run_functions_eagerly"])
def test_tensorboard_however_the_step_is_run(data, tmp_path, how):
    tf.config.run_functions_eagerly(how == "run_functions_eagerly")
    try:
        model = make_model(data, run_eagerly=how == "run_eagerly")
        callbacks = [
            CALLBACKS[name](tmp_path) for name in ("TensorBoard", "TensorBoard, all of it", "TerminateOnNaN")
        ]
        model.fit(session_parallel(data, 3, block_steps=4), verbose=0, callbacks=callbacks)
    finally:
        tf.config.run_functions_eagerly(False)
    assert "epoch_loss" in tags(tmp_path / "logs" / "train")
    assert any("recurrent_kernel" in tag for tag in tags(tmp_path / "all" / "train"))


def tags(folder):
    """Returns the names of what was written for TensorBoard."""
    found = set()
    for path in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found.update(value.tag for value in event.summary.value)
            found.update({"graph"} if event.graph_def else set())
    return found


def test_tensorboard_gets_the_graph_of_the_step(fit, tmp_path):
    fit(
        [CALLBACKS["TensorBoard"](tmp_path), keras.callbacks.TerminateOnNaN()], 0
    )  # which looks at each batch
    assert {"graph", "epoch_loss"} <= tags(tmp_path / "logs" / "train")


@pytest.mark.slow
def test_an_interrupted_fit_is_restored_and_goes_on(data, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    blocks = session_parallel(data, 3, block_steps=4)
    whole, stopped, resumed = (make_model(data, run_eagerly=True) for _ in range(3))
    whole.fit(blocks, epochs=3, verbose=0)
    backup = CALLBACKS["BackupAndRestore"]
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(blocks, epochs=3, verbose=0, callbacks=[backup(tmp_path), Interrupt()])
    history = resumed.fit(blocks, epochs=3, verbose=0, callbacks=[backup(tmp_path)])
    assert history.epoch == [2]
    for found, expected in zip(resumed.trainable_variables, whole.trainable_variables, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=expected.name)
    assert resumed.fit(blocks, verbose=0).epoch == [0]  # a later fit begins anew


def test_callbacks_act_on_what_a_validation_found(data):
    model = make_model(data, run_eagerly=True)
    blocks = session_parallel(data, 3, block_steps=4)
    model.optimizer.learning_rate = 0.0
    stop = keras.callbacks.EarlyStopping("val_recall_at_20", mode="max", patience=2)
    slower = keras.callbacks.ReduceLROnPlateau("val_mrr_at_20", mode="max", patience=1, factor=0.5)
    history = model.fit(blocks, epochs=9, verbose=0, validation_data=blocks, callbacks=[stop, slower]).history
    assert len(history["val_recall_at_20"]) == 3
    assert len(set(history["val_mrr_at_20"])) == 1


def test_a_checkpoint_in_another_format_is_refused_before_any_training(data, tmp_path):
    model = make_model(data, run_eagerly=True)
    with pytest.raises(
        ValueError, match=r"saved as one .keras file.*ModelCheckpoint\(path, save_weights_only=True"
    ):
        model.fit(
            session_parallel(data, 3), callbacks=[keras.callbacks.ModelCheckpoint(str(tmp_path / "folder"))]
        )
    assert int(model.train_steps) == 0
    assert list(tmp_path.iterdir()) == []
