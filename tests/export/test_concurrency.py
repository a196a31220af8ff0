"""Eight threads, one store: what comes out is what some order of the events gives."""

import collections
import os
import threading

import numpy as np
import pytest
import tensorflow as tf
from export_support import tiny_model
from export_support.loaders import loaded_with_deadlines
from export_support.tiny_model import STRING_IDS

from tfrs_gru4rec.export.signatures import MAX_ROWS_OF_A_SESSION, SIGNATURES, Status

from oracle import tiny_tower

THREADS = 8
ROUNDS = [10, pytest.param(120, marks=pytest.mark.slow)]  # events a thread
CUT_RUNS = int(os.environ.get("GRU4REC_CUT_RUNS", "1000"))
HANGING_SECONDS = 3000.0


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

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGING_SECONDS)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a call hangs"
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
@pytest.mark.parametrize("loader", [pytest.param("functions", marks=pytest.mark.slow), "session"])
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


class CutRuns:
    """One client after another: sessions whose runs are cut at random, looked at after each cut.

    Several events a run, which take turns, so that a run lasts longer than the shortest deadline, 1 ms.
    """

    SIGNATURES = ("step", "replay", "score", "end_session")

    def __init__(self, call, number, may_forget) -> None:
        self._call, self._may_forget = call, may_forget
        self._random, self._session = np.random.default_rng(number), f"s{number}"
        self.found = collections.Counter()

    def go_on(self, n_cut) -> None:
        while self.found["cut"] < n_cut:
            self._rows, n_taken = self._random.integers(12, size=self._random.integers(1, 61)), 0
            while n_taken < len(self._rows):
                n_taken = self._send(n_taken)
            existed = self._call("end_session", 0, session_id=[self._session])["existed"][0]
            assert existed or self._may_forget

    def _send(self, n_before) -> int:
        """Sends some events until a run comes through; returns how many have been sent by then."""
        n_after = min(n_before + int(self._random.integers(1, MAX_ROWS_OF_A_SESSION + 1)), len(self._rows))
        n_events = n_after - n_before
        inputs = {
            "session_id": [self._session] * n_events,
            "item_id": STRING_IDS[self._rows[n_before:n_after]],
            "position": range(n_before + 1, n_after + 1),
        }
        outputs, n_held = self._until_through("step", inputs, n_before, n_after)
        for length, scores in zip(outputs["session_length"], outputs["scores"], strict=True):
            assert_scores(scores, self._rows[:length])
        if self._may_forget and Status.GAP in outputs["status"]:
            replayed = {"session_id": [self._session], "item_ids": [STRING_IDS[self._rows[:n_after]]]}
            outputs, _ = self._until_through("replay", replayed, n_before, n_after)
            assert_scores(outputs["scores"][0], self._rows[:n_after])
        elif not self._may_forget:
            n_repeated = n_held - n_before
            expected = [Status.REPEATED] * n_repeated + [Status.APPLIED] * (n_events - n_repeated)
            assert outputs["status"].tolist() == expected
            assert self._held() == n_after
        return n_after

    def _until_through(self, name, inputs, n_before, n_after):
        """Returns the outputs, and how many events were held before the run that gave them."""
        n_held = n_before
        while True:
            try:
                outputs = self._call(name, int(self._random.integers(1, 12)), **inputs)
            except (tf.errors.DeadlineExceededError, tf.errors.CancelledError):
                n_now = self._held()
                # What a cut run took it took whole, from the first event on, and nothing twice.
                assert n_held <= n_now <= n_after or (self._may_forget and n_now <= n_after)
                share = {n_held: "no event", n_after: "all"}.get(n_now, "some")
                self.found.update(["cut", f"with {share}"])
                n_held = n_now
            else:
                self.found["through"] += 1
                return outputs, n_held

    def _held(self) -> int:
        """Returns how many events the server holds, after a look at what it makes of them."""
        outputs = self._call("score", 0, session_id=[self._session], candidate_ids=[STRING_IDS])
        length = int(outputs["session_length"][0])
        expected = tiny_tower.scores(tiny_tower.fold(self._rows[:length]))
        np.testing.assert_allclose(outputs["scores"][0], expected, 1e-5, 1e-5)
        return length


@pytest.mark.parametrize("n_cut", [80, pytest.param(CUT_RUNS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("room", ["ample", "crowded"])
def test_runs_cut_at_a_deadline_lose_and_double_nothing(request, room, n_cut):
    """TF Serving cuts a run at the client's deadline, and the client sends again what may have been taken or not.

    Sessions in a store that is too small may be forgotten besides, but never be of another length.
    """
    path = request.getfixturevalue("exported" if room == "ample" else "crowded")
    with loaded_with_deadlines(path) as call:
        for name in CutRuns.SIGNATURES:  # prepares the graphs, which each thread would do for itself
            inputs = {"session_id": ["first"], "item_id": ["x"], "position": [0]}
            given = {"item_ids": [["x"]], "candidate_ids": [["x"]], **inputs}
            call(name, 0, **{each.name: given[each.name] for each in SIGNATURES[name].inputs})
        sessions = [CutRuns(call, number, room == "crowded") for number in range(THREADS)]
        in_threads(lambda number: sessions[number].go_on(n_cut // THREADS))
    found = sum((each.found for each in sessions), collections.Counter())
    assert found["cut"] > found["with no event"] > 0
    print(f"\n{room}: {dict(found)}")  # noqa: T201 - pytest -s shows what was cut where
