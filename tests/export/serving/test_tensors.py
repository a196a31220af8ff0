"""TensorProto conversion, against TensorFlow's own make_tensor_proto and make_ndarray."""

import pathlib

import hypothesis
import hypothesis.extra.numpy as npst
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from tfrs_gru4rec.export.serving import errors, tensors
from tfrs_gru4rec.export.serving.config import ServerConfig

ARRAYS = {
    "string": np.array([[b"a", b"", b"\xff\x00z"], [b"d", b"e", b"f"]], object),
    "int64": np.array([[1, -1, 2**62], [3, 4, 5]], np.int64),
    "int32": np.array([[1, -1, 2**31 - 1], [3, 4, 5]], np.int32),
    "float32": np.array([[0.1, -np.inf, 1e-30], [3, 4, 5]], np.float32),
    "float64": np.array([[0.1, -np.inf, 1e-300], [3, 4, 5]], np.float64),
    "bool": np.array([[True, False, True], [False, False, True]]),
}
WIDE = ServerConfig(pathlib.Path())
LIMITS = ServerConfig(pathlib.Path(), max_message_bytes=20, max_id_bytes=8)


def spec(dtype: str, *shape: int | None) -> tensors.TensorSpec:
    return tensors.TensorSpec("x", "x:0", tf.as_dtype(dtype).as_datatype_enum, shape)


def proto_with_values_in_fields(array: np.ndarray) -> tensor_pb2.TensorProto:
    """As TF Serving writes its answers; make_tensor_proto puts numbers in tensor_content."""
    packed = tf.make_tensor_proto(array)
    field = {"float32": "float_val", "float64": "double_val", "int32": "int_val", "int64": "int64_val"}
    name = field.get(array.dtype.name, "bool_val")
    loose = tensor_pb2.TensorProto(dtype=packed.dtype, tensor_shape=packed.tensor_shape)
    getattr(loose, name).extend(array.reshape(-1).tolist())
    return loose


@pytest.mark.parametrize("dtype", ARRAYS)
def test_reads_what_tensorflow_writes(dtype):
    array = ARRAYS[dtype]
    column = tensors.read(spec(dtype, None, None), tf.make_tensor_proto(array), LIMITS)
    assert column.shape == (2, 3)
    joined = tensors.join(spec(dtype, None, None), [column])
    assert joined.dtype == array.dtype
    np.testing.assert_array_equal(joined, array)


@pytest.mark.parametrize("dtype", [name for name in ARRAYS if name != "string"])
def test_reads_typed_fields(dtype):
    array = ARRAYS[dtype]
    column = tensors.read(spec(dtype, None, 3), proto_with_values_in_fields(array), LIMITS)
    np.testing.assert_array_equal(tensors.join(spec(dtype, None, 3), [column]), array)


@pytest.mark.parametrize("dtype", ARRAYS)
def test_tensorflow_reads_what_it_writes(dtype):
    array = ARRAYS[dtype]
    proto = tensor_pb2.TensorProto()
    tensors.write(spec(dtype, None, 3), tensors.split(array, [2])[0], proto)
    back = tf.make_ndarray(proto)
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", ["string", "int64"])
def test_last_value_stands_for_those_left_out(dtype):
    value = b"same" if dtype == "string" else 7
    proto = tf.make_tensor_proto(value, dtype, shape=[2, 3])
    column = tensors.read(spec(dtype, None, 3), proto, LIMITS)
    np.testing.assert_array_equal(tensors.join(spec(dtype, None, 3), [column]), tf.make_ndarray(proto))


@pytest.mark.parametrize("dtype", ARRAYS)
def test_join_and_split_are_inverse(dtype):
    array = ARRAYS[dtype]
    columns = tensors.split(np.concatenate([array, array[:1]]), [1, 2])
    assert [column.shape for column in columns] == [(1, 3), (2, 3)]
    # What is split is an answer's list; what is joined is a request's array, for numbers.
    columns = [
        tensors.Column(column.values if dtype == "string" else np.array(column.values, dtype), column.shape)
        for column in columns
    ]
    np.testing.assert_array_equal(
        tensors.join(spec(dtype, None, 3), columns), np.concatenate([array, array[:1]])
    )


SHAPES = npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
NUMBERS = st.sampled_from([name for name in ARRAYS if name != "string"]).flatmap(
    lambda dtype: npst.arrays(dtype, SHAPES)
)
TEXTS = npst.arrays(object, SHAPES, elements=st.binary(max_size=8), fill=st.nothing())


