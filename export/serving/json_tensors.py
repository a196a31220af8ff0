"""JSON to inputs and outputs to JSON, in the row and the column format of TF Serving's REST API.

Only the form is looked at here; what a signature takes is checked by `ServedSignature.read_inputs`, as for gRPC.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from tfrs_gru4rec.export.serving import errors, tensors
from tfrs_gru4rec.export.serving.servable import ServedSignature

_MAX_RANK = 8
_INTEGER = frozenset({int})
_NUMBER = frozenset({int, float})
_TYPES = {
    types_pb2.DT_STRING: frozenset({str, dict}),
    types_pb2.DT_INT64: _INTEGER,
    types_pb2.DT_INT32: _INTEGER,
    types_pb2.DT_FLOAT: _NUMBER,
    types_pb2.DT_DOUBLE: _NUMBER,
    types_pb2.DT_BOOL: frozenset({bool}),
}


def parse(body: bytes) -> dict[str, Any]:
    """Reads the body of a `:predict`.

    Raises:
      InvalidRequest: it is no JSON object, or does not have one of "instances" and "inputs".
    """
    try:
        found = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise errors.InvalidRequest(f"JSON Parse error: {error}") from error
    if not isinstance(found, dict) or ("instances" in found) == ("inputs" in found):
        raise errors.InvalidRequest('The body must be a JSON object with one of "instances" and "inputs".')
    name = found.setdefault("signature_name", "")
    if not isinstance(name, str) or name != name.encode(errors="ignore").decode():
        raise errors.InvalidRequest(f"signature_name must be a string. Received: {_short(name)}.")
    return found


def read_inputs(body: Mapping[str, Any], signature: ServedSignature) -> dict[str, tensor_pb2.TensorProto]:
    """Returns the inputs that a parsed body names, as protos; those the signature does not know stay empty.

    Raises:
      InvalidRequest: lists are of unequal lengths, or a value is not of its input's type.
    """
    columns = body["inputs"] if "inputs" in body else _columns(body["instances"])
    if not _is_object(columns):
        if len(signature.inputs) != 1:
            raise errors.InvalidRequest(f"Signature {signature.name} has several inputs; give them by name.")
        columns = {signature.inputs[0].alias: columns}
    specs = {spec.alias: spec for spec in signature.inputs}
    made = {name: tensor_pb2.TensorProto() for name in columns}
    for name in made.keys() & specs.keys():
        _fill(made[name], specs[name], columns[name])
    return made


def write_outputs(
    body: Mapping[str, Any], outputs: Sequence[tuple[tensors.TensorSpec, tensors.Column]]
) -> bytes:
    """Returns the answer to a parsed body, in its format; a sole output goes without its name."""
    columns = {spec.alias: _nested(spec, column) for spec, column in outputs}
    answer: Any = columns
    if len(columns) == 1:
        (answer,) = columns.values()
    elif "instances" in body:
        answer = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"predictions" if "instances" in body else "outputs": answer}).encode()


def _columns(rows: Any) -> Any:
    if not isinstance(rows, list) or not rows:
        raise errors.InvalidRequest(f"instances must be a list that is not empty. Received: {_short(rows)}.")
    if not any(map(_is_object, rows)):
        return rows
    names = rows[0].keys() if _is_object(rows[0]) else set()
    odd = next((row for row in rows if not _is_object(row) or row.keys() != names), None)
    if odd is not None:
        raise errors.InvalidRequest(f"All instances must name the same inputs. Received: {_short(odd)}.")
    return {name: [row[name] for row in rows] for name in names}


def _is_object(value: Any) -> bool:
    """Returns whether a value names inputs: an object, but not the one that stands for bytes."""
    return isinstance(value, dict) and value.keys() != {"b64"}


def _fill(proto: tensor_pb2.TensorProto, spec: tensors.TensorSpec, value: Any) -> None:
    values, rank = [value], 0
    while values and any(isinstance(each, list) for each in values):
        sizes = {len(each) if isinstance(each, list) else -1 for each in values}
        if len(sizes) > 1 or rank == _MAX_RANK:
            raise errors.InvalidRequest(f"Input {spec.alias}: all lists of one level must have one length.")
        proto.tensor_shape.dim.add(size=sizes.pop())
        values, rank = [each for part in values for each in part], rank + 1
    proto.dtype = spec.dtype
    types = _TYPES.get(spec.dtype)
    if types is None:
        return  # `tensors.read` refuses it
    odd = [each for each in values if type(each) not in types][:1]
    try:
        if odd:
            raise TypeError
        if spec.dtype == types_pb2.DT_STRING:
            values = [_bytes(each) for each in values]
        getattr(proto, tensors.FIELDS[spec.dtype][0]).extend(values)
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        wanted, given = types_pb2.DataType.Name(spec.dtype), odd or values
        raise errors.InvalidRequest(
            f"Input {spec.alias} must be {wanted}. Received: {_short(given[0] if len(given) == 1 else given)}."
        ) from error


def _bytes(value: str | dict[str, str]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    (encoded,) = value.items()
    return base64.b64decode({"b64": encoded[1]}[encoded[0]], validate=True)


def _nested(spec: tensors.TensorSpec, column: tensors.Column) -> Any:
    values = [_text(value) for value in column.values] if spec.dtype == types_pb2.DT_STRING else column.values
    return np.array(values, object).reshape(column.shape).tolist()


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
