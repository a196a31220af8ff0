"""The model as a Keras model: steps that are skipped, lanes that are empty, fit, validation, whole sessions."""

import numpy as np
import pytest

from tfrs_gru4rec._keras import keras, tfrs  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.random_words import random_words

N_ITEMS = 15


def make_model(jit_compile=False, run_eagerly=False, **settings):
    vocabulary = Vocabulary(np.arange(N_ITEMS), np.arange(N_ITEMS, 0, -1))
    model = GRU4Rec(vocabulary, GRU4RecConfig(**{"layers": (6,), "n_sample": 4, **settings}))
    model.compile(AdagradMomentum(0.1, momentum=0.5), jit_compile=jit_compile, run_eagerly=run_eagerly)
    return model


@pytest.fixture(scope="module", params=[False, True], ids=["graph", "xla"])
def traced(request):
    """A model whose step of two lanes is traced once for all tests."""
    return make_model(request.param)


@pytest.fixture
def model(traced, anew):
    """That model, as it was before any step."""
    return anew(traced)


def batch(inputs, targets, is_start=None, is_live=None):
    lanes = len(inputs)
    return SessionBatch(
        tf.constant(inputs),
        tf.constant(targets),
        tf.zeros([lanes], tf.bool) if is_start is None else tf.constant(is_start),
        tf.ones([lanes], tf.bool) if is_live is None else tf.constant(is_live),
    )


def in_block(step, n_steps=1):
    """Data of one block, in which the step is repeated."""
    return tf.data.Dataset.from_tensors(step).repeat(n_steps).batch(n_steps, drop_remainder=True)


def train_on(model, step):
    """Trains on one step by the function that `fit` calls."""
    return model.make_train_function()(iter(in_block(step)))


def snapshot(model):
    return [variable.numpy() for variable in [*model.trainable_variables, *model.optimizer.variables]]


def differ(before, after):
    return any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_is_a_recommenders_model_trained_by_keras(model):
    assert isinstance(model, tfrs.Model)
    assert isinstance(model.task, tfrs.tasks.Retrieval)
    seen = []
    data = in_block(batch([0, 1], [2, 3])).repeat(10)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
    history = model.fit(data, epochs=3, verbose=0, callbacks=[callback])
    assert len(seen) == len(history.history["loss"]) == 3
    assert seen[-1] < seen[0]
    assert int(model.train_steps) == int(model.optimizer.iterations) == 30


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_step_without_a_negative_is_skipped(jit_compile):
    model = make_model(jit_compile, n_sample=0)
    before = snapshot(model)
    train_on(model, batch([0, 0], [2, 2], is_live=[True, False]))
    assert not differ(before, snapshot(model))
    assert float(model.loss_tracker.count) == 0
    train_on(model, batch([0, 1], [2, 3]))
    assert differ(before, snapshot(model))


def test_one_live_lane_trains_against_extra_negatives(model):
    before = snapshot(model)
    train_on(model, batch([0, 0], [2, 2], is_live=[True, False]))
    assert differ(before, snapshot(model))


def test_step_without_a_live_lane_changes_nothing(model):
    train_on(model, batch([0, 1], [2, 3]))
    before = snapshot(model)
    train_on(model, batch([0, 0], [0, 0], is_live=[False, False]))
    assert not differ(before, snapshot(model))


def test_empty_lane_has_no_part_in_the_step():
    # The same live lanes beside different empty ones: their state and the negative they would be must not matter.
    results = []
    for empty_state in (0.0, 5.0):
        model = make_model(run_eagerly=True, n_sample=0)
        model.lanes.build(3)
        model.lanes.write([tf.constant([[0.1] * 6, [0.2] * 6, [empty_state] * 6])])
        train_on(model, batch([0, 1, 0], [2, 3, 2], is_live=[True, True, False]))
        results.append(snapshot(model))
    assert not differ(*results)


def test_loss_divides_by_the_nominal_batch_size():
    lone, padded = make_model(), make_model()
    a = lone.compute_loss(batch([0, 1], [2, 3]))
    b = padded.compute_loss(batch([0, 1, 0, 0], [2, 3, 2, 2], is_live=[True, True, False, False]))
    assert float(b) == pytest.approx(float(a) / 2, rel=1e-6)


