"""The client's own messages against those of tensorflow-serving-api."""

import types

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_service_pb2_grpc

from tfrs_gru4rec.export.serving import predict_messages

THEIRS = {
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "Int64Value": wrappers_pb2.Int64Value,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
}


def fields(descriptor: Descriptor) -> dict[str, tuple]:
    """What decides how fields travel, by name; an enum travels as an int32."""
    proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(proto)
    return {
        field.name: (
            field.number,
            field.label,
            field.TYPE_INT32 if field.type == field.TYPE_ENUM else field.type,
        )
        for field in proto.field
    }


def assert_same_fields(ours: Descriptor, theirs: Descriptor) -> None:
    assert fields(ours).items() <= fields(theirs).items()
    for field in ours.fields:
        if field.message_type is not None:
            assert_same_fields(field.message_type, theirs.fields_by_name[field.name].message_type)


@pytest.mark.parametrize("name", predict_messages.FIELDS)
def test_fields_are_those_of_the_api(name):
    ours = predict_messages._CLASSES[name].DESCRIPTOR
    assert len(ours.fields) == len(predict_messages.FIELDS[name])
    assert_same_fields(ours, THEIRS[name].DESCRIPTOR)


def test_constants_are_those_of_the_api():
    for name in ("DT_FLOAT", "DT_INT32", "DT_STRING", "DT_INT64", "DT_BOOL"):
        assert getattr(predict_messages, name) == getattr(types_pb2, name)
    asked = []
    channel = types.SimpleNamespace(unary_unary=lambda path, *rest, **more: asked.append(path))
    prediction_service_pb2_grpc.PredictionServiceStub(channel)
    assert predict_messages.PREDICT in asked


def test_the_api_reads_what_ours_writes_and_the_other_way_round():
    theirs = predict_pb2.PredictRequest()
    theirs.model_spec.name = "shop"
    theirs.model_spec.version.value = 2**40
    theirs.model_spec.signature_name = "step"
    for name, value in {
        "text": np.array([[b"a", b"\xff"]], object),
        "int64": np.array([-1, 2**60]),
        "int32": np.array([7], np.int32),
        "float32": np.array([[0.5]], np.float32),
        "bool": np.array([True, False]),
    }.items():
        theirs.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    theirs.inputs["typed"].CopyFrom(tensor_pb2.TensorProto(dtype=1, float_val=[1.5, 2.5]))
    ours = predict_messages.PredictRequest.FromString(theirs.SerializeToString())
    assert ours.inputs["text"].string_val == [b"a", b"\xff"]
    assert ours.model_spec.version.value == 2**40
    assert predict_pb2.PredictRequest.FromString(ours.SerializeToString()) == theirs


def test_the_client_needs_no_tensorflow(run_fresh):
    result = run_fresh(
        "import sys; import tfrs_gru4rec.export.serving.client\n"
        "print([name for name in ('tensorflow', 'tensorflow_serving', 'pandas') if name in sys.modules])"
    )
    assert result.stdout.strip() == "[]", result.stderr
