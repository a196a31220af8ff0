"""The contract of tfrs.Model: what a subclass overrides is what trains."""

import functools

import numpy as np
import pytest

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.layers import ItemEmbedding
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.tasks import SessionRetrieval

N_ITEMS, LANES = 9, 3


def block_of(n_steps=2):
    rng = np.random.default_rng(4)
    rows = rng.integers(0, N_ITEMS, (2, n_steps, LANES)).astype(np.int32)
    is_start = np.arange(n_steps)[:, np.newaxis] == np.zeros(LANES)
    return SessionBatch(*map(tf.constant, (*rows, is_start, np.ones((n_steps, LANES), bool))))


def trained(kind, optimizer=None, run_eagerly=True):
    """Trains on two steps; returns the model, its weights by name before that, and the mean loss."""
    vocabulary = Vocabulary(np.arange(N_ITEMS), np.arange(N_ITEMS, 0, -1))
    model = kind(vocabulary, GRU4RecConfig(layers=(4,), n_sample=3))
    model.compile(optimizer or AdagradMomentum(0.1), run_eagerly=run_eagerly)
    before = {variable.name: variable.numpy() for variable in model.trainable_variables}
    data = tf.data.Dataset.from_tensors(block_of())
    history = model.fit(data, verbose=0).history
    return model, before, history["loss"][0]


class Scaled(GRU4Rec):
    def compute_loss(self, inputs, training=False):
        return 3.0 * super().compute_loss(inputs, training)


class OnlyBiases(GRU4Rec):
    def compute_loss(self, inputs, training=False):
        super().compute_loss(inputs, training)
        return tf.reduce_sum(tf.gather(self.embedding.output_bias, inputs.target_rows))


class WholeTable(GRU4Rec):
    """Its gradient by the table is dense: it does not look rows up."""

    def compute_loss(self, inputs, training=False):
        return super().compute_loss(inputs, training) + tf.reduce_sum(self.embedding.output_table)


class Halved(GRU4Rec):
    def call(self, item_rows, state=None, training=False):
        query, next_state = super().call(item_rows, state, training)
        return query * self.half, next_state

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.half = tf.Variable(0.5, name="half")


class Negated(SessionRetrieval):
    def call(self, query_embeddings, candidate_embeddings, candidate_biases=None, **masks):
        masks.pop("training", None)  # Keras adds it
        return -super().call(query_embeddings, candidate_embeddings, candidate_biases, **masks)


class NegatedTask(GRU4Rec):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.task = Negated()


class Regularised(GRU4Rec):
    """A layer that adds a loss of its own, as Keras' regularisers do."""

    def call(self, item_rows, state=None, training=False):
        self.add_loss(tf.reduce_sum(tf.square(self.tower.gru_layers[0].bias - 1.0)))
        return super().call(item_rows, state, training)


class AllButTask(Scaled, WholeTable, Regularised, Halved):
    """Each override above but one at once; a step reads each row once."""


class AllOfThem(AllButTask, NegatedTask):
    """With a task of its own, which knows nothing of rows that are read once."""


class OtherRows(GRU4Rec):
    """Follows other inputs than the step's."""

    def call(self, item_rows, state=None, training=False):
        return super().call((item_rows + 1) % N_ITEMS, state, training)


class OtherTargets(GRU4Rec):
    """Scores other targets than the step's, so other candidates."""

    def compute_loss(self, inputs, training=False):
        others = (inputs.target_rows + 2) % N_ITEMS
        return super().compute_loss(inputs._replace(target_rows=others), training)


class Doubled(ItemEmbedding):
    """An embedding of one's own: the input reads twice the rows."""

    def look_up(self, rows):
        return 2.0 * super().look_up(rows)


class OwnEmbedding(GRU4Rec):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.embedding = Doubled(N_ITEMS, output_width=4, first_units=4)


class FixedItems(GRU4Rec):
    """Trains the GRU alone."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.embedding.trainable = False


IN_PLACE = functools.partial(AdagradMomentum, momentum=0.3)


@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        (AllOfThem, IN_PLACE),
        (AllOfThem, keras.optimizers.SGD),
        (AllButTask, IN_PLACE),
        (OtherRows, IN_PLACE),
        (OtherTargets, IN_PLACE),
        (OwnEmbedding, IN_PLACE),
        (FixedItems, IN_PLACE),
    ],
)
def test_overrides_are_compiled_as_they_run_eagerly(kind, optimizer):
    compiled, before, loss = trained(kind, optimizer(0.1), run_eagerly=False)
    eager, _, expected = trained(kind, optimizer(0.1))
    assert compiled.jit_compile == (optimizer is IN_PLACE)
    # Two steps of some 20 float32 operations each, on values of about 1.
    assert loss == pytest.approx(expected, rel=1e-5)
    for found, weight in zip(compiled.trainable_variables, eager.trainable_variables, strict=True):
        assert np.any(found.numpy() != before[found.name]), found.name
        np.testing.assert_allclose(found, weight, rtol=1e-5, atol=2e-6, err_msg=found.name)


@pytest.mark.parametrize("optimizer", [AdagradMomentum, keras.optimizers.SGD], ids=["in place", "by Keras"])
def test_the_loss_that_is_overridden_is_descended(optimizer):
    plain, before, loss = trained(GRU4Rec, optimizer(0.1))
    scaled, _, scaled_loss = trained(Scaled, optimizer(0.1))
    assert scaled_loss == pytest.approx(3 * loss, rel=0.1)  # the second step starts from other weights
    if optimizer is AdagradMomentum:
        slots = [model.optimizer.with_slots(model.tower.gru_layers[0].kernel) for model in (plain, scaled)]
        assert float(tf.norm(slots[1].accumulator)) > 4 * float(tf.norm(slots[0].accumulator))
    model, before, _ = trained(OnlyBiases, optimizer(0.1))
    for variable in model.trainable_variables:
        is_touched = np.any(before[variable.name] != variable.numpy())
        assert is_touched == (variable is model.embedding.output_bias), variable.name
    touched = np.flatnonzero(model.embedding.output_bias.numpy())
    np.testing.assert_array_equal(touched, np.unique(block_of().target_rows))


def test_a_dense_gradient_of_a_table_moves_all_of_it():
    model, before, _ = trained(WholeTable)
    table = model.embedding.output_table
    assert np.all(table.numpy() != before[table.name])


def test_the_call_that_is_overridden_is_trained_and_its_variables_too():
    model, _, _ = trained(Halved)
    assert float(model.half) != 0.5
    step = block_of().at(0)
    found, expected = model(step.input_rows)[0], GRU4Rec.call(model, step.input_rows)[0]
    np.testing.assert_allclose(found, expected * float(model.half), rtol=1e-6)


def test_the_task_that_is_replaced_is_descended():
    _, _, loss = trained(GRU4Rec)
    _, _, negated = trained(NegatedTask)
    assert loss > 0 > negated


def test_losses_that_layers_add_are_descended():
    model, before, _ = trained(Regularised)
    bias = model.tower.gru_layers[0].bias
    assert np.all(bias.numpy() > before[bias.name])


def test_what_compute_loss_returns_is_what_train_step_reports():
    model, _, _ = trained(GRU4Rec)
    model.lanes.write(model.initial_state(LANES))
    expected = float(model.compute_loss(block_of(1).at(0), training=True))
    model.lanes.write(model.initial_state(LANES))
    model.reset_metrics()
    found = model.make_train_function()(iter(tf.data.Dataset.from_tensors(block_of(1))))
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-6)
