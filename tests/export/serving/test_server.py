"""The running server: what it says, how it stops, what it survives, whom it lets in."""

import pathlib
import re
import socket
import threading
import time
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_support import tiny_models
from serving_support.certificates import make_certificates
from serving_support.servers import Server, ServerProcess, ServerThread, serving, until
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)


@pytest.fixture
def export_dir(publish):
    return publish(1).parent


def predict(address: str, request, timeout: float = 60.0):
    with grpc.insecure_channel(address) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)


def step(address: str, session_id: str) -> tuple[int, int]:
    """Returns the version that answered and the session's length."""
    response = predict(address, tiny_models.step_request(session_id, "shoe"))
    return response.model_spec.version.value, response.outputs["session_length"].int64_val[0]


END = get_model_status_pb2.ModelVersionStatus.END


def states(address: str) -> list[tuple[int, int]]:
    """Returns the versions that the server tells of, each with its state."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "gru4rec"
    with grpc.insecure_channel(address) as channel:
        found = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60.0)
    return [(status.version, status.state) for status in found.model_version_status]


def test_a_new_version_takes_over_under_load_without_a_failed_request(export_dir, publish):
    seen, failures, stop = [], [], threading.Event()

    def ask(address: str, name: str) -> None:
        with grpc.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while not stop.is_set():
                try:
                    response = stub.Predict(tiny_models.step_request(name, "shoe"), timeout=60.0)
                    seen.append(
                        (name, response.model_spec.version.value, response.outputs["scores"].float_val[0])
                    )
                except grpc.RpcError as error:
                    failures.append(error)

    with serving(export_dir, poll_seconds=0.05) as server:
        threads = [threading.Thread(target=ask, args=[server.address, name]) for name in "abc"]
        for thread in threads:
            thread.start()
        until(lambda: len(seen) > 50)
        publish(2, source=2)
        until(lambda: seen[-1][1] == 2)
        count = len(seen)
        until(lambda: len(seen) > count + 50)
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    for name in "abc":
        # Nothing was lost or mixed up: version 1 counts 1, 2, 3, …; version 2 starts again, and its scores
        # are twice the count.
        for version in (1, 2):
            scores = [score for asked, answered, score in seen if (asked, answered) == (name, version)]
            assert scores == [version * float(count + 1) for count in range(len(scores))]
        versions = [answered for asked, answered, _ in seen if asked == name]
        assert versions == sorted(versions)


def test_a_call_under_way_finishes_on_its_version_and_at_shutdown(export_dir, publish):
    answers = []
    with serving(export_dir, ServerProcess, poll_seconds=0.05, drain_seconds=60.0) as server:
        rounds = _rounds_of(server.address, seconds=1.0)
        call = threading.Thread(
            target=lambda: answers.append(predict(server.address, tiny_models.spin_request(rounds)))
        )
        call.start()
        time.sleep(0.2)
        publish(2, source=2)
        until(lambda: step(server.address, "s")[0] == 2)
        call.join()
        assert answers.pop().model_spec.version.value == 1
        call = threading.Thread(
            target=lambda: answers.append(predict(server.address, tiny_models.spin_request(rounds)))
        )
        call.start()
        time.sleep(0.2)
        server.terminate()
        call.join()
        assert server.wait() == 0
    assert answers.pop().model_spec.version.value == 2


def _rounds_of(address: str, seconds: float) -> int:
    """Returns how many rounds of `spin` take about so long on this machine now."""
    predict(address, tiny_models.spin_request(20))
    started = time.monotonic()
    predict(address, tiny_models.spin_request(200))
    return int(200 * seconds / (time.monotonic() - started))


def test_a_call_that_takes_too_long_does_not_hold_up_the_shutdown(export_dir):
    with serving(export_dir, drain_seconds=0.2) as server:
        rounds = _rounds_of(server.address, seconds=2.0)
        codes = []

        def ask() -> None:
            try:
                predict(server.address, tiny_models.spin_request(rounds))
            except grpc.RpcError as error:
                codes.append(error.code())

        call = threading.Thread(target=ask)
        call.start()
        time.sleep(0.2)
        server.terminate()
        call.join(1.5)
        assert not call.is_alive()
        assert server.wait() == 0
    assert codes
    assert codes[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_broken_version_does_not_take_it_down(export_dir, publish):
    with serving(export_dir, poll_seconds=0.05) as server:
        assert step(server.address, "s") == (1, 1)
        (export_dir / "2").mkdir()
        (export_dir / "2" / "saved_model.pb").write_bytes(b"garbage")
        until(lambda: (2, END) in states(server.address))
        assert step(server.address, "s") == (1, 2)
        publish(3)
        until(lambda: step(server.address, "t")[0] == 3)


def test_health_follows_the_model(tmp_path, tiny_versions, publish):
    (tmp_path / "export").mkdir(exist_ok=True)
    with (
        serving(tmp_path / "export", poll_seconds=0.05) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)

        def status(service: str = ""):
            return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60.0).status

        assert status() == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            step(server.address, "s")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        publish(1)
        until(lambda: status() == health_pb2.HealthCheckResponse.SERVING)
        assert status("tensorflow.serving.PredictionService") == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            status("unknown")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module")
def small_server(tiny_versions):
    """A server of version 2 with small limits and with metrics."""
    limits = {"max_message_bytes": 2000, "max_batch_size": 4, "max_waiting_rows": 8, "max_id_bytes": 20}
    with serving(tiny_versions, rest_port=0, **limits) as server:
        yield server


def scrape(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{server.rest_address}/metrics", timeout=30.0) as response:
        lines = response.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def test_metrics_over_http(small_server):
    before = scrape(small_server)
    step(small_server.address, "metrics")
    for bad in (tiny_models.step_request("", "shoe"), tiny_models.request("made-up-by-a-stranger", x=[1])):
        with pytest.raises(grpc.RpcError):
            predict(small_server.address, bad)
    after = scrape(small_server)
    assert not [name for name in after if "made-up" in name]
    assert after["gru4rec_model_version"] == 2.0
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    assert grown['gru4rec_requests_total{code="OK",signature="step"}'] == 1.0
    assert grown['gru4rec_requests_total{code="INVALID_ARGUMENT",signature="step"}'] == 1.0
    assert grown['gru4rec_requests_total{code="FAILED_PRECONDITION",signature="unknown"}'] == 1.0
    assert grown['gru4rec_request_seconds_count{signature="step"}'] == 2.0
    assert grown["gru4rec_sessions_live_sessions"] == 1.0


def test_limits(small_server):
    address = small_server.address
    assert step(address, "s" * 20) == (2, 1)
    for request, code in (
        (tiny_models.step_request("s" * 21, "shoe"), grpc.StatusCode.INVALID_ARGUMENT),
        (tiny_models.request("recommend", item_ids=[["a"]] * 5), grpc.StatusCode.INVALID_ARGUMENT),
        (tiny_models.request("recommend", item_ids=[["a" * 20] * 150]), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            predict(address, request)
        assert caught.value.code() == code
    assert step(address, "s" * 20) == (2, 2)


@pytest.mark.parametrize("address", ["address", "rest_address"])
def test_listens_on_loopback_alone(small_server, address):
    port = int(getattr(small_server, address).split(":")[1])
    found = "".join(pathlib.Path("/proc/net", name).read_text() for name in ("tcp", "tcp6"))
    listening = re.findall(rf" ([0-9A-F]+):{port:04X} [0-9A-F]+:0000 0A ", found)
    # 127.0.0.1, written as such or as an IPv6 address; words are little-endian.
    assert listening in (["0100007F"], ["0000000000000000FFFF00000100007F"])


def test_an_address_in_use_is_told(export_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="Cannot listen on 127.0.0.1"):
            ServerThread(export_dir, port=taken.getsockname()[1])


def _tls_step(address: str, files: dict[str, bytes], is_known: bool = True) -> int:
    """Steps over a new connection, with the client's certificate if it is known."""
    names = {"root_certificates": "ca.pem", "private_key": "client.key", "certificate_chain": "client.pem"}
    shown = {name: files[file] for name, file in names.items() if is_known or file == "ca.pem"}
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(**shown), options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(tiny_models.step_request("s", "shoe"), timeout=10.0)
    return response.outputs["session_length"].int64_val[0]


def test_tls_lets_in_who_has_a_certificate_and_takes_up_new_ones(export_dir, tmp_path):
    files = make_certificates(tmp_path)
    names = {"tls_certificate": "server.pem", "tls_key": "server.key", "tls_client_ca": "ca.pem"}
    with serving(export_dir, **{flag: tmp_path / name for flag, name in names.items()}) as server:
        assert _tls_step(server.address, files) == 1
        with pytest.raises(grpc.RpcError):
            _tls_step(server.address, files, is_known=False)
        with pytest.raises(grpc.RpcError):
            predict(server.address, tiny_models.step_request("s", "shoe"), timeout=5.0)
        (tmp_path / "server.key").unlink()
        assert _tls_step(server.address, files) == 2
        renewed = make_certificates(tmp_path)
        assert _tls_step(server.address, renewed) == 3
        with pytest.raises(grpc.RpcError):
            _tls_step(server.address, files)
