"""The session-parallel pipeline against a plain simulation of the lanes."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import BLOCK_STEPS, SessionBatch, epoch_order, session_parallel
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle.lane_schedule import simulate

N_ITEMS = 50


def make_log(sessions):
    """A log of the given lists of rows, in that order."""
    items = np.concatenate([np.asarray(session, np.int32) for session in sessions]).astype(np.int32)
    lengths = [len(session) for session in sessions]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    vocabulary = Vocabulary(np.arange(N_ITEMS), np.bincount(items, minlength=N_ITEMS))
    return SessionLog(items, offsets, np.arange(len(items)), vocabulary)


def random_sessions(seed, n_sessions=70):
    generator = np.random.default_rng(seed)
    lengths = generator.geometric(0.3, n_sessions)  # many sessions of length 1, which give no pair
    return [generator.integers(0, N_ITEMS, length).tolist() for length in lengths]


def batches_of(dataset):
    """All steps of all blocks, those without a live lane included."""
    for block in dataset.as_numpy_iterator():
        for step in range(len(block.is_live)):
            yield block.at(step)


def steps_of(dataset):
    """The live steps as the oracle gives them: a tuple (input, target, is_start) or None for each lane."""
    steps = [
        [
            (int(now), int(then), bool(start)) if live else None
            for now, then, start, live in zip(*batch, strict=True)
        ]
        for batch in batches_of(dataset)
    ]
    n_live = sum(any(step) for step in steps)
    assert all(any(step) for step in steps[:n_live])  # those that fill up a block come after all others
    return steps[:n_live]


def pairs_of(steps):
    return collections.Counter(pair[:2] for step in steps for pair in step if pair is not None)


@pytest.mark.parametrize("n_lanes", [1, 2, 5, 32, 100])
@pytest.mark.parametrize("seed", range(4))
def test_time_order_is_that_of_the_simulation(seed, n_lanes):
    sessions = random_sessions(seed)
    dataset = session_parallel(make_log(sessions), n_lanes)
    expected = simulate(sessions, n_lanes)
    assert steps_of(dataset) == expected
    assert dataset.cardinality() == -(-len(expected) // BLOCK_STEPS)


def test_small_case_by_hand():
    # The session [9] has no pair; lane 1 takes [4, 5] at step 1, when [7, 8] is done; at step 2 only lane 0
    # is live, and lane 1 repeats its rows.
    dataset = session_parallel(make_log([[1, 2, 3, 6], [9], [7, 8], [4, 5]]), 2, block_steps=3)
    batches = list(batches_of(dataset))
    assert [batch.input_rows.tolist() for batch in batches] == [[1, 7], [2, 4], [3, 3]]
    assert [batch.target_rows.tolist() for batch in batches] == [[2, 8], [3, 5], [6, 6]]
    assert [batch.is_start.tolist() for batch in batches] == [[True, True], [False, True], [False, False]]
    assert [batch.is_live.tolist() for batch in batches] == [[True, True], [True, True], [True, False]]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("n_lanes", [1, 3, 30, 100])
def test_every_pair_is_seen_once(n_lanes, shuffle):
    sessions = random_sessions(9)
    expected = collections.Counter((a, b) for s in sessions for a, b in zip(s[:-1], s[1:], strict=True))
    assert pairs_of(steps_of(session_parallel(make_log(sessions), n_lanes, shuffle))) == expected


@pytest.mark.parametrize("shuffle", [False, True])
def test_empty_lanes_repeat_a_live_lane_of_their_step(shuffle):
    log = make_log(random_sessions(3))
    n_empty_steps = 0
    for batch in batches_of(session_parallel(log, 20, shuffle, block_steps=1)):
        assert not (batch.is_start & ~batch.is_live).any()
        rows = set(zip(batch.input_rows, batch.target_rows, strict=True))
        live = rows & set(zip(batch.input_rows[batch.is_live], batch.target_rows[batch.is_live], strict=True))
        if batch.is_live.any():
            assert rows == live
        else:
            n_empty_steps += 1
            assert rows == {(0, 0)}
    assert (n_empty_steps > 0) == shuffle


def test_shuffled_epochs_are_the_simulation_of_their_order():
    sessions = [session for session in random_sessions(5) if len(session) > 1]
    dataset = session_parallel(make_log(sessions), 6, shuffle=True, seed=8)
    for epoch in range(3):
        steps = steps_of(dataset)
        order = epoch_order(len(sessions), seed=8, epoch=epoch).numpy()
        assert sorted(order) == list(range(len(sessions)))
        expected = simulate([sessions[session] for session in order], 6)
        assert steps == expected


def test_shuffled_orders_differ_by_epoch_and_seed_and_repeat():
    log = make_log(random_sessions(5))
    first = session_parallel(log, 6, shuffle=True, seed=8)
    epochs = [steps_of(first) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    again = session_parallel(log, 6, shuffle=True, seed=8)
    assert [steps_of(again) for _ in range(3)] == epochs
    assert steps_of(session_parallel(log, 6, shuffle=True, seed=9)) != epochs[0]
    assert steps_of(session_parallel(log, 6, shuffle=True, seed=8, first_epoch=2)) == epochs[2]


@pytest.mark.parametrize("n_lanes", [1, 4, 100])
@pytest.mark.parametrize("shuffle", [False, True])
def test_resuming_inside_an_epoch_gives_the_rest_of_it(shuffle, n_lanes):
    log = make_log(random_sessions(6))
    settings = {"shuffle": shuffle, "seed": 2, "first_epoch": 1, "block_steps": 3}
    whole = session_parallel(log, n_lanes, **settings)
    n_blocks = int(whole.cardinality())
    whole = steps_of(whole)
    for block in {1, n_blocks // 2, n_blocks - 1} - {0}:
        step = 3 * block
        dataset = session_parallel(log, n_lanes, first_step=step, **settings)
        assert dataset.cardinality() == n_blocks - block
        assert steps_of(dataset) == whole[step:]
        assert steps_of(dataset) == whole[step:]  # a second iteration is the same rest


def test_a_run_of_epochs_may_be_one_dataset():
    log = make_log(random_sessions(5))
    epochs = [steps_of(session_parallel(log, 6, shuffle=True, first_epoch=epoch)) for epoch in range(4)]
    rest = session_parallel(log, 6, shuffle=True, first_epoch=1, first_step=9, block_steps=3)
    run = rest.concatenate(session_parallel(log, 6, shuffle=True, first_epoch=2, block_steps=3).repeat(2))
    steps = [step for block in run for step in steps_of(tf.data.Dataset.from_tensors(block))]
    assert steps == epochs[1][9:] + epochs[2] + epochs[3]


def test_keras_counts_each_epoch_once():
    # Keras makes an iterator that it never asks for a batch; that must not use up an epoch's number.
    from tfrs_gru4rec._keras import keras

    class Recorder(keras.Model):
        def __init__(self):
            super().__init__()
            self.first_rows = []

        def train_step(self, batch):
            rows = tf.boolean_mask(batch.input_rows, batch.is_live)
            self.seen.assign(tf.concat([self.seen, rows], axis=0))
            return {}

    sessions = [session for session in random_sessions(5) if len(session) > 1]
    log = make_log(sessions)
    model = Recorder()
    model.seen = tf.Variable(tf.zeros([0], tf.int32), shape=[None], trainable=False)
    model.compile()
    model.fit(session_parallel(log, 1, shuffle=True, seed=3), epochs=3, verbose=0)
    orders = [epoch_order(len(sessions), 3, epoch).numpy() for epoch in range(3)]
    expected = [row for order in orders for session in order for row in sessions[session][:-1]]
    assert model.seen.numpy().tolist() == expected


@pytest.mark.parametrize("shuffle", [False, True])
def test_shapes_are_static(shuffle):
    spec = session_parallel(make_log(random_sessions(1)), 7, shuffle, block_steps=5).element_spec
    assert [component.shape.as_list() for component in spec] == [[5, 7]] * 4
    assert [component.dtype for component in spec] == [tf.int32, tf.int32, tf.bool, tf.bool]


def test_no_python_in_the_loop():
    graph = session_parallel(make_log(random_sessions(1)), 7, shuffle=True)._variant_tensor
    definition = tf.raw_ops.DatasetToGraphV2(input_dataset=graph, external_state_policy=1).numpy()
    assert b"ScanDataset" in definition
    assert b"PyFunc" not in definition


def test_a_log_without_pairs_is_refused():
    with pytest.raises(ValueError, match=r"session of two events or more\. Received: sessions=2"):
        session_parallel(make_log([[1], [2]]), 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"block_steps": 0}, "block_steps must be at least 1"),
        ({"first_step": 2, "block_steps": 1}, "below the number of steps of the epoch"),
        ({"first_step": 1, "block_steps": 2}, "first_step must be a multiple of block_steps"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        session_parallel(make_log([[1, 2, 3]]), **{"batch_size": 2, **arguments})


@pytest.mark.slow
def test_op_determinism_changes_nothing(run_fresh, capsys):
    code = """
