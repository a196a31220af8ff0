"""Plain calls of a server, made with TensorFlow's own helpers and none of ours."""

import uuid
from collections.abc import Mapping

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

DTYPES = {
    "position": tf.int64,
    "state": tf.float32,
    "probe": tf.int32,
    "exclude_seen": tf.bool,
    "available": tf.bool,
}


class Caller:
    """Calls signatures with values as for tf.constant."""

    def __init__(self, address: str, model: str = "gru4rec") -> None:
        self.model = model
        self.channel = grpc.insecure_channel(address)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    def request(self, signature: str, **inputs) -> predict_pb2.PredictRequest:
        """Returns a request; values that are protos already are taken as they are."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            if isinstance(value, (list, np.ndarray)):
                value = tf.make_tensor_proto(value, DTYPES.get(name, tf.string))
            request.inputs[name].CopyFrom(value)
        return request

    def send(self, request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        response = self.stub.Predict(request, timeout=60.0)
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def call(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Sends a request and returns the outputs by name."""
        return self.send(self.request(signature, **inputs))

    def step(self, *rows: tuple[str, str, int]) -> dict[str, np.ndarray]:
        """Sends rows of (session, item, position)."""
        sessions, items, positions = (list(column) for column in zip(*rows, strict=True))
        return self.call("step", session_id=sessions, item_id=items, position=positions)

    def length(self, session_id: str) -> int:
        """Returns the session's length, without changing it."""
        answer = self.call("score", session_id=[session_id], candidate_ids=[["any"]])
        return int(answer["session_length"][0])

    def version(self) -> int:
        """Returns the version that answers."""
        return self.stub.Predict(self.request("stats", probe=[0]), timeout=60.0).model_spec.version.value

    def failure(self, request: predict_pb2.PredictRequest) -> grpc.StatusCode:
        """Returns the status code of a request; OK if it succeeds."""
        try:
            self.stub.Predict(request, timeout=60.0)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def definitions(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """Returns the signatures as the server tells them."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self.model
        packed = self.stub.GetModelMetadata(request, timeout=60.0).metadata["signature_def"]
        definitions = get_model_metadata_pb2.SignatureDefMap()
        packed.Unpack(definitions)
        return definitions.signature_def

    def state_size(self) -> int:
        """Returns the number of floats of an explicit state."""
        return self.definitions()["step_explicit"].inputs["state"].tensor_shape.dim[1].size


def new_session() -> str:
    """Returns a session id nobody has used."""
    return f"test-{uuid.uuid4().hex}"
