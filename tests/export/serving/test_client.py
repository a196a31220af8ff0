"""SessionClient against a server that loses answers, goes down and forgets."""

import random
import threading
import time

import grpc
import numpy as np
import pytest
from serving_support.fake_server import FakeServer, running

from tfrs_gru4rec.export.serving.client import Filters, SessionClient
from tfrs_gru4rec.export.serving.retry import Deadline, RetryPolicy
from tfrs_gru4rec.export.signatures import Status

PATIENT = RetryPolicy(
    attempt_seconds=5.0, total_seconds=30.0, first_wait_seconds=0.001, longest_wait_seconds=0.01
)
ONE_TRY = RetryPolicy(attempt_seconds=5.0, total_seconds=0.0)


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def address(server):
    with running(server) as target:
        yield target


@pytest.fixture
def client(address):
    with SessionClient(address, policy=PATIENT) as made:
        yield made


def test_clicks_are_numbered_from_one_by_session(client, server):
    assert client.click("a", "x").item_ids == ["x"]
    assert client.click("b", "y").item_ids == ["y"]
    answer = client.click("a", "z")
    assert answer.item_ids == ["x", "z"]
    np.testing.assert_array_equal(answer.scores, np.float32([1.0, 0.5]))
    assert (answer.session_length, answer.status) == (2, Status.APPLIED)
    assert [request.inputs["position"].int64_val[0] for request in server.requests] == [1, 1, 2]


def test_an_unknown_item_counts(client):
    assert client.click("a", "unknown").status == Status.UNKNOWN_ITEM
    assert client.click("a", "x").session_length == 2


@pytest.mark.parametrize("fault", ["lost", "down"])
def test_a_click_sent_again_counts_once(client, server, fault):
    client.click("a", "x")
    server.faults = [fault, fault]
    answer = client.click("a", "y")
    assert answer.item_ids == ["x", "y"]
    assert client.click("a", "z").item_ids == ["x", "y", "z"]
    assert server.signatures_asked() == ["step", "step", "step", "step", "step"]


def test_a_late_answer_is_asked_for_again(address, server):
    policy = RetryPolicy(attempt_seconds=0.3, total_seconds=30.0, first_wait_seconds=0.001)
    with SessionClient(address, policy=policy) as client:
        server.faults = ["slow"]
        assert client.click("a", "x").item_ids == ["x"]
        assert client.click("a", "y").item_ids == ["x", "y"]


def test_replays_what_the_server_has_forgotten(client, server):
    for item in "xyz":
        client.click("a", item)
    server.forget()
    server.signatures_asked()
    answer = client.click("a", "w")
    assert answer.item_ids == ["x", "y", "z", "w"]
    assert answer.session_length == 4
    assert server.signatures_asked() == ["step", "replay"]
    assert client.click("a", "v").session_length == 5
    assert server.signatures_asked() == ["step"]


def test_a_replay_is_padded_to_a_length_in_common_use(client, server):
    client.click("a", "x")
    server.forget()
    client.click("a", "y")
    proto = server.requests[-1].inputs["item_ids"]
    assert [dim.size for dim in proto.tensor_shape.dim] == [1, 8]
    assert list(proto.string_val) == [b"x", b"y", *[b""] * 6]


def test_rows_can_be_padded_to_one_length(address, server):
    with SessionClient(address, policy=PATIENT, max_items=32, min_row_length=32) as client:
        client.recommend(["x"])
        client.recommend(["x"] * 20)
    sizes = [request.inputs["item_ids"].tensor_shape.dim[1].size for request in server.requests]
    assert sizes == [32, 32]


def test_a_long_session_is_replayed_from_its_latest_items(address, server):
    with SessionClient(address, policy=PATIENT, max_items=3) as client:
        for item in "abcde":
            client.click("a", item)
        assert len(server.sessions[b"a"]) == 5
        server.forget()
        answer = client.click("a", "f")
        assert answer.item_ids == ["d", "e", "f"]
        assert answer.session_length == 3
        # Numbering goes on from there.
        assert client.click("a", "g").item_ids == ["d", "e", "f", "g"]


@pytest.mark.parametrize("fault", ["lost", "down"])
def test_a_click_that_fails_does_not_count_whether_or_not_it_was_taken(address, server, fault):
    with SessionClient(address, policy=ONE_TRY) as client:
        client.click("a", "x")
        server.faults = [fault]
        with pytest.raises(grpc.RpcError):
            client.click("a", "lost")
        assert client.click("a", "y").item_ids == ["x", "y"]
        assert client.click("a", "z").item_ids == ["x", "y", "z"]


