"""Events of one session in one batch: the same as one after another."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.export.rows_of_one_session import apply_in_order, order_in_sessions
from tfrs_gru4rec.export.session_record import accept_events

from oracle import session_store as oracle


def advance(records, rows):
    length, state = tf.split(records, 2, axis=1)
    row = tf.cast(rows[:, None], tf.float32)
    return tf.concat([length + 1.0, tf.where(row >= 0.0, 3.0 * state + row, state)], axis=1)


RECORDS = tf.Variable(tf.zeros([4, 2]))  # of four sessions


@tf.function(
    input_signature=[
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.int32),
    ]
)
def run(sessions, positions, rows):
    """Applies events to new sessions; returns what apply_in_order says, and the order."""
    order = order_in_sessions(sessions, positions)

    def apply(of_turn, positions, rows):
        after, status = accept_events(tf.gather(RECORDS, of_turn), positions, rows, advance)
        with tf.control_dependencies([RECORDS.scatter_nd_update(of_turn[:, None], after)]):
            return tf.identity(after), status

    RECORDS.assign(tf.zeros_like(RECORDS))
    return *apply_in_order(order, apply, (sessions, positions, rows), 2), order


def turns_of(sessions, positions):
    order = run(sessions, positions, [0] * len(sessions))[2]
    heads = order.heads.numpy()
    return heads.tolist(), order.turns.numpy()[heads == np.arange(len(heads))].tolist()


def test_distinct_sessions_take_one_turn():
    assert turns_of([0, 1, 2], [1, 1, 9]) == ([0, 1, 2], [0, 0, 0])


def test_padding_by_repeats_takes_one_turn():
    assert turns_of([0, 1, 0, 0, 0], [4, 1, 4, 4, 4]) == ([0, 1, 0, 0, 0], [0, 0])


def test_appends_and_new_positions_take_a_turn_each():
    assert turns_of([0, 0, 0, 1, 0], [0, 0, 3, 0, 3]) == ([0, 1, 2, 3, 2], [0, 1, 2, 0])


def test_a_position_that_comes_again_after_another_gets_its_own_turn():
    # 3 is a gap at first; after 2 it is the next event.
    answers, statuses, _ = run([0, 0, 0, 0], [1, 3, 2, 3], [5, 6, 7, 6])
    assert statuses.numpy().tolist() == [0, 3, 0, 0]
    # 5; 5; 3 * 5 + 7 = 22; 3 * 22 + 6 = 72
    assert answers.numpy().tolist() == [[1, 5], [1, 5], [2, 22], [3, 72]]


@pytest.mark.parametrize("seed", range(5))
def test_random_batches_equal_one_after_another(seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        n = int(random.integers(1, 40))
        sessions = random.integers(0, 4, n)
        positions = random.integers(0, 6, n)
        rows = random.integers(-1, 3, n)
        answers, statuses, _ = run(sessions, positions, rows)
        expected = oracle.follow(
            zip(sessions, positions, rows, strict=True), lambda state, row: 3.0 * (state or 0.0) + row
        )
        assert statuses.numpy().tolist() == [status for _, _, status in expected]
        assert answers.numpy().tolist() == [[length, state or 0.0] for length, state, _ in expected]
        last = dict(zip(sessions.tolist(), answers.numpy().tolist(), strict=True))
        assert all(RECORDS[session].numpy().tolist() == record for session, record in last.items())
