"""The contract, seen from outside: TF Serving's API. Runs against any server, see `contract_address`."""

import os

import grpc
import numpy as np
import pytest
import tensorflow as tf
from serving_support.calls import Caller, new_session
from serving_support.exports import ITEMS, TOP_K
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    regression_pb2,
)

from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.serving.client import SessionClient

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
embedded_only = pytest.mark.skipif(
    "TF_SERVING_TARGET" in os.environ, reason="TensorFlow Serving has these, the embedded server does not."
)


def code_of(call) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.details()
    return caught.value.code()


def test_metadata_tells_the_contract(server: Caller):
    definitions = server.definitions()
    assert signatures.SIGNATURES.keys() <= definitions.keys()
    for name, signature in signatures.SIGNATURES.items():
        found = definitions[name]
        for tensors, infos in ((signature.inputs, found.inputs), (signature.outputs, found.outputs)):
            assert {tensor.name for tensor in tensors} == infos.keys()
            for tensor in tensors:
                info = infos[tensor.name]
                assert tf.as_dtype(info.dtype).name == tensor.resolved_dtype("string")
                sizes = [dim.size for dim in info.tensor_shape.dim]
                assert len(sizes) == len(tensor.shape)
                assert sizes[0] == -1
                assert ("top_k" not in tensor.shape) or sizes[1] == TOP_K


def test_metadata_tells_the_version(server: Caller):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = server.model
    spec = server.stub.GetModelMetadata(request, timeout=60.0).model_spec
    assert (spec.name, spec.version.value) == ("gru4rec", 1)


@pytest.mark.parametrize("fields", [[], ["other"], ["signature_def", "other"]])
def test_metadata_of_other_kinds(server: Caller, fields):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = server.model
    assert code_of(lambda: server.stub.GetModelMetadata(request, timeout=60.0)) == INVALID


def test_the_answer_tells_who_gave_it(server: Caller):
    response = server.stub.Predict(server.request("", item_ids=[["x"]]), timeout=60.0)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("gru4rec", 1, "serving_default")


