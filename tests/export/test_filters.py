"""What may be recommended: every filter alone and all together, against NumPy, through both loaders."""

import numpy as np
import pytest
from export_support import tiny_model
from export_support.loaders import LOADERS
from export_support.tiny_model import STRING_IDS

from oracle import tiny_tower

K, N_ITEMS, N_ROWS = 3, tiny_tower.N_ITEMS, 1000
# Item 11 has no group; no item is of the group that stands last.
GROUP_OF = {item: f"group-{row % 3}" for row, item in enumerate(STRING_IDS[:11])}
GROUPS = ["group-0", "group-1", "group-2", "group-none"]
RANDOM = np.random.default_rng(5)


@pytest.fixture(scope="module", params=["plain", "cells"])
def export(request, tmp_path_factory):
    model = tiny_model.serving_model(exclude_seen=True, group_of=GROUP_OF)
    if request.param == "cells":
        tiny_model.search_cells(model)
    return tiny_model.save(tmp_path_factory.mktemp("filters"), model)


@pytest.fixture(scope="module", params=[pytest.param("functions", marks=pytest.mark.slow), "session"])
def call(request, export):
    """Calls the model, whose availability the tests change."""
    with LOADERS[request.param](export) as function:
        yield function


def random_rows(values, n_columns, n_rows=N_ROWS):
    """Rows of ids, each padded from a random place on; about one in three holds nothing."""
    chosen = np.asarray(values, object)[RANDOM.integers(len(values), size=[n_rows, n_columns])]
    lengths = np.maximum(RANDOM.integers(-n_columns // 2, n_columns + 1, size=n_rows), 0)
    return np.where(np.arange(n_columns) < lengths[:, np.newaxis], chosen, "")


def rows_of(ids):
    places = {item: row for row, item in enumerate(STRING_IDS)}
    return [places[item] for item in ids if item in places]


def expected(clicked, filters, index, unavailable):
    """Ids and scores of the best items that are left, padded; by the contract's words, item by item."""
    seen = rows_of(clicked)
    left_out = set(unavailable) | set(rows_of(filters["exclude_ids"][index]))
    if filters["exclude_seen"][index]:
        left_out |= set(seen[-50:])
    groups = set(filters["allow_groups"][index]) - {""}
    if groups:
        left_out |= {row for row, item in enumerate(STRING_IDS) if GROUP_OF.get(item) not in groups}
    rows, scores = tiny_tower.top(tiny_tower.fold(seen), N_ITEMS, left_out)
    kept = [(STRING_IDS[row], score) for row, score in zip(rows, scores, strict=True) if row not in left_out]
    kept = (kept + [("", -np.inf)] * K)[:K]
    return [item for item, _ in kept], [score for _, score in kept]


def assert_answers(outputs, clicked, filters, unavailable=()):
    for index, ids in enumerate(clicked):
        items, scores = expected(ids, filters, index, unavailable)
        assert [item.decode() for item in outputs["item_ids"][index]] == items
        np.testing.assert_allclose(outputs["scores"][index], scores, 1e-5, 1e-5)


def set_availability(call, rows, is_available):
    ids = [STRING_IDS[row] for row in rows]
    return call("set_availability", item_id=ids, available=[is_available] * len(ids))


FILTERS = {
    "exclude_ids": lambda: random_rows([*STRING_IDS, "no such item"], 10),
    "exclude_seen": lambda: RANDOM.random(N_ROWS) < 0.5,
    "allow_groups": lambda: random_rows(GROUPS, 2),
}
NOTHING = {
    "exclude_ids": np.full([N_ROWS, 1], "", object),
    "exclude_seen": np.zeros(N_ROWS, bool),
    "allow_groups": np.full([N_ROWS, 1], "", object),
}


@pytest.mark.parametrize("names", [[], *([name] for name in FILTERS), list(FILTERS)])
def test_recommend_is_exact_under_every_filter(call, names):
    sessions = random_rows([*STRING_IDS, "no such item"], 6)
    filters = NOTHING | {name: FILTERS[name]() for name in names}
    for unavailable in ([], [0, 4, 11]):
        if unavailable:
            assert set_availability(call, unavailable, False)["known"].all()
        outputs = call("recommend_filtered", item_ids=sessions, **filters)
        assert_answers(outputs, sessions, filters, unavailable)
    set_availability(call, [0, 4, 11], True)


def test_live_sessions_are_filtered_alike(call):
    filters = {name: make() for name, make in FILTERS.items()}
    sessions = random_rows(STRING_IDS, 5)
    sessions[:, 0] = STRING_IDS[RANDOM.integers(N_ITEMS, size=N_ROWS)]  # a replay needs an item
    keys = [f"filters-{number}" for number in range(N_ROWS)]
    outputs = call("replay_filtered", session_id=keys, item_ids=sessions, **filters)
    assert_answers(outputs, sessions, filters)
    clicks = STRING_IDS[RANDOM.integers(N_ITEMS, size=N_ROWS)]
    outputs = call("step_filtered", session_id=keys, item_id=clicks, position=[0] * N_ROWS, **filters)
    after = [[*ids, click] for ids, click in zip(sessions, clicks, strict=True)]
    assert_answers(outputs, after, filters)
    again = call("step_filtered", session_id=keys, item_id=clicks, position=[1] * N_ROWS, **filters)
    np.testing.assert_array_equal(again["item_ids"], outputs["item_ids"])

    state = np.zeros([N_ROWS, 1 + sum(tiny_tower.UNITS) + N_ITEMS], np.float32)
    for click in (clicks, clicks[::-1]):
        outputs = call("step_explicit_filtered", item_id=click, state=state, **filters)
        state = outputs["state"]
    assert_answers(outputs, list(zip(clicks, clicks[::-1], strict=True)), filters)


def test_availability_holds_for_every_signature_but_scores(call):
    session, gone = [[STRING_IDS[2]]], list(range(3, N_ITEMS))
    known = call("set_availability", item_id=[*STRING_IDS[3:], "no such item"], available=[False] * 10)[
        "known"
    ]
    assert known.tolist() == [True] * 9 + [False]
    # The export leaves out what was seen, too: items 0 and 1 are left.
    assert sorted(call("recommend", item_ids=session)["item_ids"][0]) == [b"", b"item-0", b"item-1"]
    popular = call("recommend", item_ids=[["no such item"]])
    assert popular["item_ids"][0].tolist() == [b"item-0", b"item-1", b"item-2"]
    live = call("step", session_id=["availability"], item_id=[STRING_IDS[2]], position=[1])
    assert sorted(live["item_ids"][0]) == [b"", b"item-0", b"item-1"]
    scores = call("score_items", item_ids=session, candidate_ids=[[STRING_IDS[5]]])["scores"]
    assert np.isfinite(scores).all()
    # Of rows that repeat an item the last counts.
    call("set_availability", item_id=[STRING_IDS[5]] * 3, available=[False, False, True])
    assert b"item-5" in call("recommend", item_ids=session)["item_ids"][0]
    set_availability(call, gone, True)
    answer = call("recommend", item_ids=session)
    rows, _ = tiny_tower.top(tiny_tower.fold([2]), K, excluded=[2])
    assert [item.decode() for item in answer["item_ids"][0]] == [STRING_IDS[row] for row in rows]
