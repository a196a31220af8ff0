"""Several servers of one client: which one a session lives in, and what one must not be trusted with on its return."""

import collections
import contextlib

import grpc
import numpy as np
import pytest
from serving_support.exports import ITEMS, UNKNOWN_ITEM
from serving_support.servers import serving

from tfrs_gru4rec.export.serving.client import SessionClient
from tfrs_gru4rec.export.serving.model_servers import ranked
from tfrs_gru4rec.export.serving.retry import NotCalled, RetryPolicy

TARGETS = [f"server-{number}:8500" for number in range(5)]
SESSIONS = [f"visit-{number}" for number in range(5000)]


def test_sessions_are_spread_evenly_and_only_those_of_a_server_that_goes_move():
    homes = {session: ranked(TARGETS, session) for session in SESSIONS}
    counts = collections.Counter(home[0] for home in homes.values())
    # The standard deviation of a count is sqrt(5000 * .2 * .8) = 28.
    assert all(abs(counts[target] - 1000) < 5 * 28 for target in TARGETS)
    seconds = collections.Counter()
    for session, home in homes.items():
        left = ranked(TARGETS[:2] + TARGETS[3:], session)
        assert left == [target for target in home if target != TARGETS[2]]
        seconds[left[0]] += home[0] == TARGETS[2]
    assert min(seconds[target] for target in seconds) > 150, "its sessions go to all the others"


@contextlib.contextmanager
def cut_off(server, is_heard):
    """A server whose answers are lost, and which is not even reached unless it is heard."""
    real = server._call

    def lost(request, timeout):
        if is_heard:
            real(request, timeout=timeout)
        raise NotCalled(grpc.StatusCode.UNAVAILABLE, "The line is cut.")

    server._call = lost
    yield
    server._call = real


@pytest.fixture
def pair(real_export):
    export_dir = real_export.parent
    policy = RetryPolicy(attempt_seconds=20.0, total_seconds=0.0, breaker_failures=100)
    with (
        serving(export_dir) as first,
        serving(export_dir) as second,
        SessionClient([first.address, second.address], policy=policy) as client,
    ):
        yield client


def test_a_server_that_took_a_click_which_failed_does_not_go_on_from_it(pair):
    home, other = (pair._servers[target] for target in ranked(pair._servers, "a"))
    for item in ITEMS[:2]:
        pair.click("a", item)
    cut = pytest.raises(grpc.RpcError, match="cut")
    with cut_off(home, is_heard=True), cut_off(other, is_heard=False), cut:
        pair.click("a", ITEMS[2])  # which the one at home has counted as the third
    with cut_off(home, is_heard=False):
        assert pair.click("a", ITEMS[3]).session_length == 3
    answer = pair.click("a", ITEMS[4])
    assert answer.session_length == 4
    wanted = pair.recommend([*ITEMS[:2], *ITEMS[3:5]])
    np.testing.assert_allclose(answer.scores, wanted.scores, rtol=0, atol=1e-5)


def test_what_is_withdrawn_is_told_to_a_server_that_was_away(pair):
    home, _ = (pair._servers[target] for target in ranked(pair._servers, "a"))
    pair.click("a", UNKNOWN_ITEM)
    with cut_off(home, is_heard=False):
        pair.set_availability(ITEMS[:2], False)
        assert not set(ITEMS[:2]) & set(pair.click("b", UNKNOWN_ITEM).item_ids)
    pair.click("a", ITEMS[3])
    assert not set(ITEMS[:2]) & set(pair.click("a", UNKNOWN_ITEM).item_ids)


def test_there_must_be_a_server():
    with pytest.raises(ValueError, match=r"target must name a server\. Received: target=\[\]"):
        SessionClient([])