@hypothesis.given(array=NUMBERS | TEXTS, in_content=st.booleans(), chance=st.randoms(use_true_random=False))
def test_what_is_written_is_read_back(array, in_content, chance):
    """Out through `split` and `write`, over the wire, and in through `read` and `join`: the very bits."""
    dtype = "string" if array.dtype == object else array.dtype.name
    free = spec(dtype, *[None] * array.ndim)
    cut = chance.randint(0, len(array))
    columns = []
    for column in tensors.split(array, [cut, len(array) - cut]):
        proto = tensor_pb2.TensorProto()
        tensors.write(free, column, proto)
        if in_content and dtype != "string":
            proto = tf.make_tensor_proto(tf.make_ndarray(proto))
        columns.append(tensors.read(free, tensor_pb2.TensorProto.FromString(proto.SerializeToString()), WIDE))
    joined = tensors.join(free, columns)
    assert (joined.dtype, joined.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(joined, array)


def int64_proto(*values: int, shape: tuple[int, ...], **more) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT64, int64_val=values, **more)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def unknown_rank() -> tensor_pb2.TensorProto:
    proto = int64_proto(1, shape=())
    proto.tensor_shape.unknown_rank = True
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (tf.make_tensor_proto(["a"]), "must be DT_INT64"),
        (tensor_pb2.TensorProto(dtype=99), "must be DT_INT64. Received: dtype=99"),
        (int64_proto(1, shape=(1, 3)), r"must have shape \[\?\]"),
        (int64_proto(1, shape=()), r"must have shape \[\?\]"),
        (int64_proto(1, shape=(-1,)), r"must have shape \[\?\]"),
        (unknown_rank(), r"must have shape \[\?\]"),
        (int64_proto(1, 2, 3, shape=(2,)), "asks for 2 values"),
        (int64_proto(shape=(2,)), "asks for 2 values"),
        (int64_proto(1, shape=(21,)), "at most 160 bytes"),
        (int64_proto(1, shape=(2**62,)), "at most 160 bytes"),
        (int64_proto(shape=(1,), tensor_content=b"1234567"), "tensor_content does not fit"),
        (int64_proto(shape=(2,), tensor_content=b"12345678"), "tensor_content does not fit"),
    ],
)
def test_refuses_numbers_that_do_not_fit(proto, message):
    with pytest.raises(errors.InvalidRequest, match=message):
        tensors.read(spec("int64", None), proto, LIMITS)


def test_refuses_long_strings_and_raw_strings():
    assert tensors.read(spec("string", None), tf.make_tensor_proto(["12345678"]), LIMITS).values == [
        b"12345678"
    ]
    with pytest.raises(errors.InvalidRequest, match="longer than 8 bytes"):
        tensors.read(spec("string", None), tf.make_tensor_proto(["ok", "123456789"]), LIMITS)
    proto = tf.make_tensor_proto(["a"])
    proto.ClearField("string_val")
    proto.tensor_content = b"\x01a"
    with pytest.raises(errors.InvalidRequest, match="tensor_content does not fit"):
        tensors.read(spec("string", None), proto, LIMITS)


def test_says_which_dtypes_it_does_not_speak():
    proto = tf.make_tensor_proto(np.array([1j], np.complex64))
    with pytest.raises(errors.NotSupported, match="dtype this server does not read"):
        tensors.read(spec("complex64", None), proto, LIMITS)


def test_spec_from_signature():
    info = meta_graph_pb2.TensorInfo(name="in:0", dtype=types_pb2.DT_STRING)
    info.tensor_shape.dim.add(size=-1)
    info.tensor_shape.dim.add(size=3)
    made = tensors.TensorSpec.from_info("x", info)
    assert made == tensors.TensorSpec("x", "in:0", types_pb2.DT_STRING, (None, 3))
    assert made.is_batched
    assert made.accepts((5, 3))
    assert not made.accepts((5, 4))
    assert not made.accepts((5,))
    info.tensor_shape.unknown_rank = True
    assert tensors.TensorSpec.from_info("x", info).accepts((1, 2, 3))
    assert not tensors.TensorSpec.from_info("x", info).is_batched


def test_a_long_string_that_stands_for_many_is_refused_before_it_is_repeated():
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"12345678"])
    proto.tensor_shape.dim.add(size=11)  # 8 bytes a string and 8 for its place: 176, and 160 may be
    with pytest.raises(errors.InvalidRequest, match="at most 160 bytes"):
        tensors.read(spec("string", None), proto, LIMITS)


def test_the_contracts_bounds_are_checked_by_the_shape():
    bounded = tensors.TensorSpec("x", "x:0", types_pb2.DT_INT64, (None, None), (1024, 3))
    assert tensors.read(bounded, int64_proto(1, shape=(1, 3)), WIDE).shape == (1, 3)
    with pytest.raises(errors.InvalidRequest, match=r"at most 1024, at most 3\]"):
        tensors.read(bounded, int64_proto(1, shape=(1, 4)), WIDE)
