"""Weights in and out, against GRUs written as other libraries define them."""

import numpy as np
import pytest

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.weight_exchange import ORDERS, GateOrder, export_weights, import_weights
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

N_ITEMS, UNITS = 6, 4
CONFIGS = {
    "shared": {},
    "reset after, two layers": {"reset_after": True, "layers": (UNITS, 3)},
    "separate": {"constrained_embedding": False, "embedding": 5},
    "one-hot": {"constrained_embedding": False},
}


def make_model(seed=0, **settings):
    vocabulary = Vocabulary(np.arange(100, 100 + N_ITEMS), np.arange(N_ITEMS, 0, -1))
    model = GRU4Rec(
        vocabulary, GRU4RecConfig(**{"layers": (UNITS,), "n_sample": 0, "seed": seed, **settings})
    )
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return model


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def pytorch_scores(weights, items):
    """Follows a session as PyTorch documents `GRU`: r, z, n; h' = (1 - z) n + z h; W x + b with W [3 units, inputs]."""
    layers = sum(name.startswith("recurrent_kernel") for name in weights)
    states = [np.zeros(weights[f"recurrent_kernel_{number}"].shape[1]) for number in range(layers)]
    for item in items:
        x = weights["output_table"][item]
        for number, h in enumerate(states):
            gi = weights[f"kernel_{number}"] @ x + weights[f"bias_{number}"]
            gh = weights[f"recurrent_kernel_{number}"] @ h + weights[f"recurrent_bias_{number}"]
            (ir, iz, i_n), (hr, hz, hn) = np.split(gi, 3), np.split(gh, 3)
            r, z = sigmoid(ir + hr), sigmoid(iz + hz)
            n = np.tanh(i_n + r * hn)
            states[number] = x = (1 - z) * n + z * h
    return weights["output_table"] @ states[-1] + weights["output_bias"]


def our_scores(model, items):
    return model.scores(model(tf.constant([items]))[0])[0].numpy()


def test_a_gru_of_pytorch_scores_alike():
    rng = np.random.default_rng(3)
    weights = {
        "output_table": rng.normal(size=(N_ITEMS, UNITS)),
        "output_bias": rng.normal(size=N_ITEMS),
        **{
            f"{name}_{n}": rng.normal(size=(3 * UNITS, UNITS))
            for name in ("kernel", "recurrent_kernel")
            for n in (0, 1)
        },
        **{f"{name}_{n}": rng.normal(size=3 * UNITS) for name in ("bias", "recurrent_bias") for n in (0, 1)},
    }
    model = make_model(reset_after=True, layers=(UNITS, UNITS))
    import_weights(model, weights, "pytorch")
    items = [3, 0, 5, 3]
    # Sums of 4 products of about 1, some 60 roundings one after another in float32.
    np.testing.assert_allclose(our_scores(model, items), pytorch_scores(weights, items), atol=1e-5)


@pytest.mark.parametrize("reset_after", [False, True])
def test_a_gru_layer_of_keras_takes_the_weights(reset_after):
    model = make_model(reset_after=reset_after)
    weights = export_weights(model, "keras")
    cell = keras.layers.GRUCell(UNITS, reset_after=reset_after)
    cell.build([None, UNITS])
    biases = [weights["bias_0"]]
    if reset_after:
        biases = [np.stack([weights["bias_0"], weights["recurrent_bias_0"]])]
    cell.set_weights([weights["kernel_0"], weights["recurrent_kernel_0"], *biases])
    state = tf.zeros([1, UNITS])
    for item in (3, 0, 5):
        state, _ = cell(tf.constant(weights["output_table"][[item]]), state)
    np.testing.assert_allclose(model(tf.constant([[3, 0, 5]]))[0], state, atol=1e-5)


@pytest.mark.parametrize(
    "order", [*ORDERS, GateOrder(("candidate", "update", "reset"), transposed=True)], ids=str
)
@pytest.mark.parametrize("settings", CONFIGS.values(), ids=CONFIGS)
def test_what_is_exported_is_imported_again(settings, order):
    model, other = make_model(0, **settings), make_model(1, **settings)
    import_weights(other, export_weights(model, order), order)
    for found, expected in zip(other.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=expected.name)


def test_one_hot_input_is_reordered_like_a_kernel():
    model = make_model(constrained_embedding=False)
    ours = export_weights(model)["input_table"]
    theirs = export_weights(model, "keras")["input_table"]
    reset, update, candidate = np.split(ours, 3, axis=1)
    np.testing.assert_array_equal(theirs, np.concatenate([-update, reset, candidate], axis=1))


def test_items_in_another_order_find_their_rows():
    model, other = make_model(0), make_model(1)
    weights = export_weights(model)
    order = np.array([4, 0, 5, 2, 1, 3])
    moved = {name: array[order] if name.startswith("output") else array for name, array in weights.items()}
    import_weights(other, moved, item_ids=model.vocabulary.ids[order])
    np.testing.assert_array_equal(other.embedding.output_table, model.embedding.output_table)
    np.testing.assert_array_equal(other.embedding.output_bias, model.embedding.output_bias)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("bias_0"), r"must be those of the model.*missing=\['bias_0'\]"),
        (lambda arrays: arrays.update(kernel_1=np.zeros(3)), r"unexpected=\['kernel_1'\]"),
        (
            lambda arrays: arrays.update(kernel_0=arrays["kernel_0"][:, 1:]),
            r"kernel_0 must have another shape",
        ),
        (lambda arrays: arrays.update(bias_0=arrays["bias_0"] * np.nan), "bias_0 must be finite"),
    ],
)
def test_wrong_arrays_change_nothing(change, message):
    model = make_model()
    before = export_weights(model)
    arrays = {name: array + 1 for name, array in before.items()}
    change(arrays)
    with pytest.raises(ValueError, match=message):
        import_weights(model, arrays)
    for name, array in export_weights(model).items():
        np.testing.assert_array_equal(array, before[name])


def test_unknown_orders_and_items_are_refused():
    model = make_model()
    with pytest.raises(ValueError, match="order must be one of tfrs_gru4rec, pytorch, keras"):
        export_weights(model, "theano")
    with pytest.raises(ValueError, match="gates must name reset, update and candidate once each"):
        GateOrder(("reset", "reset", "update"))
    with pytest.raises(ValueError, match="item_ids must name every item of the model once"):
        import_weights(model, export_weights(model), item_ids=[100, 100, 101, 102, 103, 104])
