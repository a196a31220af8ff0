"""Writes the requests that a server runs on a new version before it takes traffic; they leave no session behind."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrs_gru4rec.export.signatures import DEFAULT_MODEL_NAME, WARM_UP_SESSION_ID, Signature
from tfrs_gru4rec.export.version_folders import WARM_UP_FILE


def warm_up_inputs(
    signature: Signature, item_dtype: str, item_id: Any, state_size: int
) -> dict[str, tf.Tensor]:
    """Returns one well-formed request of one row, tensors by input name, for an item of the vocabulary."""
    values = {
        "session_id": [WARM_UP_SESSION_ID],
        "item_id": [item_id],
        "position": [1],
        "item_ids": [[item_id]],
        "candidate_ids": [[item_id]],
        "state": [[0.0] * state_size],
        "probe": [0],
        "exclude_ids": [[item_id]],
        "exclude_seen": [True],
        "allow_groups": [[""]],
        "available": [True],
    }
    return {
        tensor.name: tf.constant(values[tensor.name], tensor.resolved_dtype(item_dtype))
        for tensor in signature.inputs
    }


def warm_up_logs(signatures: Iterable[Signature], *model: Any) -> Iterator[prediction_log_pb2.PredictionLog]:
    """Yields one request for each signature; the other arguments as for `warm_up_inputs`."""
    for signature in signatures:
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.name = DEFAULT_MODEL_NAME
        request.model_spec.signature_name = signature.name
        for name, values in warm_up_inputs(signature, *model).items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        yield log


def write_warm_up(
    saved_model_dir: str | os.PathLike[str], signatures: Iterable[Signature], *model: Any
) -> None:
    """Adds the warm-up file to a SavedModel; arguments as for `warm_up_logs`."""
    path = Path(saved_model_dir) / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for log in warm_up_logs(signatures, *model):
            writer.write(log.SerializeToString())
