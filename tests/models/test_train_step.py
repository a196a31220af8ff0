"""Training steps of every arrangement against the NumPy oracle: loss, weights, slots and lane states."""

import functools

import numpy as np
import pytest

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.optimizers.in_place_rows import InPlaceRows
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import gru4rec as oracle
from oracle import losses as oracle_losses

import tensorflow as tf  # isort: skip

N_ITEMS, LANES, SAMPLES = 12, 4, 6
COUNTS = np.arange(30, 30 - N_ITEMS, -1)
NAMES = {
    "output": "item_embedding/output_table",
    "bias_out": "item_embedding/output_bias",
    "input": "item_embedding/input_table",
    "kernel": "gru_0/kernel",
    "recurrent": "gru_0/recurrent_kernel",
    "bias": "gru_0/bias",
}
ARRANGEMENTS = {
    "shared": {},
    "separate": {"constrained_embedding": False, "embedding": 7},
    "one-hot": {"constrained_embedding": False},
}
LOSSES = {
    "cross-entropy": (
        {"loss": "cross-entropy", "logq": 1.0, "sample_alpha": 0.75},
        oracle_losses.cross_entropy,
    ),
    "smoothed": (
        {"loss": "cross-entropy", "smoothing": 0.1},
        functools.partial(oracle_losses.cross_entropy, smoothing=0.1),
    ),
    "bpr-max": (
        {"loss": "bpr-max", "bpreg": 0.9, "final_act": "elu-0.5"},
        functools.partial(oracle_losses.bpr_max, bpreg=0.9),
    ),
    "top1-max": ({"loss": "top1-max", "final_act": "tanh"}, oracle_losses.top1_max),
    "bpr": ({"loss": "bpr"}, oracle_losses.bpr),
    "top1": ({"loss": "top1"}, oracle_losses.top1),
}
ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "elu-0.5": lambda x: np.where(x > 0, x, 0.5 * (np.exp(np.minimum(x, 0)) - 1)),
}


def vocabulary():
    return Vocabulary(np.arange(N_ITEMS), COUNTS)


def batches(rng, steps):
    """Steps with session starts, an empty lane, and items that occur several times."""
    for number in range(steps):
        live = np.array([True, True, True, number != 1])
        rows = rng.integers(0, N_ITEMS, (2, LANES)).astype(np.int32)
        rows[:, ~live] = rows[:, :1]
        yield SessionBatch(rows[0], rows[1], (rng.random(LANES) < 0.4) & live | (number == 0), live)


def by_oracle_name(model):
    found = {variable.name.split(":")[0]: variable for variable in model.trainable_variables}
    return {name: found[ours] for name, ours in NAMES.items() if ours in found}


# Each program that XLA compiles takes seconds: all are in the long run, some in every run.
@pytest.mark.parametrize(
    ("arrangement", "loss"),
    [
        ("separate", "bpr-max"),
        ("one-hot", "cross-entropy"),
        *[
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [("separate", "cross-entropy"), ("one-hot", "bpr-max"), ("shared", "cross-entropy")]
        ],
    ],
)
def test_three_compiled_steps_of_every_arrangement(arrangement, loss):
    compare(arrangement, loss, compiled=True)


@pytest.mark.parametrize("arrangement", ["separate", "one-hot"])
@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
def test_three_eager_steps_of_every_arrangement(arrangement, loss):
    compare(arrangement, loss, eager=True, compiled=False)


def test_three_eager_steps_without_momentum():
    compare("shared", "cross-entropy", eager=True, compiled=False, momentum=0.0)


def test_three_steps_without_momentum_and_with_a_norm_that_no_gradient_reaches():
    compare("shared", "cross-entropy", compiled=True, momentum=0.0, global_clipnorm=1e6)


def test_three_steps_by_keras_own_updates():
    # A weight decay of nearly nothing is Keras' business, outside the compiled program.
    compare("shared", "cross-entropy", compiled=True, in_place=False, weight_decay=1e-30)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_three_steps_in_one_block(compiled):
    compare("shared", "bpr-max", block_steps=3, compiled=compiled)


