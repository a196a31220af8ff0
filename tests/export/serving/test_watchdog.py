"""What a failure under the session lock does: it never hangs the server for longer than the watchdog takes."""

import os
import pathlib
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_support import tiny_models
from serving_support.servers import serving, until
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tfrs_gru4rec.export.locked_memory import Lock
from tfrs_gru4rec.export.serving import versions

PROBE_SECONDS = 0.1
FAULTS = [10, pytest.param(int(os.environ.get("GRU4REC_FAULTS", "100")), marks=pytest.mark.slow)]


class FaultyModel(tf.Module):
    """Steps under a lock; the item "fault" makes an operation fail there, as one does that gets no memory."""

    def __init__(self):
        super().__init__()
        self.lock = Lock("faulty")

    def step(self, session_id, item_id, position):
        is_good = tf.reduce_all(item_id != "fault")
        with tf.control_dependencies([self.lock.take([session_id, is_good])]):
            failing = tf.debugging.Assert(is_good, ["no memory"])
        length = self.lock.give_back(tf.ones_like(position), [failing])
        return {"session_length": length}


@pytest.fixture
def export_dir(tmp_path):
    model = FaultyModel()
    text, number = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int64)
    step = tf.function(model.step, autograph=False).get_concrete_function(text, text, number)
    tf.saved_model.save(model, str(tmp_path / "1"), signatures={"step": step})
    return tmp_path


@pytest.fixture
def looks(monkeypatch):
    """When each look of the watchdog began and ended."""
    spans, watch = [], versions.Versions.watch

    def noting_watch(self):
        began = time.monotonic()
        watch(self)
        spans.append((began, time.monotonic()))

    monkeypatch.setattr(versions.Versions, "watch", noting_watch)
    return spans


@pytest.mark.parametrize("n_faults", FAULTS)
def test_no_hang_is_longer_than_the_watchdogs_period(export_dir, looks, n_faults):
    """The first look that begins after a fault ends the hang, so that no second one goes by before it is over."""
    hangs, looks_within, states = [], [], set()
    with (
        serving(export_dir, probe_seconds=PROBE_SECONDS) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        health = health_pb2_grpc.HealthStub(channel)

        def steps(item: str) -> bool:
            try:
                stub.Predict(tiny_models.step_request("s", item), timeout=20.0)
            except grpc.RpcError:
                return False
            return True

        def hang() -> None:
            steps("shoe")  # nobody gives the lock back
            ended = time.monotonic()
            hangs.append(ended - begun)
            looks_within.append(sum(begun < began and end < ended for began, end in list(looks)))

        for _ in range(n_faults):
            assert not steps("fault")
            begun = time.monotonic()
            waiting = threading.Thread(target=hang)
            waiting.start()
            while waiting.is_alive():
                states.add(health.Check(health_pb2.HealthCheckRequest(), timeout=20.0).status)
                time.sleep(0.01)
            until(lambda: steps("shoe"))
        until(lambda: health.Check(health_pb2.HealthCheckRequest()).status == 1)
    told = f"{len(hangs)} faults; hangs of {np.median(hangs):.3f} s, at most {max(hangs):.3f} s,"
    print(f"\n{told} with a probe every {PROBE_SECONDS} s that may take as long.")  # noqa: T201
    # The one that ends the hang may be over before the answer has come; once in a hundred times the answer, for
    # want of a processor, may come so late that another one has gone by.
    assert sum(number > 1 for number in looks_within) <= n_faults // 100
    assert states == {health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING}


def test_a_server_with_a_hanging_model_stops(export_dir):
    with serving(export_dir, probe_seconds=3600.0, drain_seconds=0.1) as server:
        with grpc.insecure_channel(server.address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            for item in ("fault", "shoe"):
                with pytest.raises(grpc.RpcError):
                    stub.Predict(tiny_models.step_request("s", item), timeout=0.5)
        server.terminate()
        assert server.wait(20.0) == 0


@pytest.mark.slow
def test_counting_with_too_little_memory_hangs_no_session(tmp_path, run_fresh):
    ended = run_fresh(
        f"""
import resource, threading
from pathlib import Path
from export_support import tiny_model
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.serving.servable import Servable
import tensorflow as tf

path = tiny_model.save(Path({str(tmp_path)!r}) / "1", tiny_model.serving_model(max_sessions=4_000_000))
served = Servable(path, 1, ServerConfig(path.parent))
served.warm_up()
step = dict(session_id=[b"a"], item_id=[b"item-1"], position=[0])
served.call("step", **step)
counted = threading.Event()
thread = threading.Thread(
    target=lambda: (counted.wait(), print(served.call("step", **step)["session_length"])), daemon=True
)
thread.start()  # while there is memory for its stack
used = int(next(line for line in open("/proc/self/status") if "VmSize" in line).split()[1]) * 1024
# The entries are 96 MB, so a copy of them does not fit any more.
resource.setrlimit(resource.RLIMIT_AS, (used + 48 * 2**20, resource.RLIM_INFINITY))
try:
    print(served.call("stats", probe=[0])["live_sessions"])
except tf.errors.OpError as error:
    print(type(error).__name__)
counted.set()
thread.join(10.0)
print(thread.is_alive(), flush=True)
import os; os._exit(0)
""",
        PYTHONPATH=str(pathlib.Path(__file__).parents[2]),
    )
    assert ended.stdout.split() == ["[1]", "[2]", "False"], ended.stderr