def test_numbers_come_in_typed_fields(server: Caller):
    response = server.stub.Predict(server.request("recommend", item_ids=[[ITEMS[0]]]), timeout=60.0)
    assert len(response.outputs["scores"].float_val) == TOP_K
    assert len(response.outputs["item_ids"].string_val) == TOP_K


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda spec: spec.Clear(), INVALID),
        (lambda spec: spec.ClearField("name"), INVALID),
        (lambda spec: setattr(spec, "name", "other"), NOT_FOUND),
        (lambda spec: setattr(spec.version, "value", 99), NOT_FOUND),
        (lambda spec: setattr(spec, "version_label", "nobody"), INVALID),
        (lambda spec: setattr(spec, "signature_name", "walk"), grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
def test_model_specs(server: Caller, change, code):
    request = server.request("recommend", item_ids=[["x"]])
    change(request.model_spec)
    assert server.failure(request) == code


def test_without_model_spec(server: Caller):
    request = server.request("recommend", item_ids=[["x"]])
    request.ClearField("model_spec")
    assert server.failure(request) == INVALID


def test_a_version_can_be_asked_for(server: Caller):
    request = server.request("recommend", item_ids=[["x"]])
    request.model_spec.version.value = 1
    assert server.failure(request) == grpc.StatusCode.OK


def test_output_filter(server: Caller):
    request = server.request("step", session_id=[new_session()], item_id=[ITEMS[0]], position=[1])
    request.output_filter.extend(["status", "session_length"])
    answer = server.send(request)
    assert answer.keys() == {"status", "session_length"}
    assert answer["session_length"].tolist() == [1]
    for bad in ("nothing", "status"):
        refused = server.request("step", session_id=[new_session()], item_id=[ITEMS[0]], position=[1])
        refused.output_filter.extend(["status", bad])
        assert server.failure(refused) == INVALID


def malformed(server: Caller, session: str):
    """Yields requests that must fail, each of which would change the session if it did not."""
    good = {"session_id": [session], "item_id": [ITEMS[1]], "position": [2]}
    for changes in (
        {"session_id": [""]},
        {"session_id": ["s" * 129]},
        {"item_id": [""]},
        {"item_id": ["i" * 257]},
        {"position": [-1]},
        {"session_id": [[session]]},
        {"session_id": [session, session]},
        {"session_id": [session, ""], "item_id": [ITEMS[1]] * 2, "position": [2, 3]},
        {"session_id": tf.make_tensor_proto([], tf.string), "item_id": tf.make_tensor_proto([], tf.string)},
        {"position": tf.make_tensor_proto([2], tf.int32)},
        {"item_id": tf.make_tensor_proto([2], tf.int64)},
        {"more": [ITEMS[1]]},
    ):
        yield server.request("step", **{**good, **changes})
    yield server.request("step", session_id=[session], item_id=[ITEMS[1]])
    yield server.request("replay", session_id=[session], item_ids=[[""]])
    yield server.request("replay", session_id=[session], item_ids=[[ITEMS[1]] * 1025])
    yield server.request("replay", session_id=[session], item_ids=[[ITEMS[1]], [ITEMS[2]]])
    yield server.request("end_session", session_id=[session, ""])


def test_malformed_requests_fail_and_change_nothing(server: Caller):
    session = new_session()
    server.step((session, ITEMS[0], 1))
    before = server.call("score", session_id=[session], candidate_ids=[ITEMS[:20]])
    live = server.call("stats", probe=[0])["live_sessions"].tolist()
    for request in malformed(server, session):
        assert server.failure(request) == INVALID, request
    after = server.call("score", session_id=[session], candidate_ids=[ITEMS[:20]])
    for name in before:
        assert before[name].tolist() == after[name].tolist()
    assert server.call("stats", probe=[0])["live_sessions"].tolist() == live


def status(server: Caller, name: str, version: int | None = None):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    stub = model_service_pb2_grpc.ModelServiceStub(server.channel)
    return stub.GetModelStatus(request, timeout=60.0).model_version_status


def test_model_status(server: Caller):
    for version in (None, 1):
        (found,) = status(server, "gru4rec", version)
        assert (found.version, found.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        assert found.status.error_code == 0
    assert code_of(lambda: status(server, "other")) == NOT_FOUND
    assert code_of(lambda: status(server, "gru4rec", 99)) == NOT_FOUND
    stub = model_service_pb2_grpc.ModelServiceStub(server.channel)
    empty = get_model_status_pb2.GetModelStatusRequest()
    assert code_of(lambda: stub.GetModelStatus(empty, timeout=60.0)) == INVALID


@embedded_only
def test_what_the_embedded_server_leaves_out(server: Caller):
    models = model_service_pb2_grpc.ModelServiceStub(server.channel)
    for call in (
        lambda: server.stub.Classify(classification_pb2.ClassificationRequest(), timeout=60.0),
        lambda: server.stub.Regress(regression_pb2.RegressionRequest(), timeout=60.0),
        lambda: server.stub.MultiInference(inference_pb2.MultiInferenceRequest(), timeout=60.0),
        lambda: models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=60.0),
    ):
        assert code_of(call) == grpc.StatusCode.UNIMPLEMENTED


@embedded_only
def test_the_largest_row_of_the_contract_fits_the_default_message(contract_address):
    # Every id different, as constant ones could be sent as one.
    ids = [f"{number:0>{signatures.MAX_ITEM_ID_BYTES}}" for number in range(signatures.MAX_CANDIDATES)]
    with SessionClient(contract_address) as client:
        scores = client.score_items(ids[: signatures.MAX_LENGTH], ids)
        assert scores.shape == (signatures.MAX_CANDIDATES,)
        assert np.isneginf(scores).all()
