"""A SavedModel of a few kilobytes that keeps sessions, with some of the contract's signatures.

It counts: a step answers the session's number of events, its scores are that number times the
version, and it recommends what was clicked. `spin` takes as long as it is asked to.
"""

import pathlib

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfrs_gru4rec.export.signatures import WARM_UP_SESSION_ID

TOP_K = 2
# What these models hold and no export does.
_NAMES = """
    Add LookupTableExportV2 LookupTableInsertV2 LookupTableSizeV2 MatrixBandPart MatrixDiagPartV3 MatrixDiagV3
    MutableHashTableV2 Prod Squeeze StatelessWhile Tile UniqueWithCounts
"""
OPERATIONS = frozenset(_NAMES.split())


class CountingModel(tf.Module):
    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = tf.constant(float(version))
        self.counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)

    def step(self, session_id, item_id, position):
        good = tf.debugging.Assert(tf.reduce_all(session_id != ""), ["session_id must not be empty"])
        with tf.control_dependencies([good]):
            ids, index, added = tf.unique_with_counts(session_id, tf.int64)
            before = self.counts.lookup(ids)
        with tf.control_dependencies([before]):
            is_kept = ids != WARM_UP_SESSION_ID
            insert = self.counts.insert(ids[is_kept], (before + added)[is_kept])
        # Rows of one session count on from each other.
        same = tf.cast(session_id[:, None] == session_id[None], tf.int64)
        earlier = tf.reduce_sum(tf.linalg.band_part(same, -1, 0), axis=1)
        with tf.control_dependencies([insert]):
            length = tf.gather(before, index) + earlier
        scores = tf.cast(length, tf.float32)[:, None] * self.version * tf.ones([1, TOP_K])
        return {
            "item_ids": tf.tile(item_id[:, None], [1, TOP_K]),
            "scores": scores,
            "session_length": length,
            "status": tf.cast(position, tf.int32) * 0,
        }

    def recommend(self, item_ids):
        return {
            "item_ids": tf.tile(item_ids[:, :1], [1, TOP_K]),
            "scores": self.version * tf.ones([tf.shape(item_ids)[0], TOP_K]),
        }

    def stats(self, probe):
        live = tf.cast(self.counts.size(), tf.int64)
        return {
            "live_sessions": tf.fill(tf.shape(probe), live),
            "capacity": tf.fill(tf.shape(probe), live + 1),
        }

    def spin(self, rounds):
        matrix = tf.linalg.eye(200)
        _, matrix = tf.while_loop(
            lambda index, _: index < tf.reduce_max(rounds),
            lambda index, matrix: (index + 1, matrix @ matrix),
            (0, matrix),
            parallel_iterations=1,
        )
        return {"trace": tf.fill(tf.shape(rounds), tf.linalg.trace(matrix))}


def save(export_dir: pathlib.Path, version: int, warm_up_ids: tuple[str, ...] = ()) -> pathlib.Path:
    """Writes a version folder; it appears whole, as published ones do.

    Args:
      export_dir: folder of version folders.
      version: its number.
      warm_up_ids: session ids of warm-up steps.

    Returns:
      The folder.
    """
    model = CountingModel(version)
    text, number, short = (tf.TensorSpec([None], dtype) for dtype in (tf.string, tf.int64, tf.int32))
    names = tf.TensorSpec([None, None], tf.string)
    functions = {
        "step": tf.function(model.step).get_concrete_function(text, text, number),
        "recommend": tf.function(model.recommend).get_concrete_function(names),
        "serving_default": tf.function(model.recommend).get_concrete_function(names),
        "stats": tf.function(model.stats).get_concrete_function(short),
        "spin": tf.function(model.spin).get_concrete_function(short),
    }
    export_dir.mkdir(parents=True, exist_ok=True)
    hidden = export_dir / f".{version}.new"
    tf.saved_model.save(model, str(hidden), signatures=functions)
    if warm_up_ids:
        extra = hidden / "assets.extra"
        extra.mkdir()
        with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
            for session_id in warm_up_ids:
                log = prediction_log_pb2.PredictionLog()
                log.predict_log.request.CopyFrom(step_request(session_id, "item"))
                writer.write(log.SerializeToString())
    return hidden.rename(export_dir / str(version))


def request(signature: str, **inputs) -> predict_pb2.PredictRequest:
    """Returns a request made by TensorFlow's own helpers; values as for tf.constant."""
    made = predict_pb2.PredictRequest()
    made.model_spec.name = "gru4rec"
    made.model_spec.signature_name = signature
    for name, value in inputs.items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return made


def step_request(session_id: str, item_id: str, position: int = 0) -> predict_pb2.PredictRequest:
    """Returns a step of one row."""
    return request(
        "step",
        session_id=[session_id],
        item_id=[item_id],
        position=tf.constant([position], tf.int64),
    )


def spin_request(rounds: int) -> predict_pb2.PredictRequest:
    """Returns a request that takes `rounds` small matrix products."""
    return request("spin", rounds=tf.constant([rounds], tf.int32))
