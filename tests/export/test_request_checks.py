"""Malformed requests: INVALID_ARGUMENT with a message, and no session changed."""

import numpy as np
import pytest
import tensorflow as tf
from export_support.loaders import loaded_in_session
from export_support.tiny_model import STRING_IDS

from tfrs_gru4rec.export.signatures import MAX_BATCH, MAX_CANDIDATES, MAX_LENGTH

ITEM = STRING_IDS[0]
LONG_SESSION_ID, LONG_ITEM_ID = "x" * 129, "x" * 257
STATE = np.zeros([1, 6 + len(STRING_IDS)], np.float32)  # units of both layers, and the items seen


def step(session_ids, item_ids, positions):
    return "step", {"session_id": session_ids, "item_id": item_ids, "position": positions}


# Signature and inputs ("live" stands for a live session); part of the message.
MALFORMED = [
    (*step(["live", ""], [ITEM] * 2, [2, 1]), "session_id must be 1"),
    (*step(["live", LONG_SESSION_ID], [ITEM] * 2, [2, 1]), "session_id must be 1"),
    (*step(["live"] * 2, [ITEM, ""], [2, 3]), "item_id must be 1"),
    (*step(["live"] * 2, [ITEM, LONG_ITEM_ID], [2, 3]), "item_id must be 1"),
    (*step(["live"] * 2, [ITEM] * 2, [2, -1]), "position must be 0 or more"),
    (*step(["live"] * 2, [ITEM], [2, 3]), "as many rows as"),
    (*step(["live"], [ITEM], [2, 3]), "as many rows as"),
    (*step([], [], []), "must have 1 to 1024 rows"),
    (*step(["live"] * (MAX_BATCH + 1), [ITEM] * (MAX_BATCH + 1), [0] * (MAX_BATCH + 1)), "1 to 1024 rows"),
    ("replay", {"session_id": ["live"], "item_ids": [[""]]}, "at least one id in every row"),
    ("replay", {"session_id": ["live"], "item_ids": [[ITEM] * (MAX_LENGTH + 1)]}, "at most 1024 columns"),
    ("replay", {"session_id": ["live"] * 2, "item_ids": [[ITEM]]}, "as many rows as"),
    ("recommend", {"item_ids": [[ITEM] * (MAX_LENGTH + 1)]}, "at most 1024 columns"),
    ("recommend", {"item_ids": [[LONG_ITEM_ID]]}, "item_ids must be"),
    (
        "score",
        {"session_id": ["live"], "candidate_ids": [[ITEM] * (MAX_CANDIDATES + 1)]},
        "most 10000 columns",
    ),
    ("score", {"session_id": [""], "candidate_ids": [[ITEM]]}, "session_id must be 1"),
    ("score_items", {"item_ids": [[ITEM]], "candidate_ids": [[ITEM]] * 2}, "as many rows as"),
    ("step_explicit", {"item_id": [ITEM], "state": STATE + np.nan}, "state must be finite"),
    ("step_explicit", {"item_id": [ITEM] * 2, "state": STATE}, "as many rows as"),
    ("end_session", {"session_id": ["live", ""]}, "session_id must be 1"),
    ("stats", {"probe": []}, "must have 1 to 1024 rows"),
]
WRONG_RANK = [
    ("step", {"session_id": [["live"]], "item_id": [ITEM], "position": [2]}),
    ("step", {"session_id": ["live"], "item_id": [[ITEM]], "position": [2]}),
    ("step", {"session_id": ["live"], "item_id": [ITEM], "position": [[2]]}),
    ("step", {"session_id": ["live"], "item_id": [ITEM], "position": 2}),
    ("replay", {"session_id": ["live"], "item_ids": [ITEM]}),
    ("replay", {"session_id": "live", "item_ids": [[ITEM]]}),
    ("recommend", {"item_ids": ITEM}),
    ("recommend", {"item_ids": [[[ITEM]]]}),
    ("score", {"session_id": ["live"], "candidate_ids": [ITEM]}),
    ("step_explicit", {"item_id": [ITEM], "state": STATE[0]}),
    ("step_explicit", {"item_id": [ITEM], "state": STATE[:, :5]}),
    ("end_session", {"session_id": [["live"]]}),
]


@pytest.fixture(scope="module")
def unchecked_call(exported):
    with loaded_in_session(exported) as call:
        yield call


def counters(call):
    return {name: values.tolist() for name, values in call("stats", probe=[0]).items()}


def with_session(inputs, session):
    name = session.decode()
    swap = {"live": name, "": "", LONG_SESSION_ID: LONG_SESSION_ID}
    if "session_id" not in inputs:
        return inputs
    ids = np.array(inputs["session_id"], object)
    return {**inputs, "session_id": np.vectorize(swap.get, [object])(ids) if ids.size else ids}


@pytest.mark.parametrize(("name", "inputs", "message"), MALFORMED)
def test_malformed_request_fails_whole(call, new_session, name, inputs, message):
    session = new_session()
    first = call("step", session_id=[session], item_id=[ITEM], position=[1])
    before = counters(call)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(name, **with_session(inputs, session))
    assert counters(call) == before
    again = call("step", session_id=[session], item_id=[ITEM], position=[1])
    assert again["session_length"].tolist() == [1]
    np.testing.assert_array_equal(again["scores"], first["scores"])


@pytest.mark.parametrize(("name", "inputs"), WRONG_RANK)
def test_wrong_rank_is_caught_in_the_graph(unchecked_call, new_session, name, inputs):
    call = unchecked_call
    session = new_session()
    call("step", session_id=[session], item_id=[ITEM], position=[1])
    before = counters(call)
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not compatible with expected shape"):
        call(name, **with_session(inputs, session))
    assert counters(call) == before
