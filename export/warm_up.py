"""Writes the requests that a server runs on a new version before it takes traffic; they leave no session behind."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrs_gru4rec.export.signatures import DEFAULT_MODEL_NAME, WARM_UP_SESSION_ID, Signature
from tfrs_gru4rec.export.version_folders import WARM_UP_FILE


def write_warm_up(
    folder: Path, signatures: Iterable[Signature], item_dtype: str, item_id: Any, state_size: int
) -> None:
    """Adds the warm-up file to a SavedModel: one request of one row for each signature, of an item of the model."""
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
    path = folder / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for signature in signatures:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = DEFAULT_MODEL_NAME
            request.model_spec.signature_name = signature.name
            for tensor in signature.inputs:
                value = tf.constant(values[tensor.name], tensor.resolved_dtype(item_dtype))
                request.inputs[tensor.name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())
