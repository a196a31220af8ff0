"""Predict requests and responses as a client needs them: TensorFlow Serving's API, without TensorFlow.

The classes of tensorflow-serving-api are the same on the wire, but importing them imports TensorFlow: 3
seconds of processor time and 550 MB, too much for a web shop's worker that only asks for recommendations.
These are made from the table below, which a test compares with tensorflow-serving-api field by field. They
live in a pool of their own, so both kinds can be in one process.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

PREDICT = "/tensorflow.serving.PredictionService/Predict"

# Values of tensorflow.DataType.
DT_FLOAT, DT_INT32, DT_STRING, DT_INT64, DT_BOOL = 1, 3, 7, 9, 10

_PACKAGE = "tfrs_gru4rec.serving"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
}
# Message -> fields: name, number, type. A type is a scalar or a message, "repeated" or a "map" from string.
# Enums are read as int32.
FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Dim": (("size", 1, "int64"), ("name", 2, "string")),
    "TensorShapeProto": (("dim", 2, "repeated Dim"), ("unknown_rank", 3, "bool")),
    "TensorProto": (
        ("dtype", 1, "int32"),
        ("tensor_shape", 2, "TensorShapeProto"),
        ("tensor_content", 4, "bytes"),
        ("float_val", 5, "repeated float"),
        ("int_val", 7, "repeated int32"),
        ("string_val", 8, "repeated bytes"),
        ("int64_val", 10, "repeated int64"),
        ("bool_val", 11, "repeated bool"),
    ),
    "Int64Value": (("value", 1, "int64"),),
    "ModelSpec": (
        ("name", 1, "string"),
        ("version", 2, "Int64Value"),
        ("signature_name", 3, "string"),
        ("version_label", 4, "string"),
    ),
    "PredictRequest": (("model_spec", 1, "ModelSpec"), ("inputs", 2, "map TensorProto")),
    "PredictResponse": (("outputs", 1, "map TensorProto"), ("model_spec", 2, "ModelSpec")),
}


def _make_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            _add_field(message, field_name, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in FIELDS
    }


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    label, _, base = kind.rpartition(" ")
    if label == "map":
        # A map is a repeated message of key and value.
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, base)
        base = f"{message.name}.{entry.name}"
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if label else _Field.LABEL_OPTIONAL
    if base in _TYPES:
        field.type = _TYPES[base]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{base}"


_CLASSES = _make_classes()
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]


def predict_of(channel: Any) -> Any:
    """Returns the call of Predict over a gRPC channel, which answers requests, or waits for it as the channel does."""
    return channel.unary_unary(
        PREDICT,
        request_serializer=PredictRequest.SerializeToString,
        response_deserializer=PredictResponse.FromString,
    )


_VALUES = {
    DT_STRING: ("string_val", object),
    DT_INT64: ("int64_val", np.int64),
    DT_INT32: ("int_val", np.int32),
    DT_FLOAT: ("float_val", np.float32),
    DT_BOOL: ("bool_val", np.bool_),
}
ItemId = str | bytes | int


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """Which model is asked, and which version of it.

    Attributes:
      name: the name the model is served under.
      version: its number, or its label at the server; None = the largest.
    """

    name: str
    version: int | str | None = None

    def request(self, signature: str) -> Message:
        """Returns a request without inputs."""
        request = PredictRequest()
        request.model_spec.name = self.name
        request.model_spec.signature_name = signature
        if isinstance(self.version, str):
            request.model_spec.version_label = self.version
        elif self.version is not None:
            request.model_spec.version.value = self.version
        return request


def id_dtype(name: str, ids: Sequence[ItemId]) -> str:
    """Returns "string" or "int64", whichever ids are; raises ValueError that names the first that is neither.

    >>> id_dtype("item_ids", [7, "A12"])
    Traceback (most recent call last):
    ValueError: Ids must be all integers or all strings. Received: item_ids='A12', beside 7.
    """
    kinds = [_id_dtype(value) for value in ids]
    bad = next((place for place, kind in enumerate(kinds) if kind is None or kind != kinds[0]), None)
    if bad is not None:
        beside = f", beside {ids[0]!r}" if bad else ""
        raise ValueError(f"Ids must be all integers or all strings. Received: {name}={ids[bad]!r}{beside}.")
    return (kinds or [None])[0] or ""


def _id_dtype(value: Any) -> str | None:
    if isinstance(value, (str, bytes)):
        return "string"
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return "int64" if is_integer and -(1 << 63) <= value < 1 << 63 else None


def put_ids(request: Message, name: str, ids: Sequence[ItemId], *shape: int) -> None:
    """Adds an input of ids, all ints or all str or bytes, of a shape: int64 or strings.

    Raises:
      ValueError: an id is neither an integer of 64 bits nor a string, or not what the others are.

    >>> request = ModelChoice("shop").request("recommend")
    >>> put_ids(request, "item_ids", ["shoe", "hat"], 1, 2)
    >>> request.inputs["item_ids"].string_val
    [b'shoe', b'hat']
    """
    dtype = DT_STRING if id_dtype(name, ids) == "string" else DT_INT64
    values = [value.encode() if isinstance(value, str) else value for value in ids]
    put(request, name, dtype, values, *shape)


def put(request: Message, name: str, dtype: int, values: Sequence[Any], *shape: int) -> None:
    """Adds an input of a type, such as `DT_BOOL`, and of a shape; of one value a row if no shape is given."""
    proto = request.inputs[name]
    proto.dtype = dtype
    for size in shape or (len(values),):
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _VALUES[dtype][0]).extend(values)


def get(response: Message, name: str) -> list[Any] | np.ndarray:
    """Returns the values of an output in row-major order: a list of bytes, or an array of numbers.

    >>> response = PredictResponse()
    >>> response.outputs["scores"].dtype = DT_FLOAT
    >>> response.outputs["scores"].float_val.extend([2.5, 1.0])
    >>> get(response, "scores").tolist()
    [2.5, 1.0]
    """
    proto = response.outputs[name]
    if proto.dtype == DT_STRING:
        return list(proto.string_val)
    field, dtype = _VALUES[proto.dtype]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype)
    return np.array(getattr(proto, field), dtype)
