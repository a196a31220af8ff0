"""Records stay finite and their numbers exact, or are refused."""

import numpy as np
import pytest
import tensorflow as tf
from export_support.tiny_model import TinyModel, serving_model

from tfrs_gru4rec.export.session_record import (
    EXACT_FLOATS,
    SessionRecords,
    accept_events,
    require_exact_rows,
    session_lengths,
)
from tfrs_gru4rec.export.signatures import MAX_SESSION_EVENTS, Status


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_item_that_would_spoil_a_record_counts_and_changes_nothing_else(bad):
    model = TinyModel()
    # The second layer adds what the first one makes of an item, so a NaN there would stay for ever.
    model.step = lambda rows, state, step=model.step: tuple(
        _spoiled(part, rows, bad) for part in step(rows, state)
    )
    records = SessionRecords(model, n_seen=2)
    good = records.advance(tf.zeros([1, records.size]), tf.constant([1]))
    after = records.advance(good, tf.constant([7])).numpy()
    assert after[0, 0] == 2.0
    np.testing.assert_array_equal(after[:, 1:], good[:, 1:])
    folded = records.fold(tf.constant([[1, 7]]), tf.constant([2])).numpy()
    np.testing.assert_array_equal(folded, after)


def _spoiled(part, rows, bad):
    if isinstance(part, tuple):
        return tuple(_spoiled(each, rows, bad) for each in part)
    return tf.where(rows[:, tf.newaxis] == 7, bad, part)


def test_a_session_as_long_as_a_float_counts_takes_no_more_and_says_so():
    def accept(length, position):
        records = tf.constant([[float(length), 1.0]])
        advance = lambda values, _: values + tf.constant([[1.0, 0.0]])  # noqa: E731
        after, status = accept_events(records, tf.constant([position], tf.int64), tf.constant([3]), advance)
        return int(session_lengths(after)[0]), Status(int(status[0]))

    full = MAX_SESSION_EVENTS
    assert accept(full - 1, full) == (full, Status.APPLIED)
    assert accept(full - 1, 0) == (full, Status.APPLIED)
    for position in (0, full + 1):
        assert accept(full, position) == (full, Status.GAP)
    assert accept(full, full) == (full, Status.REPEATED)
    # The next whole number is no float32, so this is as far as it can count.
    assert np.float32(full) + np.float32(1.0) == np.float32(full) == np.float32(full - 1) + np.float32(1.0)


def test_a_catalogue_beyond_exact_floats_is_refused():
    require_exact_rows(EXACT_FLOATS)
    with pytest.raises(ValueError, match="at most 16777216 items"):
        require_exact_rows(EXACT_FLOATS + 1)
    # Length, whether known, two layers, and all twelve items.
    assert serving_model().sessions.record_size == 1 + 1 + 3 + 2 + 12


def test_a_record_that_would_remember_no_item_is_refused():
    with pytest.raises(ValueError, match=r"n_seen=0"):
        SessionRecords(TinyModel(), n_seen=0)
