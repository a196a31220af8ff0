"""REST: paths, formats and codes of TF Serving, and what of gRPC's bounds holds for it too.

The codes are those of TF Serving's `ToHTTPStatusCode`.
"""

import concurrent.futures
import contextlib
import json
import socket
import ssl
import threading
import time
import urllib.request

import grpc
import numpy as np
import pytest
import requests
from prometheus_client import parser
from serving_support import tiny_models
from serving_support.calls import Caller, new_session
from serving_support.certificates import make_certificates
from serving_support.exports import ITEMS, TOP_K
from serving_support.rest_calls import RestCaller
from serving_support.servers import ServerThread, serving, until
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tfrs_gru4rec.export.serving import rest as rest_server


def test_status(rest: RestCaller):
    expected = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("", "/versions/1"):
        response = rest.get(path)
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.json() == {"model_version_status": [expected]}


def test_metadata_is_that_of_grpc(rest: RestCaller, server: Caller):
    found = rest.get("/versions/1/metadata").json()
    assert found["model_spec"]["name"] == "gru4rec"
    assert found["model_spec"]["version"] == "1"
    definitions = found["metadata"]["signature_def"]["signature_def"]
    expected = server.definitions()
    assert definitions.keys() == expected.keys()
    for name, definition in expected.items():
        for side in ("inputs", "outputs"):
            infos = getattr(definition, side)
            assert definitions[name][side].keys() == infos.keys()
            for alias, info in infos.items():
                sizes = [int(dim["size"]) for dim in definitions[name][side][alias]["tensor_shape"]["dim"]]
                assert sizes == [dim.size for dim in info.tensor_shape.dim]


def test_rows_and_columns_give_what_grpc_gives(rest: RestCaller, server: Caller):
    expected = server.call("recommend", item_ids=[[ITEMS[3], ITEMS[50]], [ITEMS[7], ""]])
    rows = rest.post({"instances": [[ITEMS[3], ITEMS[50]], [ITEMS[7], ""]]}).json()["predictions"]
    columns = rest.post({"inputs": {"item_ids": [[ITEMS[3], ITEMS[50]], [ITEMS[7], ""]]}}).json()["outputs"]
    assert len(rows) == 2
    for row in range(2):
        ids = [item.decode() for item in expected["item_ids"][row]]
        assert rows[row]["item_ids"] == columns["item_ids"][row] == ids
        np.testing.assert_allclose(rows[row]["scores"], expected["scores"][row], rtol=0, atol=1e-6)
        assert len(ids) == TOP_K


def test_a_session_goes_on_across_both(rest: RestCaller, server: Caller):
    session = new_session()
    server.step((session, ITEMS[1], 1))
    assert rest.step((session, ITEMS[2], 2))["session_length"].tolist() == [2]
    assert server.length(session) == 2


PREDICT = {"signature_name": "recommend", "instances": [{"item_ids": ["x"]}]}
STEP = {"session_id": ["s"], "item_id": [ITEMS[0]], "position": [1]}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (":predict", PREDICT, 200),
        ("/versions/1:predict", PREDICT, 200),
        ("/versions/99:predict", PREDICT, 404),
        ("/labels/nobody:predict", PREDICT, 400),
        (":classify", PREDICT, 400),
        (":regress", PREDICT, 400),
        ("/versions/one:predict", PREDICT, 400),
        ("/versions/99999999999999999999:predict", PREDICT, 400),
        ("/predict", PREDICT, 400),
        ("", PREDICT, 400),
        (":predict", {**PREDICT, "signature_name": "walk"}, 400),
        (":predict", b"", 400),
        (":predict", b"{", 400),
        (":predict", {}, 400),
        (":predict", {**PREDICT, "inputs": [["x"]]}, 400),
        (":predict", {"instances": []}, 400),
        (":predict", {"instances": [[1]]}, 400),
        (":predict", {"instances": ["x"]}, 400),
        (":predict", {"signature_name": "step", "inputs": STEP | {"session_id": [""]}}, 400),
        (":predict", {"signature_name": "step", "inputs": STEP | {"position": [-1]}}, 400),
        (":predict", {"signature_name": "step", "inputs": STEP | {"position": [1.5]}}, 400),
        (":predict", {"signature_name": "step", "inputs": STEP | {"position": ["1"]}}, 400),
        (":predict", {"signature_name": "step", "inputs": STEP | {"item_id": ["i" * 257]}}, 400),
        (":predict", {"signature_name": "step", "inputs": STEP | {"item_id": ["a", "b"]}}, 400),
        (":predict", {"signature_name": "step", "inputs": {"session_id": ["s"]}}, 400),
    ],
)
def test_codes_of_a_predict(rest: RestCaller, path, body, code):
    response = rest.post(body, path)
    assert response.status_code == code
    if code != 200:
        (message,) = response.json().values()
        assert list(response.json()) == ["error"]
        assert message


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/versions/99", 404),
        ("/versions/99/metadata", 404),
        ("/labels/nobody", 400),
        ("/other", 400),
        (":predict", 400),
        ("/../other", 404),
    ],
)
def test_codes_of_a_get(rest: RestCaller, path, code):
    response = rest.get(path)
    assert (response.status_code, list(response.json())) == (code, ["error"])


