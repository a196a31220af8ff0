"""Bodies over REST from Hypothesis: never a 500, never a hang, and nobody else's session changes."""

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from serving_support import servers
from serving_support.calls import new_session
from serving_support.exports import ITEMS, UNKNOWN_ITEM
from serving_support.rest_calls import RestCaller

from tfrs_gru4rec.export.signatures import SIGNATURES

SECONDS = 10.0  # within which every answer must come
SESSION = "of-the-fuzzer"
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*ITEMS[:3], UNKNOWN_ITEM, SESSION, "", "i" * 257, 2**63, -(2**63), 10**400])
    | st.fixed_dictionaries({"b64": st.text(max_size=8) | st.integers()})
)
NAMES = st.sampled_from(
    sorted({tensor.name for each in SIGNATURES.values() for tensor in each.inputs})
) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
KEYS = st.sampled_from(["instances", "inputs", "signature_name", "b64", "context", ""])


def value_of(name: str, rows: int):
    """Returns what an input may hold."""
    item = st.sampled_from([*ITEMS[:20], UNKNOWN_ITEM])
    row = {
        "session_id": st.just(SESSION),
        "item_id": item,
        "position": st.integers(0, 3),
        "probe": st.integers(0, 1),
        "exclude_seen": st.booleans(),
        "available": st.just(True),
        "allow_groups": st.lists(st.just(""), min_size=2, max_size=2),
        "state": st.lists(st.floats(width=32), min_size=1, max_size=3),
    }.get(name, st.lists(item, min_size=2, max_size=2))
    return st.lists(row, min_size=rows, max_size=rows)


@st.composite
def right_requests(draw):
    """Draws requests that are right, but that an explicit state is of the wrong size."""
    signature = draw(st.sampled_from(sorted(SIGNATURES)))
    rows = draw(st.integers(1, 3))
    columns = {tensor.name: draw(value_of(tensor.name, rows)) for tensor in SIGNATURES[signature].inputs}
    if draw(st.booleans()):
        rows_of = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {"signature_name": signature, "instances": rows_of}
    return {"signature_name": signature, "inputs": columns}


@st.composite
def near_requests(draw):
    """Draws requests that are right but for one or two places, where anything may stand."""
    body = draw(right_requests())
    for _ in range(draw(st.integers(1, 2))):
        spoil(body, draw)
    return body


def spoil(value, draw) -> None:
    """Puts anything somewhere into nested lists and dicts."""
    while value:
        place = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        if not isinstance(value[place], dict | list) or draw(st.integers(0, 3)) == 0:
            value[place] = draw(JSON)
            return
        value = value[place]


BODIES = (
    near_requests().map(lambda body: json.dumps(body).encode())
    | st.dictionaries(KEYS, JSON, max_size=3).map(lambda body: json.dumps(body).encode())
    | JSON.map(lambda body: json.dumps(body).encode())
    | st.binary(max_size=200)
    | near_requests().flatmap(
        lambda body: st.integers(1, 30).map(lambda cut: json.dumps(body).encode()[:-cut])
    )
)


@pytest.fixture(scope="module")
def rest(real_export):
    """A server of its own, as the fuzzer may change what is available."""
    with servers.serving(real_export.parent, rest_port=0) as server:
        yield RestCaller(f"http://{server.rest_address}/v1/models/gru4rec")


@pytest.fixture(scope="module")
def bystander(rest):
    """A session that no request of the fuzzer names; it must stay as it is."""
    session = new_session()
    rest.call("replay", session_id=[session], item_ids=[ITEMS[:3]])
    return session


@pytest.fixture(scope="module")
def connection():
    with requests.Session() as made:
        yield made


@given(body=BODIES)
def test_any_body(rest, bystander, connection, body):
    response = connection.post(f"{rest.url}:predict", data=body, timeout=SECONDS)
    assert response.status_code in (200, 400), (response.status_code, response.text)
    if response.status_code == 200:
        assert response.json().keys() <= {"predictions", "outputs"}
    else:
        assert list(response.json()) == ["error"]
    assert rest.length(bystander) == 3


@given(body=right_requests())
def test_what_the_fuzzer_spoils_is_right_before(rest, body):
    response = rest.post(body)
    expected = 400 if body["signature_name"].startswith("step_explicit") else 200
    assert response.status_code == expected, response.text
