"""Fills Predict requests and reads their responses."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message

from tfrs_gru4rec.export.serving import messages

_NUMBERS = {
    messages.DT_INT64: ("int64_val", np.int64),
    messages.DT_INT32: ("int_val", np.int32),
    messages.DT_FLOAT: ("float_val", np.float32),
    messages.DT_BOOL: ("bool_val", np.bool_),
}
ItemId = str | bytes | int


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """Which model is asked, and which version; the largest if None."""

    name: str
    version: int | None = None

    def request(self, signature: str) -> Message:
        """Returns a request without inputs."""
        request = messages.PredictRequest()
        request.model_spec.name = self.name
        request.model_spec.signature_name = signature
        if self.version is not None:
            request.model_spec.version.value = self.version
        return request


def put_ids(request: Message, name: str, ids: Sequence[ItemId], *shape: int) -> None:
    """Adds an input of ids: int64 if the first is an int, else strings.

    Args:
      request: changed in place.
      name: of the input.
      ids: its values; all ints, or all str or bytes.
      *shape: its shape.
    """
    proto = request.inputs[name]
    _set_shape(proto, shape)
    if isinstance(ids[0], (str, bytes)):
        proto.dtype = messages.DT_STRING
        proto.string_val.extend(value.encode() if isinstance(value, str) else value for value in ids)
    else:
        proto.dtype = messages.DT_INT64
        proto.int64_val.extend(ids)


def put_int32(request: Message, name: str, value: int) -> None:
    """Adds an int32 input of one row."""
    proto = request.inputs[name]
    _set_shape(proto, (1,))
    proto.dtype = messages.DT_INT32
    proto.int_val.append(value)


def get(response: Message, name: str) -> list[Any] | np.ndarray:
    """Returns the values of an output in row-major order: a list of bytes, or an array of numbers."""
    proto = response.outputs[name]
    if proto.dtype == messages.DT_STRING:
        return list(proto.string_val)
    field, dtype = _NUMBERS[proto.dtype]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype)
    return np.array(getattr(proto, field), dtype)


def _set_shape(proto: Message, shape: tuple[int, ...]) -> None:
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