import numpy as np
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
items = np.arange(300, dtype=np.int32)
log = SessionLog(items, np.arange(0, 301, 3), items, Vocabulary(items.astype(np.int64), items.astype(np.int64)))
for block in session_parallel(log, 7, shuffle=True, seed=4, block_steps=4).repeat(2).as_numpy_iterator():
    print(block.input_rows.ravel().tolist(), block.is_live.ravel().tolist())
"""
    exec(code, {})
    usual = capsys.readouterr().out
    # For good in its process.
    setting = "tf.keras.utils.set_random_seed(1); tf.config.experimental.enable_op_determinism()"
    deterministic = run_fresh(f"import tensorflow as tf\n{setting}\n{code}")
    assert deterministic.returncode == 0, deterministic.stderr
    assert len(usual.splitlines()) == 2 * 8
    assert usual == deterministic.stdout


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("block_steps", [1, 7, 1000])
def test_a_block_is_so_many_steps_in_a_row(shuffle, block_steps):
    log = make_log(random_sessions(4))
    settings = {"shuffle": shuffle, "seed": 3, "first_epoch": 1}
    n_steps = int(session_parallel(log, 6, block_steps=1, **settings).cardinality())
    blocks = session_parallel(log, 6, block_steps=block_steps, **settings)
    assert int(blocks.cardinality()) == -(-n_steps // block_steps)
    assert steps_of(blocks) == steps_of(session_parallel(log, 6, block_steps=1, **settings))


def test_the_steps_of_a_block_are_acted_on_in_order_and_only_the_live_ones():
    block = next(iter(session_parallel(make_log([[1, 2, 3], [4, 5]]), 2, block_steps=5)))
    seen = []
    assert int(block.n_live_steps()) == 2
    block.for_each_live_step(lambda step: seen.append(step.input_rows.numpy().tolist()))
    assert seen == [[1, 4], [2, 2]]


def test_acting_on_each_step_is_one_loop_in_a_graph():
    total = tf.Variable(0)

    @tf.function
    def add_up(block):
        block.for_each_live_step(lambda step: total.assign_add(tf.reduce_sum(step.target_rows)))

    rows = tf.constant([[1, 2], [3, 4], [90, 90]])
    live = tf.constant([[True, True], [True, False], [False, False]])
    add_up(SessionBatch(rows, rows, live, live))
    assert int(total) == 1 + 2 + 3 + 4
