"""TensorProto to flat values and back, for the dtypes of the contract.

`tf.make_ndarray` and `tf.make_tensor_proto` take any dtype and cost more than the model's own
share of a small request; these functions take the six dtypes below, and check what they read.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from tfrs_gru4rec.export.serving import errors
from tfrs_gru4rec.export.serving.config import ServerConfig

# dtype -> the field of TensorProto that holds its values, and the NumPy dtype.
FIELDS = {
    types_pb2.DT_STRING: ("string_val", np.dtype(object)),
    types_pb2.DT_INT64: ("int64_val", np.dtype(np.int64)),
    types_pb2.DT_INT32: ("int_val", np.dtype(np.int32)),
    types_pb2.DT_FLOAT: ("float_val", np.dtype(np.float32)),
    types_pb2.DT_DOUBLE: ("double_val", np.dtype(np.float64)),
    types_pb2.DT_BOOL: ("bool_val", np.dtype(np.bool_)),
}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
      alias: its name in requests and responses.
      tensor_name: its name in the graph.
      dtype: DataType number.
      shape: sizes, None where free; None as a whole if the rank is free.
      largest: bounds of the sizes by the contract, None for none; None as a whole if it has none.
    """

    alias: str
    tensor_name: str
    dtype: int
    shape: tuple[int | None, ...] | None
    largest: tuple[int | None, ...] | None = None

    @classmethod
    def from_info(
        cls, alias: str, info: meta_graph_pb2.TensorInfo, largest: tuple[int | None, ...] | None = None
    ) -> "TensorSpec":
        """Reads an entry of a SignatureDef."""
        shape = None
        if not info.tensor_shape.unknown_rank:
            shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
        return cls(alias, info.name, info.dtype, shape, largest)

    @property
    def is_batched(self) -> bool:
        """Whether dimension 0 is free."""
        return self.shape is not None and self.shape[:1] == (None,)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Returns whether a tensor of this shape fits, and keeps to the contract's bounds."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(size in (None, given) for size, given in zip(self.shape, shape, strict=True))
            and all(
                most is None or given <= most for most, given in zip(self.largest or (), shape, strict=False)
            )
        )

    def __str__(self) -> str:
        if self.shape is None:
            return "any rank"
        most = self.largest or (None,) * len(self.shape)
        sizes = zip(self.shape, most, strict=True)
        named = ("?" if size is most is None else str(size or f"at most {most}") for size, most in sizes)
        return f"shape [{', '.join(named)}]"


@dataclasses.dataclass(frozen=True)
class Column:
    """A tensor's values in row-major order, and its shape: a list of bytes for strings, else an array.

    `n_bytes` is what a request's values take in memory, strings and 8 bytes a value.
    """

    values: Sequence[Any] | np.ndarray
    shape: tuple[int, ...]
    n_bytes: int = 0


Specs = tuple[TensorSpec, ...]
Columns = tuple[Column, ...]


def read(spec: TensorSpec, proto: tensor_pb2.TensorProto, config: ServerConfig) -> Column:
    """Reads one input of a request, within the server's bounds.

    Raises:
      InvalidRequest: dtype or shape do not fit the signature, the number of values does not fit the
        shape, or a limit is passed.
      NotSupported: the signature wants a dtype outside the contract's.
    """
    if proto.dtype != spec.dtype:
        wanted, given = types_pb2.DataType.Name(spec.dtype), _dtype_name(proto.dtype)
        raise errors.InvalidRequest(f"Input {spec.alias} must be {wanted}. Received: dtype={given}.")
    if spec.dtype not in FIELDS:
        raise errors.NotSupported(f"Input {spec.alias} has a dtype this server does not read: {spec.dtype}.")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0 or not spec.accepts(shape):
        raise errors.InvalidRequest(f"Input {spec.alias} must have {spec}. Received: shape={shape}.")
    n_elements = math.prod(shape)
    # A sender may write a constant tensor as one value and a shape, so what bounds a message's bytes must bound
    # those that it stands for, too, and before they are made.
    last_size = len(proto.string_val[-1]) if proto.string_val else 0
    n_bytes = 8 * n_elements + sum(map(len, proto.string_val))
    n_bytes += last_size * max(n_elements - len(proto.string_val), 0)
    if n_bytes > 8 * config.max_message_bytes:
        raise errors.InvalidRequest(
            f"Input {spec.alias} must take at most {8 * config.max_message_bytes} bytes. Received: shape={shape}."
        )
    values = _values(spec, proto, n_elements)
    if spec.dtype == types_pb2.DT_STRING and max(map(len, values), default=0) > config.max_id_bytes:
        raise errors.InvalidRequest(
            f"Input {spec.alias}: a string is longer than {config.max_id_bytes} bytes."
        )
    return Column(values, shape, n_bytes)


def to_array(spec: TensorSpec, values: Any) -> np.ndarray:
    """Returns values, an array or nested lists, as an array of the spec's dtype.

    >>> to_array(TensorSpec("position", "position:0", types_pb2.DT_INT64, (None,)), [1, 2]).dtype.name
    'int64'
    """
    return np.asarray(values, FIELDS[spec.dtype][1])


def join(spec: TensorSpec, columns: Sequence[Column]) -> np.ndarray:
    """Stacks the same input of several requests along dimension 0; their other sizes are equal."""
    dtype = FIELDS[spec.dtype][1]
    if dtype.hasobject:
        flat = np.array([value for column in columns for value in column.values], object)
    elif len(columns) == 1:
        flat = np.asarray(columns[0].values)
    else:
        flat = np.concatenate([column.values for column in columns])
    shape = columns[0].shape
    return flat.reshape((sum(column.shape[0] for column in columns), *shape[1:]) if shape else ())


def split(array: np.ndarray, rows: Sequence[int]) -> list[Column]:
    """Cuts a batched output into the columns of the requests it was made for, of so many rows each."""
    flat, width = array.reshape(-1).tolist(), math.prod(array.shape[1:])
    columns, start = [], 0
    for count in rows:
        columns.append(Column(flat[start * width : (start + count) * width], (count, *array.shape[1:])))
        start += count
    return columns


def write(spec: TensorSpec, column: Column, proto: tensor_pb2.TensorProto) -> None:
    """Fills one output of a response, in the typed field, as TF Serving does by default."""
    proto.dtype = spec.dtype
    for size in column.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, FIELDS[spec.dtype][0]).extend(column.values)


def _values(spec: TensorSpec, proto: tensor_pb2.TensorProto, n_elements: int) -> Sequence[Any] | np.ndarray:
    field, dtype = FIELDS[spec.dtype]
    if proto.tensor_content:
        if dtype.hasobject or len(proto.tensor_content) != n_elements * dtype.itemsize:
            raise errors.InvalidRequest(f"Input {spec.alias}: tensor_content does not fit dtype and shape.")
        return np.frombuffer(proto.tensor_content, dtype)
    values = list(getattr(proto, field))
    if len(values) > n_elements or (n_elements and not values):
        raise errors.InvalidRequest(
            f"Input {spec.alias}: the shape asks for {n_elements} values. Received: {len(values)} in {field}."
        )
    # TensorFlow's shorthand: the last value stands for all that are left out.
    values.extend(values[-1:] * (n_elements - len(values)))
    return values if dtype.hasobject else np.array(values, dtype)


def _dtype_name(dtype: int) -> str:
    return types_pb2.DataType.Name(dtype) if dtype in types_pb2.DataType.values() else str(dtype)