def test_another_model_is_not_found(rest: RestCaller):
    url = rest.url.replace("gru4rec", "other")
    assert requests.get(url, timeout=10.0).status_code == 404
    assert requests.post(f"{url}:predict", json=PREDICT, timeout=10.0).status_code == 404


def test_every_code_of_grpc_has_the_status_of_tf_serving():
    # After OK, in the order of the codes' numbers, 1 to 16.
    statuses = [499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
    codes = sorted(grpc.StatusCode, key=lambda code: code.value[0])[1:]
    assert [rest_server._CODES.get(code.name, 500) for code in codes] == statuses


@pytest.fixture(scope="module")
def small(tiny_versions):
    """A server of version 2 with small limits."""
    limits = {
        "max_message_bytes": 2000,
        "max_batch_size": 4,
        "max_concurrent_requests": 4,
        "receive_seconds": 0.5,
        "version_labels": {"stable": 2},
    }
    with serving(tiny_versions, rest_port=0, **limits) as server:
        yield server


def url_of(server, path: str = "/v1/models/gru4rec:predict") -> str:
    return f"http://{server.rest_address}{path}"


def step(server, session: str = "s"):
    inputs = {"session_id": [session], "item_id": ["shoe"], "position": [0]}
    return requests.post(url_of(server), json={"signature_name": "step", "inputs": inputs}, timeout=30.0)


def test_labels(small):
    for path in ("/v1/models/gru4rec/labels/stable", "/v1/models/gru4rec/labels/stable/metadata"):
        assert requests.get(url_of(small, path), timeout=10.0).status_code == 200


def test_bounds_of_a_request(small):
    def code(instances) -> int:
        body = {"signature_name": "recommend", "instances": instances}
        return requests.post(url_of(small), json=body, timeout=10.0).status_code

    assert code([["a"]] * 4) == 200
    assert code([["a"]] * 5) == 400
    assert code([["a" * 2000]]) == 413


def test_scrapers_of_the_metrics_wait_for_one_another(small):
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: requests.get(url_of(small, "/metrics"), timeout=10.0), range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert time.monotonic() - started >= 0.2


def test_metrics_and_health(small):
    step(small)
    response = requests.get(url_of(small, "/metrics"), timeout=10.0)
    families = {family.name for family in parser.text_string_to_metric_families(response.text)}
    assert {"gru4rec_requests", "gru4rec_model_version", "gru4rec_sessions_live_sessions"} <= families
    assert response.headers["Content-Type"].startswith("text/plain")
    assert requests.get(url_of(small, "/healthz"), timeout=10.0).json() == {"version": "2"}
    assert requests.get(url_of(small, "/nothing"), timeout=10.0).json() == {"error": "Not Found"}


def test_health_without_a_version(tmp_path):
    with serving(tmp_path, rest_port=0) as server:
        response = requests.get(url_of(server, "/healthz"), timeout=10.0)
        assert (response.status_code, list(response.json())) == (503, ["error"])
        assert step(server).status_code == 404


def test_pages_of_other_origins_are_refused(small):
    for origin, code in (("https://shop.example", 403), (f"http://{small.rest_address}", 200)):
        response = requests.get(url_of(small, "/healthz"), headers={"Origin": origin}, timeout=10.0)
        assert response.status_code == code


def connect(server) -> socket.socket:
    host, port = server.rest_address.split(":")
    return socket.create_connection((host, int(port)), timeout=10.0)


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", b"POST /v1/models/gru4rec:predict HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_headers_that_do_not_come_in_time_end_the_connection(small, sent):
    with connect(small) as connection:
        connection.sendall(sent)
        assert is_closed_within(connection, 5.0)


def test_a_body_that_does_not_come_in_time_is_told(small):
    head = b"POST /v1/models/gru4rec:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    with connect(small) as connection:
        connection.sendall(head)
        started = time.monotonic()
        assert connection.recv(4096).startswith(b"HTTP/1.1 504 ")
        assert time.monotonic() - started < 5.0
        assert is_closed_within(connection, 5.0)


def test_requests_sent_ahead_are_not_read_on_and_on(tiny_versions):
    """What is sent while a request is handled takes memory, so the server must stop reading."""
    body = b'{"signature_name": "spin", "inputs": [50000]}'
    head = b"POST /v1/models/gru4rec:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(tiny_versions, rest_port=0, drain_seconds=0.1) as server, connect(server) as connection:
        connection.sendall(head + body)
        connection.settimeout(1.0)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 32 << 20:
                sent += connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        assert sent < 32 << 20


def test_headers_have_a_bound(small):
    with connect(small) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET /healthz HTTP/1.1\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n")
        assert b" 400 " in connection.recv(4096)


def test_connections_beyond_the_bound_are_closed(small):
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(connect(small)) for _ in range(4)]
        for connection in kept:  # each is in use, so that none is closed as silent
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert is_closed_within(stack.enter_context(connect(small)), 2.0)
        kept[0].close()
        until(lambda: _answers(small))


