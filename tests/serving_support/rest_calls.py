"""Plain calls of a server over TF Serving's REST API."""

import base64
import json

import grpc
import numpy as np
import requests
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving_support.calls import Caller


class RestCaller:
    """Calls signatures over REST as `calls.Caller` does over gRPC, in rows and in columns by turns."""

    # What TensorFlow Serving gives for the codes that the contract speaks of.
    CODES = {  # noqa: RUF012
        200: grpc.StatusCode.OK,
        400: grpc.StatusCode.INVALID_ARGUMENT,
        404: grpc.StatusCode.NOT_FOUND,
        503: grpc.StatusCode.UNAVAILABLE,
    }

    def __init__(self, url: str) -> None:
        self.url = url
        self._definitions = self.get("/metadata").json()["metadata"]["signature_def"]["signature_def"]
        self._n_calls = 0

    def get(self, path: str = "") -> requests.Response:
        """Asks for something of the model."""
        return requests.get(self.url + path, timeout=60.0)

    def post(self, body, path: str = ":predict") -> requests.Response:
        """Sends a body, JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return requests.post(self.url + path, data=data, timeout=60.0)

    def request(self, signature: str, **inputs) -> dict:
        """Returns the body of a request, row by row at every second call."""
        columns = {name: _plain(value) for name, value in inputs.items()}
        self._n_calls += 1
        body = {"signature_name": signature} if signature else {}
        if self._n_calls % 2 and len({len(column) for column in columns.values()}) == 1:
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            return {**body, "instances": rows}
        return {**body, "inputs": columns}

    def send(self, body: dict) -> dict[str, np.ndarray]:
        """Returns the outputs by name, of the dtypes that the metadata tell."""
        response = self.post(body)
        assert response.status_code == 200, response.text
        infos = self._definitions[body.get("signature_name", "serving_default")]["outputs"]
        answer = response.json()
        columns = answer.get("outputs")
        if columns is None:
            rows = answer["predictions"]
            columns = rows if len(infos) == 1 else {name: [row[name] for row in rows] for name in infos}
        if len(infos) == 1:
            columns = {next(iter(infos)): columns}
        return {name: _array(columns[name], infos[name]["dtype"]) for name in infos}

    def call(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Sends a request and returns the outputs by name."""
        return self.send(self.request(signature, **inputs))

    step, length = Caller.step, Caller.length

    def failure(self, body: dict) -> grpc.StatusCode:
        """Returns the gRPC code that a request's HTTP status stands for."""
        response = self.post(body)
        assert response.status_code == 200 or list(response.json()) == ["error"]
        return self.CODES[response.status_code]

    def state_size(self) -> int:
        """Returns the number of floats of an explicit state."""
        return int(self._definitions["step_explicit"]["inputs"]["state"]["tensor_shape"]["dim"][1]["size"])


def _plain(value):
    values = tf.make_ndarray(value) if isinstance(value, tensor_pb2.TensorProto) else np.asarray(value)
    return values.astype(str).tolist() if values.dtype == object else values.tolist()


def _array(values, dtype: str) -> np.ndarray:
    if dtype != "DT_STRING":
        return np.array(values, tf.as_dtype(int(getattr(types_pb2, dtype))).as_numpy_dtype)
    array = np.array(values, object)
    array.reshape(-1)[:] = [
        base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()
        for value in array.reshape(-1)
    ]
    return array
