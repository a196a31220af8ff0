"""The contract, seen from outside: sessions. Runs against any server, see `contract_addresses`, over gRPC and REST."""

import concurrent.futures

import numpy as np
import pytest
from serving_support.calls import Caller, new_session
from serving_support.exports import ITEMS, TOP_K, UNKNOWN_ITEM

APPLIED, UNKNOWN, REPEATED, GAP = range(4)
PREFIXES = [ITEMS[3], ITEMS[50], ITEMS[3], ITEMS[199], ITEMS[7]]


@pytest.fixture(scope="module", params=["gRPC", "REST"])
def server(request):
    """Calls the server."""
    return request.getfixturevalue({"gRPC": "grpc_server", "REST": "rest"}[request.param])


def assert_same_answer(one, other, row: int = 0, other_row: int = 0) -> None:
    np.testing.assert_allclose(one["scores"][row], other["scores"][other_row], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(one["item_ids"][row], other["item_ids"][other_row])


def test_recommendations_are_distinct_items_best_first(server: Caller):
    answer = server.call("recommend", item_ids=[PREFIXES, PREFIXES[::-1]])
    assert answer["item_ids"].shape == answer["scores"].shape == (2, TOP_K)
    for ids, scores in zip(answer["item_ids"], answer["scores"], strict=True):
        assert len(set(ids)) == TOP_K
        assert {item.decode() for item in ids} <= set(ITEMS)
        assert np.all(np.diff(scores) <= 0)
    assert answer["item_ids"][0].tolist() != answer["item_ids"][1].tolist()


def test_recommend_is_the_default(server: Caller):
    assert_same_answer(server.call("", item_ids=[PREFIXES]), server.call("recommend", item_ids=[PREFIXES]))


def test_pads_and_unknown_items_are_skipped(server: Caller):
    plain = server.call("recommend", item_ids=[PREFIXES])
    padded = ["", PREFIXES[0], UNKNOWN_ITEM, "", *PREFIXES[1:], ""]
    assert_same_answer(plain, server.call("recommend", item_ids=[padded]))


def test_a_session_without_a_known_item_gets_popular_items(server: Caller):
    # Counts fall from ITEMS[0] on.
    expected = [item.encode() for item in ITEMS[:TOP_K]]
    for items in ([""], [UNKNOWN_ITEM, ""]):
        assert server.call("recommend", item_ids=[items])["item_ids"].tolist() == [expected]
    assert server.step((new_session(), UNKNOWN_ITEM, 1))["item_ids"].tolist() == [expected]


def test_step_after_step_equals_the_whole_prefix(server: Caller):
    session = new_session()
    for position, item in enumerate(PREFIXES, start=1):
        stepped = server.step((session, item, position))
        assert stepped["session_length"].tolist() == [position]
        assert stepped["status"].tolist() == [APPLIED]
        assert_same_answer(stepped, server.call("recommend", item_ids=[PREFIXES[:position]]))


def test_status_table(server: Caller):
    session = new_session()

    def step(item: str, position: int) -> tuple[int, int]:
        answer = server.step((session, item, position))
        return int(answer["status"][0]), int(answer["session_length"][0])

    assert step(ITEMS[1], 2) == (GAP, 0)
    assert server.length(session) == 0
    assert step(ITEMS[1], 1) == (APPLIED, 1)
    assert step(ITEMS[2], 1) == (REPEATED, 1)
    assert step(ITEMS[2], 3) == (GAP, 1)
    assert step(UNKNOWN_ITEM, 2) == (UNKNOWN, 2)
    assert step(UNKNOWN_ITEM, 2) == (REPEATED, 2)
    assert step(ITEMS[2], 0) == (APPLIED, 3)
    assert step(UNKNOWN_ITEM, 0) == (UNKNOWN, 4)
    assert step(ITEMS[3], 5) == (APPLIED, 5)
    # What was repeated, unknown or a gap has left no trace.
    assert_same_answer(
        server.step((session, ITEMS[9], 5)),
        server.call("recommend", item_ids=[[ITEMS[1], ITEMS[2], ITEMS[3]]]),
    )


def test_rows_of_one_session_in_one_request_are_taken_in_order(server: Caller):
    one, other = new_session(), new_session()
    answer = server.step(
        (one, ITEMS[1], 1), (other, ITEMS[9], 1), (one, ITEMS[2], 2), (one, ITEMS[2], 2), (one, ITEMS[3], 3)
    )
    assert answer["status"].tolist() == [APPLIED, APPLIED, APPLIED, REPEATED, APPLIED]
    assert_same_answer(answer, server.call("recommend", item_ids=[[ITEMS[1], ITEMS[2], ITEMS[3]]]), row=4)
    assert_same_answer(answer, server.call("recommend", item_ids=[[ITEMS[9]]]), row=1)
    assert (server.length(one), server.length(other)) == (3, 1)


def test_padding_by_repeated_rows_counts_once(server: Caller):
    session = new_session()
    server.step(*[(session, ITEMS[1], 1)] * 5)
    assert server.length(session) == 1


def test_replay_rebuilds_and_steps_go_on(server: Caller):
    session = new_session()
    server.step((session, ITEMS[100], 1))
    for _ in range(2):
        answer = server.call("replay", session_id=[session], item_ids=[[*PREFIXES, "", ""]])
        assert answer["session_length"].tolist() == [len(PREFIXES)]
        assert answer["status"].tolist() == [APPLIED]
        assert_same_answer(answer, server.call("recommend", item_ids=[PREFIXES]))
    answer = server.step((session, ITEMS[4], len(PREFIXES) + 1))
    assert answer["status"].tolist() == [APPLIED]
    assert_same_answer(answer, server.call("recommend", item_ids=[[*PREFIXES, ITEMS[4]]]))


def test_replay_counts_unknown_items(server: Caller):
    session = new_session()
    answer = server.call("replay", session_id=[session], item_ids=[[ITEMS[1], UNKNOWN_ITEM, ITEMS[2], ""]])
    assert (answer["session_length"].tolist(), answer["status"].tolist()) == ([3], [UNKNOWN])
    assert_same_answer(answer, server.call("recommend", item_ids=[[ITEMS[1], ITEMS[2]]]))


def test_explicit_state_follows_the_same_path(server: Caller):
    state = np.zeros([1, server.state_size()], np.float32)
    for position, item in enumerate([*PREFIXES, UNKNOWN_ITEM], start=1):
        answer = server.call("step_explicit", item_id=[item], state=state)
        state = answer["state"]
        known = [item for item in PREFIXES[:position] if item != UNKNOWN_ITEM]
        assert_same_answer(answer, server.call("recommend", item_ids=[known]))
        assert answer["status"].tolist() == [UNKNOWN if item == UNKNOWN_ITEM else APPLIED]


def test_scores_of_candidates_are_those_of_the_recommendations(server: Caller):
    session = new_session()
    top = server.step((session, ITEMS[5], 1))
    candidates = [*[item.decode() for item in top["item_ids"][0]], UNKNOWN_ITEM, ""]
    live = server.call("score", session_id=[session], candidate_ids=[candidates])
    np.testing.assert_allclose(live["scores"][0, :TOP_K], top["scores"][0], rtol=0, atol=1e-5)
    assert np.all(np.isneginf(live["scores"][0, TOP_K:]))
    assert live["session_length"].tolist() == [1]
    whole = server.call("score_items", item_ids=[[ITEMS[5]]], candidate_ids=[candidates])
    np.testing.assert_allclose(whole["scores"], live["scores"], rtol=0, atol=1e-5)
    assert server.length(session) == 1


def test_ending_a_session(server: Caller):
    session = new_session()
    server.step((session, ITEMS[5], 1))
    ended = server.call("end_session", session_id=[session, session, new_session()])
    assert ended["existed"].tolist() == [True, True, False]
    assert server.length(session) == 0
    assert server.call("end_session", session_id=[session])["existed"].tolist() == [False]


def test_stats_count_live_sessions(server: Caller):
    before = server.call("stats", probe=[0, 0])
    sessions = [new_session() for _ in range(3)]
    server.step(*[(session, ITEMS[5], 1) for session in sessions])
    after = server.call("stats", probe=[0, 0])
    assert (after["live_sessions"] - before["live_sessions"]).tolist() == [3, 3]
    assert after["capacity"][0] >= after["live_sessions"][0]
    server.call("end_session", session_id=sessions)
    assert server.call("stats", probe=[0])["live_sessions"].tolist() == [before["live_sessions"][0]]


def test_threads_on_their_own_sessions_do_not_disturb_each_other(server: Caller):
    def follow(start: int) -> bool:
        session, items = new_session(), ITEMS[start : start + 8]
        for position, item in enumerate(items, start=1):
            answer = server.step((session, item, position))
            assert answer["session_length"].tolist() == [position]
        assert_same_answer(answer, server.call("recommend", item_ids=[items]))
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert all(threads.map(follow, range(0, 160, 10)))


@pytest.mark.parametrize("attempts", [1, 3])
def test_threads_on_one_session_give_what_some_order_gives(server: Caller, attempts: int):
    """Every event is sent by `attempts` threads at once, with its position; each must count once."""
    session = new_session()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for position, item in enumerate(ITEMS[:15], start=1):
            answers = list(threads.map(lambda _: server.step((session, item, position)), range(attempts)))  # noqa: B023
            statuses = sorted(int(answer["status"][0]) for answer in answers)
            assert statuses == [APPLIED] + [REPEATED] * (attempts - 1)
    assert_same_answer(server.step((session, ITEMS[0], 1)), server.call("recommend", item_ids=[ITEMS[:15]]))


def test_appends_from_many_threads_all_count(server: Caller):
    session = new_session()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda item: server.step((session, item, 0)), ITEMS[:40]))
    assert sorted(int(answer["session_length"][0]) for answer in answers) == list(range(1, 41))
    assert server.length(session) == 40


def test_filters(server: Caller):
    top = [item.decode() for item in server.call("recommend", item_ids=[PREFIXES])["item_ids"][0]]
    pads = {"exclude_ids": [top[:2], ["", ""]], "exclude_seen": [False, True], "allow_groups": [[""], [""]]}
    answer = server.call("recommend_filtered", item_ids=[PREFIXES, [*PREFIXES[:4], top[0]]], **pads)
    assert [item.decode() for item in answer["item_ids"][0, :8]] == top[2:]
    assert not {top[0], *PREFIXES} & {item.decode() for item in answer["item_ids"][1]}
    none = server.call(
        "recommend_filtered",
        item_ids=[PREFIXES],
        exclude_ids=[[""]],
        exclude_seen=[False],
        allow_groups=[["x"]],
    )
    assert np.isneginf(none["scores"]).all()
    assert set(none["item_ids"].reshape(-1)) == {b""}