def _answers(server) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url_of(server, "/healthz"), timeout=5.0).status_code == 200
    return False


def test_requests_beyond_the_bound_are_told_over_both(tiny_versions):
    with serving(tiny_versions, rest_port=0, max_concurrent_requests=1) as server:

        def status():
            try:
                return step(server).status_code
            except requests.ConnectionError:  # the connection before is not yet gone, and one is the bound
                return None

        with grpc.insecure_channel(server.address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            spins = []

            def is_full():
                if not spins or spins[-1].done():  # refused itself, by a step that came first
                    spins.append(stub.Predict.future(tiny_models.spin_request(20_000), timeout=20.0))
                return status() == 503

            until(is_full)
            spins[-1].cancel()
        until(lambda: status() == 200)


def test_a_request_that_takes_too_long_is_given_up(tiny_versions):
    with serving(tiny_versions, rest_port=0, handle_seconds=0.05) as server:
        body = {"signature_name": "spin", "inputs": [3000]}
        response = requests.post(url_of(server), json=body, timeout=20.0)
        assert (response.status_code, list(response.json())) == (504, ["error"])


def test_a_wrong_request_waits_for_its_error(tiny_versions):
    with serving(tiny_versions, rest_port=0, refusal_seconds=0.5) as server:
        started = time.monotonic()
        assert requests.post(url_of(server), data=b"{", timeout=20.0).status_code == 400
        assert time.monotonic() - started >= 0.5


def test_a_request_under_way_is_finished_at_the_end(tiny_versions):
    with serving(tiny_versions, rest_port=0) as server:
        found = []
        body = {"signature_name": "spin", "inputs": [2000]}
        thread = threading.Thread(
            target=lambda: found.append(requests.post(url_of(server), json=body, timeout=30.0))
        )
        thread.start()
        time.sleep(0.2)
        server.terminate()
        thread.join()
        assert server.wait() == 0
    assert found[0].status_code == 200


def test_an_address_in_use_is_told(tiny_versions):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="address already in use"):
            ServerThread(tiny_versions, rest_port=taken.getsockname()[1])


def test_merged_with_calls_over_grpc(tiny_versions):
    """Rows that wait go into one batch, whichever way they came."""
    with (
        serving(tiny_versions, rest_port=0, batch_wait_seconds=0.5, max_batch_size=2) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        pending = stub.Predict.future(tiny_models.step_request("g", "shoe"), timeout=20.0)
        assert step(server, "r").status_code == 200
        pending.result()
        text = requests.get(url_of(server, "/metrics"), timeout=10.0).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    rows, batches = (
        float(lines[f'gru4rec_batch_rows_{name}{{signature="step"}}']) for name in ("sum", "count")
    )
    assert (rows, batches) == (2.0, 1.0)


def test_tls_lets_in_who_has_a_certificate_and_takes_up_new_ones(publish, tmp_path):
    make_certificates(tmp_path)
    names = {"tls_certificate": "server.pem", "tls_key": "server.key", "tls_client_ca": "ca.pem"}
    files = {flag: tmp_path / name for flag, name in names.items()}

    def get(url: str, folder, is_known: bool = True) -> int:
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        if is_known:
            context.load_cert_chain(folder / "client.pem", folder / "client.key")
        with urllib.request.urlopen(url, context=context, timeout=10.0) as response:
            return response.status

    with serving(publish(1).parent, rest_port=0, **files) as server:
        url = f"https://{server.rest_address}/v1/models/gru4rec"
        assert get(url, tmp_path) == 200
        with pytest.raises(OSError):  # noqa: PT011, which of them depends on when the server hangs up
            get(url, tmp_path, is_known=False)
        with pytest.raises(OSError):  # noqa: PT011
            requests.get(url.replace("https", "http"), timeout=5.0)
        old = tmp_path / "old"
        old.mkdir()
        for path in list(tmp_path.glob("*.*")):
            (old / path.name).write_bytes(path.read_bytes())
        (tmp_path / "server.key").unlink()
        assert get(url, old) == 200
        make_certificates(tmp_path)
        assert get(url, tmp_path) == 200
        with pytest.raises(OSError):  # noqa: PT011
            get(url, old)


def test_unforeseen_errors_keep_their_details(small, monkeypatch, caplog):
    monkeypatch.setattr("tfrs_gru4rec.export.serving.json_tensors.parse", lambda body: {}["the secret"])
    response = step(small)
    assert response.status_code == 500
    assert "secret" not in json.dumps(response.json())
    assert "the secret" in caplog.text