def test_non_finite_step_changes_nothing_and_is_remembered(model):
    train_on(model, batch([0, 1], [2, 3]))
    good = model.embedding.output_bias.numpy()
    model.embedding.output_bias.assign(np.where(np.arange(N_ITEMS) == 2, np.nan, good))
    before = snapshot(model)
    found = train_on(model, batch([0, 1], [2, 3]))
    train_on(model, batch([0, 1], [2, 3]))
    assert not np.isfinite(found["loss"])
    assert int(model.first_bad_step) == 1
    np.testing.assert_equal(snapshot(model), before)


def test_dropout_of_the_embedding_drops_its_share():
    model = make_model(layers=(500,), dropout_p_embed=0.3)
    seen = []
    model.tower.step = lambda inputs, state, seed=None: (seen.append(inputs), (inputs, state))[1]
    model(tf.constant([0, 1]), training=True)
    model(tf.constant([0, 1]))
    dropped, whole = seen
    # The standard error of a share of 1,000 draws is 0.0145.
    assert abs(np.mean(dropped.numpy() == 0) - 0.3) < 0.06
    np.testing.assert_array_equal(whole, model.embedding.look_up([0, 1]))


def test_random_draws_follow_seed_and_step():
    def losses_of(seed):
        model = make_model(seed=seed, dropout_p_hidden=0.5)
        return [float(model.compute_loss(batch([0, 1], [2, 3]), training=True)) for _ in range(2)], model

    (first, again), model = losses_of(1)
    # The state moved on, so compare from a fresh start at the same step.
    assert losses_of(1)[0] == [first, again]
    assert losses_of(2)[0][0] != first
    model.train_steps.assign_add(1)
    model.lanes.write(model.initial_state(2))
    assert float(model.compute_loss(batch([0, 1], [2, 3]), training=True)) != first


def test_accidental_hits_are_masked_only_when_asked():
    inputs = batch([0, 1], [2, 3])
    candidates = tf.constant([2, 3, 2, 5, 3, 0])
    kept = make_model()._candidates.negatives(inputs, candidates)
    removed = make_model(remove_accidental_hits=True)._candidates.negatives(inputs, candidates)
    assert kept.numpy().all()
    expected = [[False, True, False, True, True, True], [True, False, True, True, False, True]]
    np.testing.assert_array_equal(removed, expected)


def test_whole_sessions_equal_single_steps():
    model = make_model(layers=(4, 6))
    sessions = [[3, 1, 4], [9, 2], []]
    padded = tf.constant([[3, 1, 4, -1], [-1, -1, 9, 2], [-1, -1, -1, -1]])
    expected = []
    for session in sessions:
        state, query = model.initial_state(1), tf.zeros([1, 6])
        for row in session:
            query, state = model.step(tf.constant([row]), state)
        expected.append(model.scores(query)[0].numpy())
    query, state = model(padded)
    np.testing.assert_allclose(model.scores(query), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(state[-1], query)
    np.testing.assert_allclose(model.predict(padded, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_validation_loss_draws_the_same_negatives_each_time():
    model = make_model(run_eagerly=True, dropout_p_hidden=0.5)
    data = in_block(batch([0, 1], [2, 3], is_start=[True, True]), 3)
    first, second = (model.evaluate(data, verbose=0) for _ in range(2))
    assert first == second
    assert int(model.train_steps) == 0


def test_l2_adds_half_the_squares_of_what_the_step_touches():
    plain, penalised = make_model(), make_model(l2=0.1)
    inputs = batch([0, 1], [2, 3])
    candidates = tf.concat([[2, 3], plain.sampler.sample(4, plain._seed(training=False))], axis=0)
    rows = [plain.embedding.look_up(inputs.input_rows), *plain.embedding.candidates(candidates)]
    touched = [*rows, *plain.tower.trainable_variables]
    expected = 0.1 / 2 * sum(float(np.sum(np.square(values))) for values in touched)
    found = float(penalised.compute_loss(inputs)) - float(plain.compute_loss(inputs))
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ()}, "layers must name at least one GRU layer"),
        ({"layers": (10, 0)}, "each of layers must be greater than 0"),
        ({"loss": "bprmax"}, "loss must be one of cross-entropy, bpr-max"),
        ({"dropout_p_hidden": 1.0}, "dropout_p_hidden must be at least 0 and below 1"),
        ({"n_sample": -1}, "n_sample must be at least 0"),
        ({"embedding": 32}, "constrained_embedding=False for a separate one"),
        ({"loss": "bpr-max", "logq": 1.0}, "may have set them.. Received: loss='bpr-max', logq=1.0"),
        ({"final_act": "elu"}, "final_act must be one of linear, relu"),
    ],
)
def test_wrong_settings_say_what_is_allowed(settings, message):
    with pytest.raises(ValueError, match=message):
        make_model(**settings)


