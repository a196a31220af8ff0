"""What each signature answers, through both loaders, against the tiny tower in NumPy."""

import numpy as np
import pytest
from export_support.tiny_model import INTEGER_IDS, STRING_IDS

from tfrs_gru4rec.export.signatures import WARM_UP_SESSION_ID, Status

from oracle import session_store, tiny_tower

UNKNOWN = "no such item"
TOLERANCE = 1e-5


def ids_of(rows):
    return [STRING_IDS[row] if row >= 0 else UNKNOWN for row in rows]


def assert_top(outputs, index, state, k=3, ids=STRING_IDS, excluded=()):
    rows, scores = tiny_tower.top(state, k, excluded)
    wanted = [str(ids[row]) for row in rows]
    got = [item.decode() if isinstance(item, bytes) else str(item) for item in outputs["item_ids"][index]]
    assert got == wanted
    np.testing.assert_allclose(outputs["scores"][index], scores, TOLERANCE, TOLERANCE)


def step(call, session, item, position):
    outputs = call("step", session_id=[session], item_id=[item], position=[position])
    return int(outputs["session_length"][0]), Status(outputs["status"][0]), outputs


def test_positions_make_each_event_happen_once(call, new_session):
    session = new_session()
    a, b = STRING_IDS[4], STRING_IDS[9]
    assert step(call, session, a, 2)[:2] == (0, Status.GAP)
    assert step(call, session, a, 1)[:2] == (1, Status.APPLIED)
    assert step(call, session, b, 1)[:2] == (1, Status.REPEATED)
    assert step(call, session, UNKNOWN, 2)[:2] == (2, Status.UNKNOWN_ITEM)
    assert step(call, session, b, 4)[:2] == (2, Status.GAP)
    length, status, outputs = step(call, session, b, 3)
    assert (length, status) == (3, Status.APPLIED)
    assert_top(outputs, 0, tiny_tower.fold([4, 9]))
    assert step(call, session, a, 0)[:2] == (4, Status.APPLIED)
    length, status, outputs = step(call, session, a, 3)
    assert (length, status) == (4, Status.REPEATED)
    assert_top(outputs, 0, tiny_tower.fold([4, 9, 4]))


def test_random_batches_equal_one_event_after_another(call, new_session):
    random = np.random.default_rng(1)
    sessions = [new_session() for _ in range(6)]
    events, answers = [], []
    for _ in range(25):
        n = int(random.integers(1, 12))
        batch = [
            (sessions[random.integers(6)], int(random.integers(0, 9)), int(random.integers(-1, 12)))
            for _ in range(n)
        ]
        names, positions, rows = zip(*batch, strict=True)
        outputs = call("step", session_id=names, item_id=ids_of(rows), position=positions)
        events += batch
        answers += [(outputs, index) for index in range(n)]
    expected = session_store.follow(events, tiny_tower.advance)
    assert {status for _, _, status in expected} == set(Status)
    for (outputs, index), (length, state, status) in zip(answers, expected, strict=True):
        assert (outputs["session_length"][index], outputs["status"][index]) == (length, status)
        assert_top(outputs, index, state)


def test_recommend_follows_whole_sessions_wherever_their_padding_is(call):
    rows = [[3, 5, 3, 3], [8, -1, -1, -1], [-1, -1, 0, 2]]
    item_ids = [[STRING_IDS[row] if row >= 0 else "" for row in session] for session in rows]
    for name in ("serving_default", "recommend"):
        outputs = call(name, item_ids=item_ids)
        for index, session in enumerate(rows):
            assert_top(outputs, index, tiny_tower.fold(session))


@pytest.mark.parametrize("item_ids", [[[""]], [[]], [[UNKNOWN, UNKNOWN]]])
def test_no_known_item_gets_popular_items(call, item_ids):
    outputs = call("recommend", item_ids=np.array(item_ids, object))
    # 120, 110 and 100 events plus 1, of 780 events and 12 items.
    assert outputs["item_ids"].tolist() == [[b"item-0", b"item-1", b"item-2"]]
    np.testing.assert_allclose(outputs["scores"][0], np.log([121 / 792, 111 / 792, 101 / 792]), 1e-6)


def test_session_of_unknown_items_gets_popular_items_and_counts(call, new_session):
    session = new_session()
    step(call, session, UNKNOWN, 1)
    length, status, outputs = step(call, session, UNKNOWN, 2)
    assert (length, status) == (2, Status.UNKNOWN_ITEM)
    assert_top(outputs, 0, None)


def test_replay_replaces_a_session(call, new_session):
    first, second = new_session(), new_session()
    step(call, first, STRING_IDS[11], 1)
    item_ids = [[STRING_IDS[2], UNKNOWN, STRING_IDS[6], ""], [STRING_IDS[1], "", "", ""]]
    outputs = call("replay", session_id=[first, second], item_ids=item_ids)
    assert outputs["session_length"].tolist() == [3, 1]
    assert outputs["status"].tolist() == [Status.UNKNOWN_ITEM, Status.APPLIED]
    assert_top(outputs, 0, tiny_tower.fold([2, 6]))
    assert_top(outputs, 1, tiny_tower.fold([1]))
    length, status, outputs = step(call, first, STRING_IDS[0], 4)
    assert (length, status) == (4, Status.APPLIED)
    assert_top(outputs, 0, tiny_tower.fold([2, 6, 0]))


def test_last_replay_of_a_session_in_a_batch_counts(call, new_session):
    session = new_session()
    item_ids = [[STRING_IDS[2], STRING_IDS[3]], [STRING_IDS[1], ""]]
    outputs = call("replay", session_id=[session, session], item_ids=item_ids)
    assert outputs["session_length"].tolist() == [2, 1]
    assert step(call, session, STRING_IDS[0], 2)[:2] == (2, Status.APPLIED)


