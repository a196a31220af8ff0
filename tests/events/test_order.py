"""The order of events, where the codes of sessions say nothing about it."""

import numpy as np
import pytest

from tfrs_gru4rec.events.order import session_order

from oracle import session_log as oracle


@pytest.mark.parametrize("seed", range(5))
def test_codes_in_any_order_and_with_gaps(seed):
    generator = np.random.default_rng(seed)
    sessions = generator.choice([2, 3, 70_000, 90_001, 5], 60).astype(np.int32)
    times = generator.integers(0, 6, 60)
    order, offsets = session_order(sessions, times)
    # The item of an event is its place in the input.
    expected = oracle.sessions_in_order(list(zip(sessions.tolist(), range(60), times.tolist(), strict=True)))
    found = [order[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    assert found == [[place for place, _ in session] for session in expected]


def test_events_in_order_need_no_moving():
    order, offsets = session_order(np.array([7, 7, 0, 3, 3], np.int32), np.array([1, 2, 2, 2, 9]))
    assert order is None
    assert offsets.tolist() == [0, 2, 3, 5]


def test_no_events():
    order, offsets = session_order(np.zeros(0, np.int32), np.zeros(0))
    assert order is None
    assert offsets.tolist() == [0]
