"""Live sessions through a restart, a crash and a version push: no answer differs from the undisturbed one.

The servers are threads of this process, and in the long version processes that can be killed.
GRU4REC_LIVE_SESSIONS=1000 makes that longer still.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import os
import random
import threading

import grpc
import numpy as np
import pytest
from serving_support import calls
from serving_support.exports import ITEMS, UNKNOWN_ITEM, publish_copy
from serving_support.servers import ServerProcess, ServerThread, serving, until

from tfrs_gru4rec.export.serving.client import ServedRecommendations, SessionClient
from tfrs_gru4rec.export.serving.model_servers import ranked
from tfrs_gru4rec.export.serving.retry import RetryPolicy
from tfrs_gru4rec.export.signatures import Status
from tfrs_gru4rec.export.version_folders import WARM_UP_FILE

LONG = int(os.environ.get("GRU4REC_LIVE_SESSIONS", "100"))
N_CLICKS = 9
N_THREADS = 8
PATIENT = RetryPolicy(attempt_seconds=30.0, total_seconds=240.0, longest_wait_seconds=0.5)


def sessions(n_sessions: int) -> dict[str, list[str]]:
    chance = random.Random(11)
    catalogue = [*ITEMS, UNKNOWN_ITEM]
    return {f"live-{number}": chance.choices(catalogue, k=N_CLICKS) for number in range(n_sessions)}


class Disturbance:
    """Stops all threads at a click, does something, and lets them go on.

    So it strikes when every session has had that many clicks, whatever the speed of the machine; that
    calls are under way when it strikes is seen to by `also_under_way`.
    """

    def __init__(self, events: dict[int, object]) -> None:
        self._events = events
        self._click = 0
        self._barrier = threading.Barrier(N_THREADS, self._strike)

    def before_click(self, click: int) -> None:
        if click in self._events:
            self._barrier.wait(300.0)

    def _strike(self) -> None:
        self._click = min(click for click in self._events if click > self._click)
        self._events[self._click]()


def drive(
    client: SessionClient, n_sessions: int, disturbance: Disturbance
) -> dict[tuple[str, int], ServedRecommendations]:
    """Clicks through all sessions, a click of each in turn, from several threads."""
    plan, answers = sessions(n_sessions), {}

    def follow(names: list[str]) -> None:
        for click in range(N_CLICKS):
            disturbance.before_click(click)
            for name in names:
                answers[name, click] = client.click(name, plan[name][click])

    names = list(plan)
    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(follow, [names[start::N_THREADS] for start in range(N_THREADS)]))
    return answers


@pytest.fixture(
    scope="module",
    params=[(ServerThread, 16), pytest.param((ServerProcess, LONG), marks=pytest.mark.slow)],
    ids=["short", "long"],
)
def size(request):
    """What the servers are, and how many sessions live."""
    return request.param


@pytest.fixture(scope="module")
def export(real_export, tmp_path_factory):
    """The real export without its warm-up, which would take most of the time that a server takes to start."""
    copied = publish_copy(real_export, tmp_path_factory.mktemp("cold"), 1)
    (copied / WARM_UP_FILE).unlink()
    return copied


@pytest.fixture(scope="module")
def undisturbed(contract_address, size):
    """The answers of a server that nothing happens to; other tests, and the other size, use it too."""
    with SessionClient(contract_address, policy=PATIENT) as client:
        answers = drive(client, size[1], Disturbance({}))
        for name in sessions(size[1]):
            client.end(name)
    return answers


# Micro-batches of other sizes sum the same products in another order, so scores are equal up to rounding only.
ROUNDING = 1e-5


def assert_equal_answers(answers, expected) -> None:
    assert answers.keys() == expected.keys()
    for key, answer in answers.items():
        assert answer.session_length == expected[key].session_length == key[1] + 1
        np.testing.assert_allclose(answer.scores, expected[key].scores, rtol=0, atol=ROUNDING)
        assert_equal_items(answer, expected[key])


def assert_equal_items(answer, expected) -> None:
    """Items of equal scores, up to rounding, may stand in either order, the last of them outside the top k."""
    assert len(set(answer.item_ids)) == len(answer.item_ids)
    scores = dict(zip(expected.item_ids, expected.scores, strict=True))
    for item, score in zip(answer.item_ids, answer.scores, strict=True):
        assert abs(scores.get(item, expected.scores[-1]) - score) <= ROUNDING, item


def test_restart_crash_and_version_push(export, size, undisturbed, tmp_path):
    kind, n_sessions = size
    export_dir = publish_copy(export, tmp_path / "export", 1).parent
    running = [kind(export_dir, poll_seconds=0.1)]
    address = running[0].address
    port = int(address.split(":")[1])

    def start_again() -> None:
        running.append(kind(export_dir, poll_seconds=0.1, port=port))

    starter = threading.Thread(target=lambda: (running[-1].wait(), start_again()))

    def restart() -> None:
        running[-1].terminate()
        # The threads go on meanwhile and find nobody there.
        starter.start()

    def crash() -> None:
        running[-1].kill()
        start_again()

    def push() -> None:
        publish_copy(export, export_dir, 2)

    try:
        with SessionClient(address, policy=PATIENT) as client:
            answers = drive(client, n_sessions, Disturbance({2: restart, 4: push, 6: crash}))
            stats = client.stats()
        assert len(running) == 3
        running[-1].terminate()
        assert running[-1].wait() == 0
    finally:
        if starter.ident is not None:
            starter.join()
        for process in running:
            if process.is_running():
                process.kill()
    assert_equal_answers(answers, undisturbed)
    # The disturbances did lose the sessions: those alive now were replayed into the last server.
    assert stats["live_sessions"] == n_sessions


def test_version_push_while_calls_are_under_way(export, size, undisturbed, tmp_path):
    kind, n_sessions = size
    export_dir = publish_copy(export, tmp_path / "export", 1).parent
    with serving(export_dir, kind, poll_seconds=0.05) as server:

        def push_soon() -> None:
            threading.Thread(target=publish_copy, args=[export, export_dir, 2]).start()

        with SessionClient(server.address, policy=PATIENT) as client:
            client.click("bystander", ITEMS[0])
            answers = drive(client, n_sessions, Disturbance({3: push_soon}))
            caller = calls.Caller(server.address)
            until(lambda: caller.version() == 2)
            forgotten = caller.step(("bystander", ITEMS[1], 2))
            caller.channel.close()
            replayed = client.click("bystander", ITEMS[1])
    assert_equal_answers(answers, undisturbed)
    # The new version knew nothing of the old one's sessions, so that the answers are equal is the client's work.
    assert (forgotten["status"].tolist(), forgotten["session_length"].tolist()) == ([Status.GAP], [0])
    assert replayed.session_length == 2


@pytest.mark.slow
def test_of_three_servers_one_leaves_and_comes_back(export, size, undisturbed):
    kind, n_sessions = size
    export_dir = export.parent
    with contextlib.ExitStack() as servers:
        addresses = [servers.enter_context(serving(export_dir, kind)).address for _ in range(2)]
        leaving = [kind(export_dir)]
        targets = [leaving[0].address, *addresses]
        homes = collections.Counter(ranked(targets, name)[0] for name in sessions(n_sessions))
        assert homes.keys() == set(targets)

        def live_sessions(address: str) -> int:
            with SessionClient(address, policy=PATIENT) as client:
                return client.stats()["live_sessions"]

        def leave() -> None:
            assert {address: live_sessions(address) for address in targets} == homes
            leaving[0].kill()

        def come_back() -> None:
            assert sum(map(live_sessions, addresses)) == n_sessions
            leaving.append(kind(export_dir, port=int(targets[0].split(":")[1])))
            # A channel looks for a lost server once a second: without waiting, sessions could end before it is found.
            until(reaches_all)

        def reaches_all() -> bool:
            try:
                return client.stats()["live_sessions"] == n_sessions
            except grpc.RpcError:
                return False

        try:
            policy = dataclasses.replace(PATIENT, breaker_seconds=0.05)
            with SessionClient(targets, policy=policy) as client:
                answers = drive(client, n_sessions, Disturbance({2: leave, 5: come_back}))
                assert live_sessions(targets[0]) == homes[targets[0]]
                assert client.stats()["live_sessions"] == sum(map(live_sessions, targets))
        finally:
            for server in leaving:
                if server.is_running():
                    server.kill()
    assert_equal_answers(answers, undisturbed)
