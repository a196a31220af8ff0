"""Eight threads, one store: what comes out is what some order of the events gives."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from export_support import tiny_model
from export_support.loaders import loaded_with_deadlines
from export_support.tiny_model import STRING_IDS

from tfrs_gru4rec.export.signatures import Status

from oracle import tiny_tower

THREADS = 8
ROUNDS = [10, pytest.param(120, marks=pytest.mark.slow)]  # events a thread


def in_threads(work):
    """Runs work(0) … work(7) at the same time and returns what they return."""
    results, errors = [None] * THREADS, []
    barrier = threading.Barrier(THREADS)

    def run(number):
        try:
            barrier.wait()
            results[number] = work(number)
        except BaseException as error:  # whatever it is, the test must fail with it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def send(call, session, row, position):
    outputs = call("step", session_id=[session], item_id=[STRING_IDS[row]], position=[position])
    return int(outputs["session_length"][0]), Status(outputs["status"][0]), outputs["scores"][0]


def assert_scores(scores, rows):
    np.testing.assert_allclose(scores, tiny_tower.top(tiny_tower.fold(rows), 3)[1], 1e-5, 1e-5)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_one_session_gets_every_event_in_some_order(call, new_session, rounds):
    session = new_session()
    send(call, new_session(), 0, 0)  # prepares the graph, which each thread would do for itself
    rows = np.random.default_rng(0).integers(12, size=[THREADS, rounds])
    answers = in_threads(lambda number: [(row, *send(call, session, row, 0)) for row in rows[number]])
    by_length = [(length, row, scores) for thread in answers for row, length, _, scores in thread]
    by_length.sort(key=lambda answer: answer[0])
    # Lengths tell the order in which the server took the events: each once, and no answer from another order.
    assert [length for length, _, _ in by_length] == list(range(1, rows.size + 1))
    taken = [row for _, row, _ in by_length]
    for length, _, scores in by_length:
        assert_scores(scores, taken[:length])


@pytest.mark.parametrize("rounds", ROUNDS)
def test_distinct_sessions_do_not_meet(call, new_session, rounds):
    sessions = [new_session() for _ in range(THREADS)]
    rows = np.random.default_rng(1).integers(12, size=[THREADS, rounds])

    def work(number):
        return [send(call, sessions[number], row, index + 1) for index, row in enumerate(rows[number])]

    for number, answers in enumerate(in_threads(work)):
        for index, (length, status, scores) in enumerate(answers):
            assert (length, status) == (index + 1, Status.APPLIED)
            assert_scores(scores, rows[number][: index + 1])


@pytest.mark.parametrize("rounds", ROUNDS)
def test_retries_from_all_sides_count_once(call, new_session, rounds):
    session = new_session()
    rows = np.random.default_rng(2).integers(12, size=rounds)

    def work(_):
        statuses = []
        for position, row in enumerate(rows, 1):
            # Every thread sends every event; one of them may be the first to.
            length, status, scores = send(call, session, row, position)
            statuses.append(status)
            assert_scores(scores, rows[:length])
        return statuses

    statuses = np.array(in_threads(work))
    assert (np.sum(statuses == Status.APPLIED, axis=0) == 1).all()
    assert (np.sum(statuses == Status.REPEATED, axis=0) == THREADS - 1).all()


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    return tiny_model.save(tmp_path_factory.mktemp("crowded"), tiny_model.serving_model(max_sessions=3))


@pytest.mark.parametrize("rounds", [20, *ROUNDS[1:]])
@pytest.mark.parametrize("loader", ["functions", "session"])
def test_sessions_that_push_each_other_out_never_mix(crowded, load, loader, rounds):
    call = load(crowded, loader)
    send(call, "first", 0, 0)  # prepares the graphs, which each thread would do for itself
    call("replay", session_id=["first"], item_ids=[STRING_IDS[:1]])

    def work(number):
        random = np.random.default_rng(number)
        histories = {f"s{number}-{session}": [] for session in range(4)}
        replays = 0
        for _ in range(rounds):
            session = random.choice(list(histories))
            history = histories[session]
            history.append(int(random.integers(12)))
            length, status, scores = send(call, session, history[-1], len(history))
            if status == Status.GAP:
                # Forgotten meanwhile; no other session's state may stand in.
                assert length == 0
                item_ids = [STRING_IDS[history]]
                scores = call("replay", session_id=[session], item_ids=item_ids)["scores"][0]
                replays += 1
            assert_scores(scores, history)
        return replays

    assert sum(in_threads(work)) > 10
    counters = {name: int(values[0]) for name, values in call("stats", probe=[0]).items()}
    assert counters["live_sessions"] == counters["capacity"] == 3
    assert counters["evictions"] > 10


@pytest.mark.parametrize("rounds", ROUNDS)
def test_calls_cancelled_at_their_deadline_spoil_nothing(crowded, rounds):
    # TF Serving cancels a run at the client's deadline. An event that may or may not have been taken is sent
    # again.
    rows = np.random.default_rng(4).integers(12, size=[THREADS, rounds])

    with loaded_with_deadlines(crowded) as call:
        call("step", 0, session_id=["w"], item_id=[STRING_IDS[0]], position=[0])
        call("replay", 0, session_id=["w"], item_ids=[[STRING_IDS[0]]])

        def try_until_done(random, name, **inputs):
            cancelled = 0
            while True:
                try:
                    return call(name, int(random.integers(1, 8)), **inputs), cancelled
                except (tf.errors.DeadlineExceededError, tf.errors.CancelledError):
                    cancelled += 1

        def work(number):
            random = np.random.default_rng(number)
            session, cancelled = [f"s{number}"], 0
            for position, row in enumerate(rows[number], 1):
                inputs = {"session_id": session, "item_id": [STRING_IDS[row]], "position": [position]}
                outputs, times = try_until_done(random, "step", **inputs)
                cancelled += times
                length = int(outputs["session_length"][0])
                if length:
                    assert_scores(outputs["scores"][0], rows[number][:length])
                if outputs["status"][0] == Status.GAP:
                    item_ids = [STRING_IDS[rows[number][:position]]]
                    outputs, times = try_until_done(random, "replay", session_id=session, item_ids=item_ids)
                    cancelled += times
                assert_scores(outputs["scores"][0], rows[number][:position])
            return cancelled

        assert sum(in_threads(work)) > 0
