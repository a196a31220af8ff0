"""Compares two replicas on two logical devices with one process; prints what it found as JSON.

A process of its own: logical devices must be made before TensorFlow computes anything.
"""

import json
import sys
import tempfile

import numpy as np
import pandas as pd

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.distribution import Replicas
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel
from tfrs_gru4rec.training import ModelFolder, fit
from tfrs_gru4rec.training.model_folder import load_model

import tensorflow as tf  # isort: skip

LANES, STEPS = 8, 50
MODES = {
    "shared": {},
    "separate": {"constrained_embedding": False, "embedding": 5},
    "one-hot": {"constrained_embedding": False},
}


class SameNegatives:
    """Draws the same for every replica and step."""

    def sample(self, n_sample, seed):
        return tf.range(n_sample, dtype=tf.int32) * 3


class Alone(Replicas):
    """Stands for one of two replicas that never hears of the other."""

    def __init__(self, number):
        super().__init__()
        self.count, self._number = 2, number

    @property
    def number(self):
        return self._number


def random_log():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 8, 200)
    frame = pd.DataFrame({"SessionId": np.repeat(np.arange(200), lengths)})
    frame["ItemId"], frame["Time"] = rng.integers(0, 40, len(frame)), np.arange(len(frame))
    return SessionLog.from_frame(frame)


def make(log, strategy, config, sampler=None):
    with strategy.scope():
        model = GRU4Rec(log.vocabulary, config, sampler)
        model.compile(AdagradMomentum(0.1, 0.2))
    return model


def values(model, replica=0):
    parts = [*model.trainable_variables, *model.optimizer.variables, *model.lanes.variables]
    return [
        getattr(part, "values", [part])[replica - len(getattr(part, "values", [part]))].numpy()
        for part in parts
    ]


def largest_difference(some, others):
    return max(float(np.abs(one - other).max()) for one, other in zip(some, others, strict=True))


def equals_one_process(log, two, mode):
    """Trains 50 steps with both; the states of dead lanes mean nothing, and no lane is dead yet."""
    config = GRU4RecConfig(layers=(6,), n_sample=5, **MODES[mode])
    models = [
        make(log, strategy, config, SameNegatives()) for strategy in (tf.distribute.get_strategy(), two)
    ]
    data = session_parallel(log, LANES, block_steps=1)
    losses = [model.fit(data, steps_per_epoch=STEPS, verbose=0).history["loss"][0] for model in models]
    one, (first, second) = values(models[0]), (values(models[1], replica) for replica in (0, 1))
    return {
        "deviation": largest_difference(one, first),
        "replicas": largest_difference(first, second),
        "losses": losses,
        "steps": [int(model.train_steps.numpy()) for model in models],
    }


def adds_changes(log, two, mode):
    """Compares a block of three steps with what NumPy makes of two models that trained alone."""
    config = GRU4RecConfig(layers=(6,), n_sample=5, **MODES[mode])
    model = make(log, two, config)
    before = values(model)
    data = session_parallel(log, LANES, block_steps=3)
    model.fit(data, steps_per_epoch=1, verbose=0)
    changes, lanes = [], []
    for number in (0, 1):
        alone = make(log, tf.distribute.get_strategy(), config)
        alone._replicas = alone.lanes._replicas = replicas = Alone(number)
        alone.lanes._n_parts = 2
        alone.lanes.build(LANES)
        block = next(iter(data))
        replicas._block_shape = block.is_live.shape
        tf.function(alone._train_one_by_one, jit_compile=True)(replicas.with_own_first(block))
        *weights, states = values(alone)
        changes.append([after - old for after, old in zip(weights, before, strict=False)])
        lanes.append(states[number * LANES // 2 : (number + 1) * LANES // 2])
    n_items, expected = log.vocabulary.n_items, []
    for old, one, other in zip(before, *changes, strict=False):
        is_table, is_count = old.shape[:1] == (n_items,), old.dtype == np.int64
        expected.append(old + (one if is_count else (one + other) * (1 if is_table else 0.5)))
    found = [values(model, replica) for replica in (0, 1)]
    changed = [float(np.abs(one - other).max()) for one, other in zip(*changes, strict=True)]
    return {
        "deviation": largest_difference(found[0], [*expected, np.concatenate(lanes)]),
        "replicas": largest_difference(*found),
        "apart": max(changed),
    }


def moves(log, two):
    """Trains an epoch with two replicas, the next with one, the last with two, in one folder."""
    losses, weights = [], []
    with tempfile.TemporaryDirectory() as path:
        for epochs, strategy in enumerate([two, tf.distribute.get_strategy(), two], 1):
            with strategy.scope():
                model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(6,), n_sample=5))
            training = TrainingConfig(batch_size=LANES, n_epochs=epochs, exchange_steps=4)
            losses = [record["loss"] for record in fit(model, log, training, ModelFolder(path))]
            loaded = load_model(path)
            pairs = zip(model.trainable_variables, loaded.trainable_variables, strict=True)
            weights.append(max(float(np.abs(one.numpy() - other.numpy()).max()) for one, other in pairs))
    return {"losses": losses, "loaded": weights}


def main(names):
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(devices[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    log, two = random_log(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {}
    for name in names:
        kind, _, mode = name.partition(":")
        acts = {"step": equals_one_process, "block": adds_changes}
        found[name] = acts[kind](log, two, mode) if mode else moves(log, two)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
