"""JSON of TF Serving's REST API, by the examples and rules of its documentation."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from tfrs_gru4rec.export.serving import errors, json_tensors, servable, tensors

DTYPES = {"text": types_pb2.DT_STRING, "number": types_pb2.DT_INT64, "real": types_pb2.DT_FLOAT}
MORE = {
    "flag": types_pb2.DT_BOOL,
    "small": types_pb2.DT_INT32,
    "large": types_pb2.DT_DOUBLE,
    "odd": types_pb2.DT_HALF,
}


def spec(name: str) -> tensors.TensorSpec:
    return tensors.TensorSpec(name, f"{name}:0", {**DTYPES, **MORE}[name], (None, None))


def signature(*names: str) -> servable.ServedSignature:
    return servable.ServedSignature("any", tuple(map(spec, names)), (), list)


def read(body, *names: str) -> dict[str, np.ndarray]:
    protos = json_tensors.read_inputs(json_tensors.parse(json.dumps(body).encode()), signature(*names))
    return {name: tf.make_ndarray(proto) for name, proto in protos.items()}


def test_rows_of_a_sole_input_are_plain():
    assert read({"instances": [[1, 2], [3, 4]]}, "number")["number"].tolist() == [[1, 2], [3, 4]]
    assert read({"instances": ["a", {"b64": "/w=="}]}, "text")["text"].tolist() == [b"a", b"\xff"]


def test_rows_of_several_inputs_are_objects():
    found = read(
        {"instances": [{"text": "foo", "real": [1.5, 2]}, {"text": "é", "real": [3, -1e3]}]}, "text", "real"
    )
    assert found["text"].tolist() == [b"foo", "é".encode()]
    assert found["real"].dtype == np.float32
    assert found["real"].tolist() == [[1.5, 2.0], [3.0, -1000.0]]


def test_columns():
    found = read(
        {"inputs": {"text": ["foo", "bar"], "flag": [True, False], "small": [[7], [8]]}},
        "text",
        "flag",
        "small",
    )
    assert found["text"].tolist() == [b"foo", b"bar"]
    assert found["flag"].tolist() == [True, False]
    assert (found["small"].dtype, found["small"].tolist()) == (np.int32, [[7], [8]])
    assert read({"inputs": [[1.25]]}, "large")["large"].tolist() == [[1.25]]
    assert read({"inputs": {"b64": "aGk="}}, "text")["text"].tolist() == b"hi"
    assert read({"inputs": [[], []]}, "number")["number"].shape == (2, 0)


def test_numbers_that_json_lacks_are_taken_as_by_tf_serving():
    body = json_tensors.parse(b'{"inputs": [[NaN, Infinity, -Infinity]]}')
    values = tf.make_ndarray(json_tensors.read_inputs(body, signature("real"))["real"])[0]
    assert math.isnan(values[0])
    assert values[1:].tolist() == [math.inf, -math.inf]


@pytest.mark.parametrize("largest", [2**63 - 1, -(2**63)])
def test_integers_keep_all_their_digits(largest):
    assert read({"inputs": [[largest]]}, "number")["number"].tolist() == [[largest]]


def test_inputs_that_the_signature_lacks_are_left_to_its_own_check():
    protos = json_tensors.read_inputs({"inputs": {"text": ["a"], "other": [1]}}, signature("text"))
    assert protos.keys() == {"text", "other"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b'{"inputs": 1, "instances": [1]}',
        b'{"signature_name": 7, "inputs": 1}',
        b'{"signature_name": null, "inputs": 1}',
        b'{"signature_name": "\\ud800", "inputs": 1}',
        b"[" * 100_000,
        b'{"inputs": ' + b"9" * 10_000 + b"}",
    ],
)
def test_bodies_that_are_no_request(body):
    with pytest.raises(errors.InvalidRequest):
        json_tensors.parse(body)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"instances": []}, ["number"]),
        ({"instances": {}}, ["number"]),
        ({"instances": None}, ["number"]),
        ({"instances": [[1]]}, ["number", "text"]),
        ({"inputs": [1]}, ["number", "text"]),
        ({"instances": [{"number": 1}, {"text": "a"}]}, ["number", "text"]),
        ({"instances": [{"number": 1}, 2]}, ["number"]),
        ({"instances": [2, {"number": 1}]}, ["number"]),
        ({"instances": [[1], [1, 2]]}, ["number"]),
        ({"instances": [1, [2]]}, ["number"]),
        ({"instances": [[2], 1]}, ["number"]),
        ({"inputs": [[[[[[[[[[1]]]]]]]]]]}, ["number"]),
        ({"inputs": [1.0]}, ["number"]),
        ({"inputs": [True]}, ["number"]),
        ({"inputs": ["1"]}, ["number"]),
        ({"inputs": [None]}, ["number"]),
        ({"inputs": [2**63]}, ["number"]),
        ({"inputs": [10**400]}, ["real"]),
        ({"inputs": [2**31]}, ["small"]),
        ({"inputs": [1]}, ["flag"]),
        ({"inputs": ["1"]}, ["real"]),
        ({"inputs": [True]}, ["real"]),
        ({"inputs": [1]}, ["text"]),
        ({"inputs": ["\ud800"]}, ["text"]),
        ({"inputs": [{"b64": "?"}]}, ["text"]),
        ({"inputs": [{"b64": 7}]}, ["text"]),
        ({"inputs": [{"b65": ""}]}, ["text"]),
        ({"inputs": [{"b64": "", "x": 1}]}, ["text"]),
        ({"inputs": [{"b64": ""}]}, ["number"]),
    ],
)
def test_values_that_do_not_fit(body, names):
    with pytest.raises(errors.InvalidRequest):
        json_tensors.read_inputs(body, signature(*names))


def test_a_refusal_names_the_input_and_the_first_bad_value():
    with pytest.raises(errors.InvalidRequest, match=r'Input number must be DT_INT64. Received: "x"\.'):
        read({"inputs": [1, "x", "y"]}, "number")


def written(instances: bool, **columns) -> dict:
    outputs = [(spec(name), tensors.Column(values, shape)) for name, (values, shape) in columns.items()]
    body = {"instances": [1]} if instances else {"inputs": [1]}
    return json.loads(json_tensors.write_outputs(body, outputs))


def test_answers_have_the_format_of_the_question():
    columns = {"number": ([1, 2], (2,)), "text": ([b"a", b"b", b"c", b"\xff"], (2, 2))}
    assert written(False, **columns) == {
        "outputs": {"number": [1, 2], "text": [["a", "b"], ["c", {"b64": "/w=="}]]}
    }
    assert written(True, **columns) == {
        "predictions": [{"number": 1, "text": ["a", "b"]}, {"number": 2, "text": ["c", {"b64": "/w=="}]}]
    }


def test_a_sole_output_goes_without_its_name():
    assert written(True, number=([1, 2], (2, 1))) == {"predictions": [[1], [2]]}
    assert written(False, number=([1, 2], (2, 1))) == {"outputs": [[1], [2]]}
    assert written(False, real=([], (2, 0))) == {"outputs": [[], []]}
    assert written(False, real=([-math.inf], (1,))) == {"outputs": [-math.inf]}
