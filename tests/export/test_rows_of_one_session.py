"""Events of one session in one batch: the same as one after another."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.export.rows_of_one_session import apply_events, apply_in_order, order_in_sessions

from oracle import session_store as oracle


def advance(vectors, rows):
    return tf.where(rows[:, None] >= 0, 3.0 * vectors + tf.cast(rows[:, None], tf.float32), vectors)


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

    def apply(batch_rows):
        of_batch = tf.gather(sessions, batch_rows)
        events = tf.gather(positions, batch_rows), tf.gather(rows, batch_rows)
        after, status = apply_events(tf.gather(RECORDS, of_batch), *events, advance)
        with tf.control_dependencies([RECORDS.scatter_nd_update(of_batch[:, None], after)]):
            return tf.identity(after), status

    RECORDS.assign(tf.zeros_like(RECORDS))
    return *apply_in_order(order, apply, 2), order


def waves(sessions, positions):
    order = run(sessions, positions, [0] * len(sessions))[2]
    heads = order.heads.numpy()
    return heads.tolist(), order.waves.numpy()[heads == np.arange(len(heads))].tolist()


def test_distinct_sessions_take_one_wave():
    assert waves([0, 1, 2], [1, 1, 9]) == ([0, 1, 2], [0, 0, 0])


def test_padding_by_repeats_takes_one_wave():
    assert waves([0, 1, 0, 0, 0], [4, 1, 4, 4, 4]) == ([0, 1, 0, 0, 0], [0, 0])


def test_appends_and_new_positions_take_a_wave_each():
    assert waves([0, 0, 0, 1, 0], [0, 0, 3, 0, 3]) == ([0, 1, 2, 3, 2], [0, 1, 2, 0])


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