def test_a_first_click_that_fails_does_not_count(address, server):
    with SessionClient(address, policy=ONE_TRY) as client:
        server.faults = ["lost"]
        with pytest.raises(grpc.RpcError):
            client.click("a", "lost")
        assert client.click("a", "y").item_ids == ["y"]


def test_a_replay_that_fails_does_not_count(address, server):
    with SessionClient(address, policy=ONE_TRY) as client:
        client.click("a", "x")
        client.click("a", "y")
        server.forget()
        server.faults = [None, "lost"]  # the step finds a gap, the answer to the replay is lost
        with pytest.raises(grpc.RpcError):
            client.click("a", "lost")
        assert client.click("a", "z").item_ids == ["x", "y", "z"]


def test_a_refused_click_is_not_tried_again_and_changes_nothing(client, server):
    client.click("a", "x")
    server.signatures_asked()
    with pytest.raises(grpc.RpcError) as caught:
        client.click("a", "")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert client.click("a", "y").item_ids == ["x", "y"]
    # Between them the client asks whether the model's ids are of another type.
    assert server.signatures_asked() == ["step", "recommend", "step"]


def test_takes_no_other_clients_click_for_its_own(address, client):
    client.click("a", "x")
    with SessionClient(address, policy=PATIENT) as other:
        # The server has one event, which is what it would have if this click had been sent before.
        assert other.click("a", "y").item_ids == ["x", "y"]


def test_gives_up_on_a_session_it_cannot_follow(client, server):
    original = server.step

    def overtaken(context, session_id, item_id, position):
        server.sessions.setdefault(b"a", []).append(b"other")
        return original(context, session_id, item_id, position)

    server.step = overtaken
    with pytest.raises(RuntimeError, match="faster than this client can follow"):
        client.click("a", "x")
    assert b"x" not in server.sessions[b"a"]


def test_goes_on_with_a_session_another_client_began(address, client):
    client.click("a", "x")
    client.click("a", "y")
    with SessionClient(address, policy=PATIENT) as other:
        answer = other.click("a", "z")
        assert answer.item_ids == ["x", "y", "z"]
        assert answer.status == Status.APPLIED
        assert other.click("a", "w").item_ids == ["x", "y", "z", "w"]
    # And the first one catches up.
    assert client.click("a", "v").item_ids == ["x", "y", "z", "w", "v"]


def test_forgets_the_least_recently_used_session_first(address, server):
    with SessionClient(address, policy=PATIENT, max_sessions=2) as client:
        for session_id in ("a", "b", "a", "c"):
            client.click(session_id, "x")
        server.forget()
        assert client.click("a", "y").item_ids == ["x", "x", "y"]
        assert client.click("b", "y").item_ids == ["y"]  # its past went with it


def test_recommend_score_end_and_stats(client, server):
    answer = client.recommend(["x", "y"])
    assert answer.item_ids == ["x", "y"]
    assert (answer.session_length, answer.status) == (2, Status.APPLIED)
    assert server.sessions == {}
    np.testing.assert_array_equal(client.score_items(["x", "x", "y"], ["x", "z", "y"]), [2.0, 0.0, 1.0])
    client.click("a", "x")
    np.testing.assert_array_equal(client.score("a", ["y", "x"]), [0.0, 1.0])
    assert client.stats() == {"live_sessions": 1, "capacity": 9}
    assert client.end("a") is True
    assert client.end("a") is False
    assert client.click("a", "y").item_ids == ["y"]


def test_score_replays_a_forgotten_session(client, server):
    client.click("a", "x")
    server.forget()
    np.testing.assert_array_equal(client.score("a", ["x"]), [1.0])
    assert server.sessions == {b"a": [b"x"]}
    # Nobody's session is not made up.
    np.testing.assert_array_equal(client.score("nobody", ["x"]), [0.0])
    assert b"nobody" not in server.sessions


def test_arguments_are_checked(client):
    for call in (
        lambda: client.recommend([]),
        lambda: client.recommend([], Filters(exclude_seen=True)),
        lambda: client.recommend(["x"] * 1025),
        lambda: client.score("a", []),
    ):
        with pytest.raises(ValueError, match="must hold 1 to"):
            call()
    with pytest.raises(ValueError, match="max_items must be 1 to 1024"):
        SessionClient(max_items=1025)
    with pytest.raises(ValueError, match="min_row_length must be 0 to 1024"):
        SessionClient(min_row_length=-1)
    with pytest.raises(ValueError, match="max_sessions must be greater than 0"):
        SessionClient(max_sessions=0)


