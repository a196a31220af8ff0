"""A server of the contract in plain Python, which can fail on demand.

It keeps each session's items as a list and recommends that list, so an answer shows exactly what the
server believes of the session. Written from the contract's table, to test the client against.
"""

import concurrent.futures
import contextlib
import threading
from collections.abc import Iterator

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

APPLIED, UNKNOWN_ITEM, REPEATED, GAP = range(4)
UNKNOWN = b"unknown"


class FakeServer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Keeps sessions, and fails as told.

    Attributes:
      sessions: session id -> items accepted.
      requests: all requests that arrived, in order.
      faults: what befalls the next requests: None = nothing, "lost" = the answer is lost after the event
        was taken, "down" = refused before anything happened, "slow" = taken, but answered too late.
    """

    def __init__(self) -> None:
        self.sessions: dict[bytes, list[bytes]] = {}
        self.requests: list[predict_pb2.PredictRequest] = []
        self.faults: list[str | None] = []
        self._lock = threading.Lock()

    def Predict(self, request, context):  # noqa: N802
        with self._lock:
            self.requests.append(request)
            fault = self.faults.pop(0) if self.faults else None
            if fault == "down":
                context.abort(grpc.StatusCode.UNAVAILABLE, "down")
            inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            outputs = getattr(self, request.model_spec.signature_name)(context, **inputs)
        if fault == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
        if fault == "slow":
            threading.Event().wait(0.6)
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def forget(self) -> None:
        """Loses all sessions, as a restart does."""
        with self._lock:
            self.sessions.clear()

    def signatures_asked(self) -> list[str]:
        """Returns the signature of every request so far, and forgets them."""
        with self._lock:
            names = [request.model_spec.signature_name for request in self.requests]
            self.requests.clear()
        return names

    def step(self, context, session_id, item_id, position):
        if item_id[0] == b"":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "item_id must not be empty")
        items = self.sessions.get(session_id[0], [])
        if position[0] == len(items) + 1 or position[0] == 0:
            self.sessions[session_id[0]] = items = [*items, item_id[0]]
            status = UNKNOWN_ITEM if item_id[0] == UNKNOWN else APPLIED
        else:
            status = REPEATED if position[0] <= len(items) else GAP
        return self._answer(items, status)

    def replay(self, context, session_id, item_ids):
        items = self.sessions[session_id[0]] = [item for item in item_ids[0].tolist() if item]
        return self._answer(items, UNKNOWN_ITEM if UNKNOWN in items else APPLIED)

    def recommend(self, context, item_ids):
        if item_ids.dtype != object:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "item_ids must be strings")
        answer = self._answer([item for item in item_ids[0].tolist() if item], APPLIED)
        return {name: answer[name] for name in ("item_ids", "scores")}

    def score(self, context, session_id, candidate_ids):
        items = self.sessions.get(session_id[0], [])
        scores = [float(items.count(item)) for item in candidate_ids[0].tolist()]
        return {"scores": tf.constant([scores]), "session_length": tf.constant([len(items)], tf.int64)}

    def score_items(self, context, item_ids, candidate_ids):
        items = item_ids[0].tolist()
        return {"scores": tf.constant([[float(items.count(item)) for item in candidate_ids[0].tolist()]])}

    def end_session(self, context, session_id):
        return {"existed": [self.sessions.pop(session_id[0], None) is not None]}

    def stats(self, context, probe):
        return {
            "live_sessions": tf.constant([len(self.sessions)], tf.int64),
            "capacity": tf.constant([9], tf.int64),
        }

    def _answer(self, items, status):
        return {
            "item_ids": tf.constant([items or [b"popular"]]),
            "scores": tf.constant([[1.0 / (1 + rank) for rank in range(len(items) or 1)]]),
            "session_length": tf.constant([len(items)], tf.int64),
            "status": tf.constant([status], tf.int32),
        }


@contextlib.contextmanager
def running(server: FakeServer) -> Iterator[str]:
    """Serves inside; yields "host:port"."""
    runner = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(server, runner)
    port = runner.add_insecure_port("127.0.0.1:0")
    runner.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        runner.stop(None).wait()