def test_step_explicit_is_step_with_the_state_outside(call):
    state_size = 1 + sum(tiny_tower.UNITS) + tiny_tower.N_ITEMS  # all of which can be remembered
    state = np.zeros([2, state_size], np.float32)
    for rows in ([4, -1], [-1, -1], [9, 3]):
        outputs = call("step_explicit", item_id=ids_of(rows), state=state)
        state = outputs["state"]
        assert outputs["status"].tolist() == [
            Status.APPLIED if row >= 0 else Status.UNKNOWN_ITEM for row in rows
        ]
    assert_top(outputs, 0, tiny_tower.fold([4, 9]))
    assert_top(outputs, 1, tiny_tower.fold([3]))
    outputs = call("step_explicit", item_id=[UNKNOWN], state=np.zeros([1, state_size]))
    assert not outputs["state"].any()
    assert_top(outputs, 0, None)


def test_scores_of_candidates(call, new_session):
    session = new_session()
    step(call, session, STRING_IDS[4], 1)
    candidates = [[STRING_IDS[8], UNKNOWN, STRING_IDS[0], ""]] * 2
    outputs = call("score", session_id=[session, new_session()], candidate_ids=candidates)
    assert outputs["session_length"].tolist() == [1, 0]
    for index, state in enumerate([tiny_tower.fold([4]), None]):
        expected = tiny_tower.scores(state)
        wanted = [expected[8], -np.inf, expected[0], -np.inf]
        np.testing.assert_allclose(outputs["scores"][index], wanted, TOLERANCE, TOLERANCE)
    of_items = call("score_items", item_ids=[[STRING_IDS[4]], [""]], candidate_ids=candidates)
    np.testing.assert_allclose(of_items["scores"], outputs["scores"], TOLERANCE, TOLERANCE)
    assert step(call, session, STRING_IDS[4], 2)[:2] == (2, Status.APPLIED)


def test_end_session(call, new_session):
    session = new_session()
    step(call, session, STRING_IDS[4], 1)
    outputs = call("end_session", session_id=[session, new_session(), session])
    assert outputs["existed"].tolist() == [True, False, True]
    assert call("end_session", session_id=[session])["existed"].tolist() == [False]
    assert step(call, session, STRING_IDS[4], 2)[:2] == (0, Status.GAP)
    assert step(call, session, STRING_IDS[4], 1)[:2] == (1, Status.APPLIED)


def test_stats_count(call, new_session):
    def stats():
        outputs = call("stats", probe=[0, 0])
        assert all(values[0] == values[1] for values in outputs.values())
        return {name: int(values[0]) for name, values in outputs.items()}

    before, session = stats(), new_session()
    step(call, session, STRING_IDS[4], 1)
    step(call, session, STRING_IDS[4], 2)
    step(call, new_session(), STRING_IDS[4], 7)  # a gap: looked up, not created
    step(call, WARM_UP_SESSION_ID, STRING_IDS[4], 0)
    after = stats()
    assert after.pop("capacity") == before.pop("capacity") == 4096
    growth = {name: after[name] - before[name] for name in after}
    assert growth == {"live_sessions": 1, "hits": 1, "misses": 2, "evictions": 0, "expirations": 0}


def test_warm_up_session_is_never_stored(call):
    for _ in range(2):
        length, status, outputs = step(call, WARM_UP_SESSION_ID, STRING_IDS[4], 1)
        assert (length, status) == (1, Status.APPLIED)
        assert_top(outputs, 0, tiny_tower.fold([4]))
    call("replay", session_id=[WARM_UP_SESSION_ID], item_ids=[[STRING_IDS[4]]])
    assert call("end_session", session_id=[WARM_UP_SESSION_ID])["existed"].tolist() == [False]


def test_integer_ids_and_items_seen(call_with_integers, new_session):
    session = new_session()
    rows = [4, 2, 0, 4]
    for position, row in enumerate(rows, 1):
        outputs = call_with_integers(
            "step", session_id=[session], item_id=[INTEGER_IDS[row]], position=[position]
        )
        seen = set(rows[:position])
        assert_top(outputs, 0, tiny_tower.fold(rows[:position]), ids=INTEGER_IDS, excluded=seen)
    item_ids = [[-1, *INTEGER_IDS[rows], -1], [-1, -1, -1, -1, -1, 5]]  # 5 is no item
    outputs = call_with_integers("recommend", item_ids=item_ids)
    assert_top(outputs, 0, tiny_tower.fold(rows), ids=INTEGER_IDS, excluded=set(rows))
    assert_top(outputs, 1, None, ids=INTEGER_IDS)
    outputs = call_with_integers("score_items", item_ids=[[0]], candidate_ids=[[0, -1, 5]])
    # A seen item can be scored all the same.
    wanted = [tiny_tower.scores(tiny_tower.fold([0]))[0], -np.inf, -np.inf]
    np.testing.assert_allclose(outputs["scores"][0], wanted, TOLERANCE, TOLERANCE)


def test_of_many_items_seen_the_latest_are_left_out(call_with_integers):
    # 12 items, 3 recommended: the latest 9 known items can be left out, not more.
    rows = [1, *range(11, 0, -1)]
    outputs = call_with_integers("recommend", item_ids=[INTEGER_IDS[rows]])
    rows_left = {0, 10, 11}
    state = tiny_tower.fold(rows)
    assert_top(outputs, 0, state, ids=INTEGER_IDS, excluded=set(range(12)) - rows_left)
    assert np.isfinite(outputs["scores"]).all()
