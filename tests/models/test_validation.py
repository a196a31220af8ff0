"""What `fit` reports: the loss of the events, and the figures of a validation."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel

from oracle import losses as oracle_losses

N_ITEMS = 60


@pytest.fixture(scope="module")
def log():
    """So few and so unequal sessions that lanes are empty in many steps."""
    rng = np.random.default_rng(2)
    lengths = [2, 3, 9, 2, 5, 14, 3]
    sessions = np.repeat(np.arange(len(lengths)), lengths)
    items = np.concatenate([np.arange(N_ITEMS), rng.integers(0, N_ITEMS, len(sessions))])
    every_item = np.repeat(100 + np.arange(N_ITEMS // 2), 2)
    frame = pd.DataFrame({"SessionId": [*every_item, *sessions], "ItemId": items, "Time": range(len(items))})
    whole = SessionLog.from_frame(frame)
    return SessionLog.from_frame(frame[N_ITEMS:], vocabulary=whole.vocabulary)


def make_model(log, learning_rate=0.0, **settings):
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(**{"layers": (6,), "n_sample": 3, **settings}))
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    model.compile(AdagradMomentum(learning_rate), jit_compile=False, run_eagerly=True)
    return model


@pytest.mark.parametrize("is_validation", [False, True])
def test_the_loss_of_an_epoch_is_the_mean_over_its_steps_weighted_by_live_lanes(log, is_validation):
    # Weights that do not move (η = 0): the loss of every event can be computed by itself.
    model, lanes = make_model(log), 4
    data = session_parallel(log, lanes, block_steps=4)
    seeds = [model.config.seed, 0] if not is_validation else [model.config.seed + (1 << 21), 0]
    state, losses, plain, n_live = model.initial_state(lanes), [], [], []
    for block in data:
        for number in range(int(block.n_live_steps())):
            step = block.at(number)
            query, state = model.step(step.input_rows, model.tower.reset(state, step.is_start))
            samples = model.sampler.sample(3, tf.constant(seeds, tf.int64))
            rows = tf.concat([step.target_rows, samples], axis=0)
            live = step.is_live.numpy()
            scores = model.scores(query).numpy()[:, rows.numpy()]
            is_negative = np.append(live, [True] * 3)[np.newaxis, :]
            of_events = oracle_losses.cross_entropy(scores, is_negative)[live]
            losses += of_events.tolist()
            plain.append(of_events.sum() / lanes)
            n_live.append(live.sum())
            seeds[1] += int(live.sum()) if is_validation else 1
    assert len(losses) == log.n_pairs
    expected = np.average(plain, weights=n_live)
    # A plain mean over steps is something else on such a log.
    assert abs(np.mean(plain) / expected - 1) > 0.02
    if is_validation:
        found = model.evaluate(data, verbose=0, return_dict=True)["loss"]
    else:
        found = model.fit(data, verbose=0).history["loss"][0]
    # 31 events and some 20 float32 operations for each: well below 1e-5.
    assert found == pytest.approx(expected, rel=1e-5)


def test_validation_gives_the_figures_of_evaluate(log):
    model = make_model(log, 0.1)
    train, valid = session_parallel(log, 4, block_steps=8), session_parallel(log, 512, block_steps=8)
    history = model.fit(train, epochs=2, verbose=0, validation_data=valid).history
    assert set(history) == {"loss", "val_loss", "val_recall_at_20", "val_mrr_at_20"}
    expected = evaluate(model, log)
    assert 0 < expected.recall(20) < 1
    assert history["val_recall_at_20"][-1] == pytest.approx(expected.recall(20), rel=1e-12)
    # Ranks are float32 in both; reciprocal ranks are summed in float64.
    assert history["val_mrr_at_20"][-1] == pytest.approx(expected.mrr(20), rel=1e-6)


def test_an_empty_lane_has_no_rank(log):
    model = make_model(log)
    found = [
        model.evaluate(session_parallel(log, lanes, block_steps=8), verbose=0, return_dict=True)[
            "recall_at_20"
        ]
        for lanes in (1, 3, 50)
    ]
    assert found == pytest.approx([found[0]] * 3, rel=1e-12)


def test_a_checkpoint_of_a_model_knows_nothing_of_the_figures(log, tmp_path):
    path = tf.train.Checkpoint(model=make_model(log)).save(tmp_path / "checkpoint")
    names = [name for name, _ in tf.train.list_variables(path)]
    assert not [name for name in names if "recall" in name or "mrr" in name]


def test_keras_metrics_are_reset_between_epochs(log):
    model = make_model(log)
    valid = session_parallel(log, 8, block_steps=8)
    history = model.fit(valid, epochs=2, verbose=0, validation_data=valid).history
    assert history["val_mrr_at_20"][0] == history["val_mrr_at_20"][1]
    assert isinstance(model.metrics[0], keras.metrics.Mean)