class Chunked(AdagradMomentum):
    """Updates rows in chunks of so many bytes."""

    def __init__(self, *arguments, chunk_bytes, **settings):
        super().__init__(*arguments, **settings)
        self.chunk_bytes = chunk_bytes

    def row_updater(self):
        return InPlaceRows(self, self.chunk_bytes)


@pytest.mark.parametrize(
    ("arrangement", "chunk_bytes"),
    [
        ("separate", 80),
        *[
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [("shared", 1), ("shared", 80), ("shared", 130), ("separate", 1), ("separate", 130)]
        ],
    ],
)
def test_three_steps_with_rows_updated_in_chunks(arrangement, chunk_bytes):
    # A row has 20 or 28 bytes, and a step touches 10 or 14 rows of a table: chunks of one row, of a few, and of a
    # number that does not divide the rows.
    compare(arrangement, "bpr-max", compiled=True, kind=Chunked, chunk_bytes=chunk_bytes)


@pytest.mark.parametrize("loss", LOSSES)
def test_three_eager_steps_of_every_loss(loss):
    compare("shared", loss, eager=True, compiled=False)


def compare(
    arrangement,
    loss,
    compiled,
    eager=False,
    in_place=None,
    block_steps=1,
    momentum=0.3,
    kind=AdagradMomentum,
    **optimizer_settings,
):
    settings, oracle_loss = LOSSES[loss]
    config = GRU4RecConfig(layers=(5,), n_sample=SAMPLES, seed=3, **settings, **ARRANGEMENTS[arrangement])
    model = GRU4Rec(vocabulary(), config)
    model.compile(kind(0.1, momentum=momentum, **optimizer_settings), jit_compile=compiled, run_eagerly=eager)
    assert model.jit_compile == (compiled if in_place is None else in_place)
    rng = np.random.default_rng(8)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    variables = by_oracle_name(model)
    weights = {name: variable.numpy().astype(np.float64) for name, variable in variables.items()}
    expected = oracle.GRU4Rec(weights, oracle_loss, ACTIVATIONS[config.final_act], 0.1, momentum, LANES)
    calls, values, n_live = model.make_train_function(), [], []
    steps = list(batches(rng, 3))
    data = tf.data.Dataset.from_tensor_slices(SessionBatch(*map(np.stack, zip(*steps, strict=True))))
    data = iter(data.batch(block_steps, drop_remainder=True))
    for number, batch in enumerate(steps):
        samples = model.sampler.sample(SAMPLES, tf.constant([3, number], tf.int64)).numpy()
        correction = None
        if config.logq:
            correction = np.concatenate([np.log(COUNTS[batch.target_rows]), 0.75 * np.log(COUNTS[samples])])
        values.append(expected.train_step(*batch, samples, correction))
        n_live.append(np.count_nonzero(batch.is_live))
        if (number + 1) % block_steps:
            continue
        model.reset_metrics()
        found = calls(data)
        # A step's loss is divided by all lanes; what is reported weighs the steps by their live lanes.
        mean = np.average(values[-block_steps:], weights=n_live[-block_steps:])
        assert float(found["loss"]) == pytest.approx(mean, rel=1e-5)
        live = batch.is_live
        state = model.lanes.read(LANES)[0].numpy()
        np.testing.assert_allclose(state[live], expected.state[live], rtol=1e-5, atol=1e-6)
    for name, variable in variables.items():
        np.testing.assert_allclose(variable, weights[name], rtol=1e-5, atol=2e-6, err_msg=name)
        _, accumulator, velocity = model.optimizer.with_slots(variable)
        np.testing.assert_allclose(accumulator, expected.optimizer.accumulators[name], rtol=1e-4, atol=1e-8)
        if not momentum:
            continue
        np.testing.assert_allclose(velocity, expected.optimizer.velocities[name], rtol=1e-4, atol=2e-6)
