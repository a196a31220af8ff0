"""The fold over padded sessions: what is passed over, and what is not computed."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_gru4rec.layers.session_fold import advance_items, fold_session

# Whole numbers, so that results are exact and show the order of the items.
SESSIONS = np.array(
    [[3, 1, 2, -1, -1], [-1, 4, -1, 5, -1], [-1, -1, -1, -1, -1], [7, -1, -1, -1, -1]], np.int32
)


def advance(state, rows):
    first, second = state
    moved = 10.0 * first + tf.cast(rows, tf.float32)[:, tf.newaxis]
    return moved, second + moved[:, :1, tf.newaxis]


def start(n):
    return tf.zeros([n, 2]), tf.zeros([n, 1, 3])


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_follows_each_session_and_passes_over_padding(wrap):
    fold = wrap(lambda rows: fold_session(advance, rows, start(tf.shape(rows)[0])))
    first, second = fold(tf.constant(SESSIONS))
    # 3, 31, 312; 4, 45; nothing; 7. The second part sums what the first part was after each item.
    np.testing.assert_array_equal(first, np.repeat([[312], [45], [0], [7]], 2, axis=1))
    np.testing.assert_array_equal(second[:, 0], np.repeat([[3 + 31 + 312], [4 + 45], [0], [7]], 3, axis=1))


def test_one_session_gives_the_same_alone_and_in_any_padding():
    for session in SESSIONS:
        items = session[session >= 0]
        for padded in (items, [-1, *items], [*items, -1, -1]):
            rows = tf.constant([padded], tf.int32, shape=[1, len(padded)])
            expected = int("".join(map(str, items)) or 0)
            assert fold_session(advance, rows, start(1))[0].numpy().tolist() == [[expected] * 2]


@pytest.mark.parametrize(("rows", "n_computed"), [(SESSIONS, 4), (SESSIONS[:1], 3), (SESSIONS[2:3], 0)])
def test_columns_after_the_last_item_of_all_are_not_computed(rows, n_computed):
    asked = []

    def watched(state, item_rows):
        asked.append(item_rows.numpy().tolist())
        return state

    fold_session(watched, tf.constant(rows), tf.zeros([len(rows)]))
    # A pad is handed on as row 0, which every table has.
    assert asked == np.maximum(rows, 0).T.tolist()[:n_computed]


def test_sessions_of_no_column_stay_at_their_start():
    begun = tf.constant([[1.0, 2.0]])
    np.testing.assert_array_equal(
        fold_session(lambda state, _: state + 1, tf.zeros([1, 0], tf.int32), begun), begun
    )


def test_a_start_of_ones_own_is_moved_on():
    moved = advance_items(
        lambda state, rows: state * 2 + rows, tf.constant([-1, 0, 3]), tf.constant([5, 6, 7])
    )
    assert moved.numpy().tolist() == [5, 12, 17]
