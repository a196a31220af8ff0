"""Validation of a run: its best epoch is what remains of it, and it may end early, stopped or not."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from training_support import Stop, Uncompiled, ring_log

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.config import CheckpointConfig, GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.training import ModelFolder, fit, load_model
from tfrs_gru4rec.training.checkpoints import checkpoint_numbers
from tfrs_gru4rec.training.model_folder import CannotGoOnError


@pytest.fixture(scope="module")
def logs():
    return ring_log(80, n_items=100, below_length=6, below_noise=4, seed=4).split_by_time(share=0.3)


class Spoil(keras.callbacks.Callback):
    """Raises the learning rate so far, after three epochs, that all is forgotten: whatever the processor."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.3 if epoch < 3 else 300.0


def train(logs, folder, callbacks=(), validation_log="of the split", n_epochs=7, **settings):
    model = Uncompiled(logs[0].vocabulary, GRU4RecConfig(layers=(6,), n_sample=6, dropout_p_hidden=0.2))
    records = fit(
        model,
        logs[0],
        TrainingConfig(batch_size=4, n_epochs=n_epochs, learning_rate=0.3),
        ModelFolder(folder),
        [Spoil(), *callbacks],
        CheckpointConfig(checkpoint_steps=16 if callbacks else 0),
        validation_log=logs[1] if validation_log else None,
        block_steps=4,
        **settings,
    )
    return model, records


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation") / "whole"
    return folder, *train(logs, folder)


@pytest.fixture(scope="module")
def ended(logs, tmp_path_factory):
    """The folder and the records of a run that may end two epochs after its best."""
    folder = tmp_path_factory.mktemp("validation") / "ended"
    return folder, train(logs, folder, early_stop_epochs=2)[1]


def recalls(records):
    return [record["val_recall_at_20"] for record in records]


def test_the_best_epoch_is_what_remains(logs, whole):
    folder, model, records = whole
    assert len(records) == 7
    best = int(np.argmax(recalls(records)))
    assert best < 3
    found = evaluate(model, logs[1])
    assert found.recall(20) == recalls(records)[best] > recalls(records)[-1]
    assert found.mrr(20) == records[best]["val_mrr_at_20"]
    loaded = load_model(folder)
    np.testing.assert_array_equal(loaded.embedding.output_table, model.embedding.output_table)
    # Kept are the two newest, from which the run goes on, and the best.
    numbers = checkpoint_numbers(folder / "checkpoints")
    assert len(numbers) == 3
    assert numbers[0] == records[best]["checkpoint"]


@pytest.mark.parametrize("after", [pytest.param(5, marks=pytest.mark.slow), 38])
def test_a_stopped_run_has_the_same_best_epoch(logs, whole, tmp_path, after):
    _, model, records = whole
    with pytest.raises(KeyboardInterrupt):
        train(logs, tmp_path / "m", [Stop(after)])
    resumed, again = train(logs, tmp_path / "m", [Stop(10_000)])
    assert recalls(again) == recalls(records)
    np.testing.assert_array_equal(resumed.embedding.output_table, model.embedding.output_table)
    # Whoever asks once more gets the same model, without training.
    once_more, same = train(logs, tmp_path / "m", [Stop(0)])
    assert same == again
    np.testing.assert_array_equal(once_more.embedding.output_table, model.embedding.output_table)


@pytest.mark.slow
def test_more_epochs_go_on_from_the_last_epoch_not_from_the_best(logs, whole, tmp_path):
    _, model, records = whole
    train(logs, tmp_path / "m", n_epochs=5)
    longer, again = train(logs, tmp_path / "m", n_epochs=7)
    assert [record["loss"] for record in again] == pytest.approx([record["loss"] for record in records])
    np.testing.assert_array_equal(longer.embedding.output_table, model.embedding.output_table)


def test_a_run_ends_some_epochs_after_its_best(logs, whole, ended, tmp_path):
    expected = recalls(whole[2])
    # By hand: the first epoch that lies two behind the best so far.
    last = next(n for n in range(len(expected)) if n - int(np.argmax(expected[: n + 1])) == 2)
    assert last < 6
    with pytest.raises(KeyboardInterrupt):
        train(logs, tmp_path / "m", [Stop(20)], early_stop_epochs=2)
    _, stopped = train(logs, tmp_path / "m", [Stop(10_000)], early_stop_epochs=2)
    assert recalls(ended[1]) == recalls(stopped) == expected[: last + 1]
    # Whoever asks once more gets the same, without training.
    for folder, records in (ended, (tmp_path / "m", stopped)):
        assert train(logs, folder, [Stop(0)], early_stop_epochs=2)[1] == records


def test_early_stopping_by_keras_sees_the_same_figures(logs, ended, tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="val_recall_at_20", mode="max", patience=2)
    _, records = train(logs, tmp_path / "keras", [stop])
    assert recalls(records) == recalls(ended[1])


def test_an_unreadable_best_checkpoint_gives_way_to_the_newest(logs, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "m")
    numbers = checkpoint_numbers(tmp_path / "m" / "checkpoints")
    (tmp_path / "m" / "checkpoints" / f"ckpt-{numbers[0]}.index").write_bytes(b"damaged")
    last = tf.train.load_checkpoint(str(tmp_path / "m" / "checkpoints" / f"ckpt-{numbers[-1]}"))
    table = load_model(tmp_path / "m").embedding.output_table
    names = [name for name, shape in last.get_variable_to_shape_map().items() if shape == table.shape]
    assert any(np.array_equal(last.get_tensor(name), table) for name in names)


def test_another_validation_is_another_run(logs, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "m")
    with pytest.raises(CannotGoOnError, match=r"validation\.events"):
        train(logs, tmp_path / "m", n_epochs=9, validation_log=None)
    settings = json.loads((tmp_path / "m" / "config.json").read_text())
    assert settings["validation"]["events"] == logs[1].n_events