def test_model_name_and_version_are_asked_for(address, server):
    with SessionClient(address, "shop", version=7, policy=PATIENT) as client:
        client.stats()
    spec = server.requests[-1].model_spec
    assert (spec.name, spec.version.value) == ("shop", 7)
    with SessionClient(address, version="canary", policy=PATIENT) as client:
        client.stats()
    spec = server.requests[-1].model_spec
    assert (spec.WhichOneof("version_choice"), spec.version_label) == ("version_label", "canary")


def test_one_deadline_covers_attempts_and_replay(address, server):
    policy = RetryPolicy(attempt_seconds=0.4, total_seconds=0.5, first_wait_seconds=0.001)
    with SessionClient(address, policy=policy) as client:
        client.click("a", "x")
        server.forget()
        server.faults = ["slow", "slow", "slow", "slow", "slow"]  # 0.6 s each
        started = time.monotonic()
        with pytest.raises(grpc.RpcError):
            client.click("a", "y")
        assert time.monotonic() - started < 0.5 + 0.3


def test_waiting_for_another_thread_counts(address, server):
    policy = RetryPolicy(attempt_seconds=0.3, total_seconds=0.3)
    with SessionClient(address, policy=policy) as client, client._histories.hold("a", Deadline(PATIENT)):
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            client.click("a", "x")
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0.3 <= time.monotonic() - started < 0.6


def test_a_session_ended_while_a_click_waits_begins_anew(address, server):
    with SessionClient(address, policy=PATIENT) as client:
        client.click("a", "x")
        is_ending, may_end, answers = threading.Event(), threading.Event(), []

        def end_session(context, session_id):
            is_ending.set()
            may_end.wait(10.0)
            return {"existed": [server.sessions.pop(session_id[0], None) is not None]}

        server.end_session = end_session
        ending = threading.Thread(target=client.end, args=["a"])
        ending.start()
        is_ending.wait(10.0)
        waiting = threading.Thread(target=lambda: answers.append(client.click("a", "y")))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        may_end.set()
        ending.join(10.0)
        waiting.join(10.0)
    assert [answer.item_ids for answer in answers] == [["y"]]
    assert server.sessions == {b"a": [b"y"]}


def test_a_server_that_fails_again_and_again_is_left_alone_for_a_while(address, server):
    policy = RetryPolicy(attempt_seconds=5.0, total_seconds=0.0, breaker_failures=3, breaker_seconds=0.3)
    with SessionClient(address, policy=policy) as client:
        server.faults = ["down"] * 3
        for _ in range(5):
            with pytest.raises(grpc.RpcError) as caught:
                client.click("a", "x")
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.signatures_asked() == ["step", "replay", "replay"]  # and none for the last two
        time.sleep(0.31)
        assert client.click("a", "x").session_length == 1


def test_no_event_is_lost_or_doubled_under_random_faults(address, server):
    """Threads share a client while a third of the answers fail and the server forgets now and then."""
    chance = random.Random(5)
    server.faults = [chance.choice(["lost", "down", None, None, None, None]) for _ in range(600)]
    sessions = {f"s{number}": [f"i{number}-{event}" for event in range(12)] for number in range(16)}
    wrong = []

    def follow(names: list[str]) -> None:
        for event in range(12):
            for name in names:
                answer = client.click(name, sessions[name][event])
                if answer.item_ids != sessions[name][: event + 1]:
                    wrong.append((name, event, answer))
            if event % 4 == 1:
                server.forget()

    with SessionClient(address, policy=PATIENT) as client:
        names = list(sessions)
        threads = [threading.Thread(target=follow, args=[names[start::4]]) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(server.faults) < 400  # they did strike


def test_threads_on_one_session_are_taken_one_by_one(address, server):
    with SessionClient(address, policy=PATIENT) as client:
        threads = [
            threading.Thread(
                target=lambda name=name: [client.click("a", f"{name}{event}") for event in range(20)]
            )
            for name in "uvw"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    items = [item.decode() for item in server.sessions[b"a"]]
    assert sorted(items) == sorted(f"{name}{event}" for name in "uvw" for event in range(20))
    for name in "uvw":
        own = [item for item in items if item[0] == name]
        assert own == [f"{name}{event}" for event in range(20)]
    assert set(server.signatures_asked()) == {"step"}
