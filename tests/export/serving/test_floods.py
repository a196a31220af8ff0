"""Floods of a server by one client: what others get meanwhile. Loopback alone, bounded in number and time."""

import contextlib
import threading
import time

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_support import tiny_models
from serving_support.servers import serving
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tfrs_gru4rec.export.serving.predict_messages import PREDICT
from tfrs_gru4rec.export.signatures import MAX_ROWS_OF_A_SESSION

LIMITS = {"max_concurrent_requests": 4, "receive_seconds": 0.5, "max_streams": 16}


@pytest.fixture(scope="module")
def address(tiny_versions):
    with serving(tiny_versions, **LIMITS) as server:
        yield server.address


@pytest.fixture
def stub(address):
    with grpc.insecure_channel(address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def code_of(call) -> grpc.StatusCode:
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@contextlib.contextmanager
def silent_calls(address: str, count: int):
    """Opens calls that send their headers and no message; yields what they end with, and when."""
    end, codes = threading.Event(), []

    def nothing():
        end.wait(20.0)
        yield from ()

    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        calls = [channel.stream_unary(PREDICT).future(nothing()) for _ in range(count)]
        for call in calls:
            call.add_done_callback(lambda call: codes.append((call.code(), time.monotonic())))
        try:
            yield codes
        finally:
            end.set()


def test_calls_that_send_no_message_shut_nobody_out_and_end_in_time(address, stub):
    with silent_calls(address, 12) as codes:
        time.sleep(0.2)
        stub.Predict(tiny_models.step_request("silent", "shoe"), timeout=5.0)
        started = time.monotonic()
        while len(codes) < 12 and time.monotonic() < started + 10.0:
            time.sleep(0.01)
        assert {code for code, _ in codes} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        times = [ended for _, ended in codes]
        assert len(times) == 12
        assert max(times) - min(times) > 0.05  # of half a second: they do not all end at once


def test_health_is_outside_the_limit_and_what_is_beyond_it_is_told(address, stub):
    spins = [stub.Predict.future(tiny_models.spin_request(3000), timeout=20.0) for _ in range(4)]
    time.sleep(0.1)
    assert code_of(lambda: stub.Predict(tiny_models.step_request("s", "x"), timeout=5.0)) == (
        grpc.StatusCode.UNAVAILABLE
    )
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5.0)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    for spin in spins:
        spin.cancel()


def test_a_request_that_takes_too_long_is_given_up(tiny_versions):
    with (
        serving(tiny_versions, handle_seconds=0.05) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        call = lambda: stub.Predict(tiny_models.spin_request(3000), timeout=20.0)  # noqa: E731
        assert code_of(call) == grpc.StatusCode.DEADLINE_EXCEEDED


def test_steps_go_on_while_all_other_threads_are_at_work(tiny_versions):
    with serving(tiny_versions, batch_threads=1) as server, grpc.insecure_channel(server.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(tiny_models.step_request("s", "x"), timeout=5.0)
        spin = stub.Predict.future(tiny_models.spin_request(20_000), timeout=20.0)
        time.sleep(0.1)
        stub.Predict(tiny_models.step_request("s", "x"), timeout=5.0)
        assert not spin.done()
        spin.cancel()


def test_many_rows_of_one_session_in_a_request_are_refused(stub):
    def steps(count: int) -> grpc.StatusCode:
        position = tf.zeros([count], tf.int64)
        request = tiny_models.request(
            "step", session_id=["one"] * count, item_id=["x"] * count, position=position
        )
        return code_of(lambda: stub.Predict(request, timeout=5.0))

    assert steps(MAX_ROWS_OF_A_SESSION) == grpc.StatusCode.OK
    assert steps(MAX_ROWS_OF_A_SESSION + 1) == grpc.StatusCode.INVALID_ARGUMENT


def test_a_wrong_request_waits_for_its_error_and_holds_up_nobody(tiny_versions):
    with (
        serving(tiny_versions, refusal_seconds=0.5, max_concurrent_requests=1) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        started = time.monotonic()
        wrong = stub.Predict.future(tiny_models.step_request("s" * 1000, "x"), timeout=5.0)
        time.sleep(0.1)  # until it waits for its error
        while not wrong.done():
            stub.Predict(tiny_models.step_request("s", "x"), timeout=0.4)
        assert wrong.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("shape", [(1, 1_048_576), (1, 1025), (2**31, 1), (1025, 1)])
def test_a_small_request_of_a_huge_shape_is_refused(stub, shape):
    request = tiny_models.request("recommend", item_ids=[["x"]])
    assert request.ByteSize() < 60
    for dim, size in zip(request.inputs["item_ids"].tensor_shape.dim, shape, strict=True):
        dim.size = size
    assert request.inputs["item_ids"].dtype == types_pb2.DT_STRING
    assert code_of(lambda: stub.Predict(request, timeout=5.0)) == grpc.StatusCode.INVALID_ARGUMENT
