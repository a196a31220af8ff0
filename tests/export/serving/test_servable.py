"""Loading one version and calling its signatures."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from serving_support import tiny_models

from tfrs_gru4rec.export.serving import errors, servable
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.version_folders import WARM_UP_FILE


@pytest.fixture(scope="module")
def config(tiny_versions):
    return ServerConfig(tiny_versions, max_batch_size=4)


@pytest.fixture(scope="module")
def model(tiny_versions, config):
    loaded = servable.Servable(tiny_versions / "1", 1, config)
    yield loaded
    loaded.close()


def call(model: servable.Servable, request) -> dict[str, np.ndarray]:
    inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
    return model.call(request.model_spec.signature_name, **inputs)


def test_calls_a_signature_and_keeps_its_state(model):
    for length in (1, 2):
        answer = call(model, tiny_models.step_request("s", "shoe"))
        assert answer["session_length"].tolist() == [length]
        assert answer["item_ids"].tolist() == [[b"shoe", b"shoe"]]


def test_the_default_signature_has_two_names(model):
    assert model.signature("").name == model.signature("serving_default").name == "serving_default"


def test_unknown_signature(model):
    with pytest.raises(errors.UnknownSignature, match='"walk" not found.*recommend.*step'):
        model.signature("walk")
    # An entry of TensorFlow's own, not to be called from outside.
    with pytest.raises(errors.UnknownSignature):
        model.signature("__saved_model_init_op")


def test_a_graph_error_keeps_its_code(model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="session_id must not be empty"):
        call(model, tiny_models.step_request("", "shoe"))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"takes the inputs {item_ids}. Received: {}"),
        ({"item_ids": [["a"]], "more": [["a"]]}, r"Received: {item_ids, more}"),
        ({"item": [["a"]]}, r"Received: {item}"),
        ({"item_ids": np.zeros([0, 3], object)}, r"rows=\[0\]"),
        ({"item_ids": np.full([5, 1], "a")}, r"1 to 4. Received: rows=\[5\]"),
    ],
)
def test_refuses_inputs_that_are_not_the_signatures(model, config, inputs, message):
    request = tiny_models.request("recommend", **inputs)
    with pytest.raises(errors.InvalidRequest, match=message):
        model.signature("recommend").read_inputs(request.inputs, config)


def test_refuses_inputs_of_unequal_rows(model, config):
    request = tiny_models.step_request("s", "shoe")
    request.inputs["position"].CopyFrom(tf.make_tensor_proto([1, 2], tf.int64))
    with pytest.raises(errors.InvalidRequest, match=r"rows=\[1, 2\]"):
        model.signature("step").read_inputs(request.inputs, config)


def test_output_filter(model):
    signature = model.signature("step")
    names = [spec.alias for spec in signature.outputs]
    assert names == ["item_ids", "scores", "session_length", "status"]
    assert signature.select_outputs([]) == [0, 1, 2, 3]
    assert signature.select_outputs(["status", "scores"]) == [3, 1]
    for bad in (["nothing"], ["scores", "scores"]):
        with pytest.raises(errors.InvalidRequest, match="output_filter"):
            signature.select_outputs(bad)


def test_warm_up_runs_the_records(tiny_versions, model, config):
    assert model.warm_up() == 0
    warmed = servable.Servable(tiny_versions / "2", 2, config)
    assert warmed.warm_up() == 2
    assert call(warmed, tiny_models.step_request("warm-1", "shoe"))["session_length"].tolist() == [2]
    warmed.close()


def test_two_loads_share_no_state(tiny_versions, model, config):
    call(model, tiny_models.step_request("shared", "shoe"))
    other = servable.Servable(tiny_versions / "1", 1, config)
    assert call(other, tiny_models.step_request("shared", "shoe"))["session_length"].tolist() == [1]
    other.close()


def test_warm_up_refuses_what_is_no_predict_request(tiny_versions, tmp_path, config):
    folder = shutil.copytree(tiny_versions / "2", tmp_path / "3")
    with tf.io.TFRecordWriter(str(folder / WARM_UP_FILE)) as writer:
        writer.write(b"")
    loaded = servable.Servable(folder, 3, config)
    with pytest.raises(ValueError, match="Predict requests"):
        loaded.warm_up()
    loaded.close()