def test_config_round_trip():
    config = GRU4RecConfig(layers=(3, 4), loss="bpr-max", final_act="elu-1")
    assert GRU4RecConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="units"):
        GRU4RecConfig.from_dict({"units": 3})


class StepOfItsOwn(AdagradMomentum):
    def update_step(self, gradient, variable):
        super().update_step(gradient, variable)


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (AdagradMomentum(weight_decay=0.1), "weight_decay=0.1"),
        (AdagradMomentum(use_ema=True), "use_ema=True"),
        (StepOfItsOwn(), "StepOfItsOwn has an update_step of its own"),
        (keras.optimizers.Adam(), "Adam has no row_updater"),
    ],
    ids=["weight_decay", "use_ema", "update_step", "adam"],
)
def test_what_keras_must_update_is_said_once_with_the_reason(optimizer, reason, caplog):
    model = make_model(jit_compile=True)
    assert model.jit_compile
    assert not caplog.records
    model.compile(optimizer)
    assert not model.jit_compile
    assert [record.getMessage() for record in caplog.records] == [
        f"Keras updates the weights outside the compiled program, which is slower: {reason}."
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"global_clipnorm": 0.01, "learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
        pytest.param({"clipnorm": 0.01}, marks=pytest.mark.slow),
        pytest.param({"clipvalue": 0.001}, marks=pytest.mark.slow),
    ],
    ids=" and ".join,
)
def test_clipped_and_scheduled_training_in_place_equals_keras_own(settings):
    trained = []
    for optimizer in (AdagradMomentum(**settings), StepOfItsOwn(**settings)):
        model = make_model(jit_compile=True)
        model.compile(optimizer)
        for _ in range(6):
            train_on(model, batch([0, 1], [2, 3]))
        trained.append(model)
    assert [model.jit_compile for model in trained] == [True, False]
    found, expected = map(snapshot, trained)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


def test_a_changed_learning_rate_holds_in_a_traced_loop(model):
    train_on(model, batch([0, 1], [2, 3]))
    before = model.embedding.output_table.numpy()
    model.optimizer.learning_rate = 0.0
    model.optimizer.with_slots(model.embedding.output_table).velocity.assign(tf.zeros_like(before))
    train_on(model, batch([0, 1], [2, 3]))
    np.testing.assert_array_equal(model.embedding.output_table, before)


def test_no_two_kinds_of_draws_share_their_words():
    settings = {"dropout_p_embed": 0.5, "dropout_p_hidden": 0.5, "n_sample": 64}
    model = GRU4Rec(Vocabulary(np.arange(9), np.full(9, 2)), GRU4RecConfig(layers=(32,), **settings))
    model.embedding.output_table.assign(tf.ones_like(model.embedding.output_table))
    rows, is_below = tf.constant([1, 2]), random_words((2, 32), model._seed(training=True)) < 0
    seen = {}
    model.tower.step = lambda inputs, state, seed: seen.update(inputs=inputs, seed=seed) or (inputs, state)
    model(rows, training=True)
    of_hidden = random_words((2, 32), seen["seed"]) < 0
    # Three times 64 coins, those of the negatives' words, of the hidden values and of the inputs.
    coins = np.stack([np.ravel(each) for each in (is_below, of_hidden, seen["inputs"] == 0)])
    agreement = (coins[:, np.newaxis] == coins).mean(axis=2)[np.triu_indices(3, 1)]
    assert np.all(np.abs(agreement - 0.5) < 0.35)  # more in one of 50 million runs
