"""Malformed requests from a seeded fuzzer: no crash, no state change, the right status codes.

Runs against any server, see `contract_address`. GRU4REC_FUZZ_REQUESTS=10000 makes the long version longer still.
"""

import concurrent.futures
import os
import random
from collections import Counter

import grpc
import numpy as np
import pytest
import tensorflow as tf
from serving_support.calls import Caller, new_session
from serving_support.exports import ITEMS, UNKNOWN_ITEM

from tfrs_gru4rec.export.signatures import (
    MAX_BATCH,
    MAX_CANDIDATES,
    MAX_EXCLUDED,
    MAX_GROUPS,
    MAX_ITEM_ID_BYTES,
    MAX_LENGTH,
    MAX_SESSION_ID_BYTES,
    SIGNATURES,
)

LONG = int(os.environ.get("GRU4REC_FUZZ_REQUESTS", "2000"))
PREDICT = "/tensorflow.serving.PredictionService/Predict"
IS_EMBEDDED = "TF_SERVING_TARGET" not in os.environ
# TensorFlow Serving, if it batches, fails requests together that it has merged.
N_THREADS = 4 if IS_EMBEDDED else 1
INVALID = grpc.StatusCode.INVALID_ARGUMENT


class Fuzzer:
    """Makes requests that must fail, each with the codes it may fail with."""

    def __init__(self, server: Caller, sessions: list[str], seed: int) -> None:
        self._server, self._sessions, self._chance = server, sessions, random.Random(seed)
        self._state_size = server.state_size()
        self._kinds = [getattr(self, name) for name in dir(type(self)) if name.startswith("with_")]

    def next(self) -> tuple[str, bytes, set[grpc.StatusCode]]:
        """Returns what was done, the bytes to send, and the codes allowed."""
        made = None
        while made is None:
            # Not every kind fits every signature.
            kind, signature = self._chance.choice(self._kinds), self._chance.choice(list(SIGNATURES))
            request = self._good(signature)
            made = kind(request, signature)
        body = request.SerializeToString() if isinstance(made, set) else made[0]
        return f"{kind.__name__} {signature}", body, made if isinstance(made, set) else made[1]

    def _good(self, signature: str):
        rows, columns = self._chance.randint(1, 5), self._chance.randint(1, 9)
        pick = lambda values, count: [self._chance.choice(values) for _ in range(count)]  # noqa: E731
        values = {
            "session_id": pick(self._sessions, rows),
            "item_id": pick([*ITEMS, UNKNOWN_ITEM], rows),
            "position": [self._chance.randint(0, 5) for _ in range(rows)],
            "item_ids": [pick([*ITEMS, UNKNOWN_ITEM, ""], columns - 1) + [ITEMS[0]] for _ in range(rows)],
            "candidate_ids": [pick([*ITEMS, ""], columns) for _ in range(rows)],
            "state": np.zeros([rows, self._state_size], np.float32),
            "probe": [0] * rows,
            "exclude_ids": [pick([*ITEMS, ""], columns) for _ in range(rows)],
            "exclude_seen": [True] * rows,
            "allow_groups": [pick(["shoes", ""], columns) for _ in range(rows)],
            "available": [True] * rows,
        }
        names = [tensor.name for tensor in SIGNATURES[signature].inputs]
        return self._server.request(signature, **{name: values[name] for name in names})

    def _some_input(self, request) -> str:
        return self._chance.choice(sorted(request.inputs))

    def _replace(self, request, name: str, values, dtype) -> set:
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype))
        return {INVALID}

    def with_an_input_missing(self, request, signature):
        del request.inputs[self._some_input(request)]
        return {INVALID}

    def with_an_input_too_many(self, request, signature):
        request.inputs[self._chance.choice(["", "x", "session", "é"])].CopyFrom(
            request.inputs[self._some_input(request)]
        )
        return {INVALID}

    def with_an_input_renamed(self, request, signature):
        name = self._some_input(request)
        proto = request.inputs[name]
        request.inputs[name.upper()].CopyFrom(proto)
        del request.inputs[name]
        return {INVALID}

    def with_another_dtype(self, request, signature):
        name = self._some_input(request)
        kept = request.inputs[name].dtype
        request.inputs[name].dtype = self._chance.choice(
            [d for d in [0, *range(1, 24), 101, 999] if d != kept]
        )
        return {INVALID}

    def with_another_rank(self, request, signature):
        shape = request.inputs[self._some_input(request)].tensor_shape
        if self._chance.random() < 0.5:
            shape.dim.add(size=1)
        else:
            shape.ClearField("dim")
        return {INVALID}

    def with_more_values_than_the_shape_holds(self, request, signature):
        proto = request.inputs[self._some_input(request)]
        if not proto.string_val:
            return None
        proto.string_val.extend([b"x"] * self._chance.randint(1, 100))
        return {INVALID}

    def with_a_wrong_size(self, request, signature):
        proto = request.inputs[self._some_input(request)]
        dim = self._chance.choice(proto.tensor_shape.dim)
        dim.size = self._chance.choice([-1, -(2**63), 2**31, 2**40, 2**63 - 1, 0])
        if dim.size == 0 and len(proto.tensor_shape.dim) > 1:
            dim.size = -2
        return {INVALID}

    def with_torn_contents(self, request, signature):
        proto = request.inputs[self._some_input(request)]
        proto.ClearField("string_val")
        # Of at most five rows, so too long for bools, and no multiple of what numbers take.
        proto.tensor_content = self._chance.randbytes(self._chance.choice([7, 9, 1001]))
        return {INVALID}

    def with_no_values(self, request, signature):
        # TensorFlow Serving takes them for zeros and empty strings.
        if not IS_EMBEDDED:
            return None
        proto = request.inputs[self._some_input(request)]
        for field in ("string_val", "int64_val", "int_val", "float_val", "bool_val", "tensor_content"):
            proto.ClearField(field)
        return {INVALID}

    def with_unequal_rows(self, request, signature):
        if len(request.inputs) < 2:
            return None
        proto = request.inputs[self._some_input(request)]
        array = tf.make_ndarray(proto)
        proto.CopyFrom(tf.make_tensor_proto(np.concatenate([array, array[:1]]), proto.dtype))
        return {INVALID}

    def with_too_many_rows(self, request, signature):
        rows = self._chance.randint(MAX_BATCH + 1, MAX_BATCH + 50)
        for name, proto in request.inputs.items():
            array = np.repeat(tf.make_ndarray(proto)[:1], rows, axis=0)
            self._replace(request, name, array, proto.dtype)
        return {INVALID}

    def with_no_rows(self, request, signature):
        for name, proto in request.inputs.items():
            self._replace(request, name, tf.make_ndarray(proto)[:0], proto.dtype)
        return {INVALID}

    def with_too_many_columns(self, request, signature):
        limits = {
            "item_ids": MAX_LENGTH,
            "candidate_ids": MAX_CANDIDATES,
            "exclude_ids": MAX_EXCLUDED,
            "allow_groups": MAX_GROUPS,
        }
        names = sorted(limits.keys() & request.inputs.keys())
        if not names:
            return None
        name = self._chance.choice(names)
        for other, proto in request.inputs.items():
            self._replace(request, other, tf.make_ndarray(proto)[:1], proto.dtype)
        return self._replace(request, name, [["x"] * (limits[name] + 1)], tf.string)

    def with_a_bad_session_id(self, request, signature):
        if "session_id" not in request.inputs:
            return None
        values = request.inputs["session_id"].string_val
        bad = self._chance.choice([b"", b"s" * (MAX_SESSION_ID_BYTES + 1), b"s" * 5000])
        values[self._chance.randrange(len(values))] = bad
        return {INVALID}

    def with_a_bad_item_id(self, request, signature):
        names = sorted({"item_id", "item_ids"} & request.inputs.keys())
        if not names:
            return None
        values = request.inputs[names[0]].string_val
        too_long = b"i" * (MAX_ITEM_ID_BYTES + 1)
        values[self._chance.randrange(len(values))] = (
            self._chance.choice([b"", too_long]) if names[0] == "item_id" else too_long
        )
        return {INVALID}

    def with_a_negative_position(self, request, signature):
        if "position" not in request.inputs:
            return None
        array = tf.make_ndarray(request.inputs["position"]).copy()
        array[self._chance.randrange(len(array))] = self._chance.choice([-1, -(2**63)])
        return self._replace(request, "position", array, tf.int64)

    def with_a_bad_state(self, request, signature):
        if "state" not in request.inputs:
            return None
        array = tf.make_ndarray(request.inputs["state"]).copy()
        if self._chance.random() < 0.5:
            array[self._chance.randrange(len(array)), 3] = self._chance.choice([np.nan, np.inf, -np.inf])
        else:
            array = array[:, : self._chance.randrange(1, self._state_size)]
        return self._replace(request, "state", array, tf.float32)

    def with_an_empty_replay(self, request, signature):
        if not signature.startswith("replay"):
            return None
        array = tf.make_ndarray(request.inputs["item_ids"]).copy()
        array[self._chance.randrange(len(array))] = b""
        return self._replace(request, "item_ids", array, tf.string)

    def with_an_unknown_signature(self, request, signature):
        request.model_spec.signature_name = self._chance.choice(["walk", "STEP", "x" * 1000, "é", "\x00"])
        return {grpc.StatusCode.FAILED_PRECONDITION}

    def with_an_unknown_model(self, request, signature):
        request.model_spec.name = self._chance.choice(["other", "GRU4REC", "../gru4rec", "x" * 1000, "\n"])
        return {grpc.StatusCode.NOT_FOUND}

    def with_an_unknown_version(self, request, signature):
        request.model_spec.version.value = self._chance.choice([-1, 0, 2, 2**63 - 1, -(2**63)])
        return {grpc.StatusCode.NOT_FOUND}

    def with_an_unknown_label(self, request, signature):
        request.model_spec.version_label = self._chance.choice(["", "nobody", "x" * 1000])
        return {INVALID}

    def with_no_model(self, request, signature):
        if self._chance.random() < 0.5:
            request.ClearField("model_spec")
        else:
            request.model_spec.name = ""
        return {INVALID}

    def with_a_bad_output_filter(self, request, signature):
        name = SIGNATURES[signature].outputs[0].name
        request.output_filter.extend(
            self._chance.choice([["nothing"], [name, name], [name, ""], ["x" * 5000]])
        )
        return {INVALID}

    def with_noise_for_bytes(self, request, signature):
        # 0x07: no message begins with wire type 7, so this is never a request by chance.
        noise = b"\x07" + self._chance.randbytes(self._chance.randint(0, 300))
        return noise, {grpc.StatusCode.INTERNAL}

    def with_its_end_cut_off(self, request, signature):
        # Inside the last field, so the length that stands before it is wrong.
        return request.SerializeToString()[:-1], {grpc.StatusCode.INTERNAL}

    def with_more_bytes_than_allowed(self, request, signature):
        # Its own limit, if it has one, is another; and a megabyte takes its time.
        if not IS_EMBEDDED or self._chance.random() < 0.9:
            return None
        request.output_filter.append("x" * (4 << 20))
        return {grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.fixture(scope="module")
def live_sessions(server: Caller) -> list[str]:
    sessions = [new_session() for _ in range(20)]
    for number, session in enumerate(sessions):
        server.call("replay", session_id=[session], item_ids=[ITEMS[number : number + 3]])
    yield sessions
    server.call("end_session", session_id=sessions)


@pytest.mark.parametrize("n_requests", [500, pytest.param(LONG, marks=pytest.mark.slow)])
def test_malformed_requests(server: Caller, live_sessions, n_requests):
    fuzzer = Fuzzer(server, live_sessions, seed=20)
    send = server.channel.unary_unary(PREDICT)

    def state() -> tuple:
        scores = server.call("score", session_id=live_sessions, candidate_ids=[ITEMS] * len(live_sessions))
        live = server.call("stats", probe=[0])["live_sessions"].tolist()
        return scores["scores"].tolist(), scores["session_length"].tolist(), live

    def attempt(case: tuple[str, bytes, set[grpc.StatusCode]]) -> str | None:
        what, body, allowed = case
        try:
            send(body, timeout=60.0)
        except grpc.RpcError as error:
            seen[what.split()[0]] += 1
            return None if error.code() in allowed else f"{what}: {error.code()} {error.details()}"
        return f"{what}: it succeeded"

    before, seen = state(), Counter()
    assert len(before[1]) == 20
    cases = [fuzzer.next() for _ in range(n_requests)]
    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as threads:
        wrong = [failure for failure in threads.map(attempt, cases) if failure]
    assert not wrong, "\n".join(wrong[:20])
    assert len(seen) == len(fuzzer._kinds) - (0 if IS_EMBEDDED else 2)
    assert state() == before


def test_good_requests_succeed(server: Caller, live_sessions):
    """What the fuzzer spoils is good before: the codes above come from the spoiling."""
    fuzzer = Fuzzer(server, [new_session()], seed=4)
    for name in SIGNATURES:
        for _ in range(5):
            assert server.failure(fuzzer._good(name)) == grpc.StatusCode.OK
