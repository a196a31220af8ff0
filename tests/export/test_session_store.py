"""The bounded store against dicts in plain Python, call by call."""

import functools
import time

import numpy as np
import pytest
import tensorflow as tf
from export_support.traced_store import FLAGS, HASH_KEYS, IDLE, NAMES, UNSTORED, TracedStore

from tfrs_gru4rec.export.session_buckets import Buckets
from tfrs_gru4rec.export.session_store import MICROSECONDS, SessionStore

from oracle import session_store as oracle


class Store(TracedStore):
    """A store whose records are one float."""

    def __init__(self, max_sessions, ways, longest_gap=10 * IDLE):
        super().__init__(max_sessions, 1, ways, longest_gap)
        signature = [NAMES, tf.TensorSpec([None, 1], tf.float32), FLAGS]
        self.update = tf.function(self._update, input_signature=signature)

    def _update(self, ids, records, is_written):
        opened = self.store.open(ids, [records, is_written])
        return self.store.close(opened, records, is_written, opened.records)

    def put(self, *names):
        self.update(list(names), [[float(len(name))] for name in names], [True] * len(names))

    def held(self, *names):
        return [bool(record) for record in self.read(list(names)).numpy()[:, 0]]


@pytest.fixture(scope="module")
def make_store():
    """Makes an empty store; one of the same size is the same one, emptied."""
    made = functools.cache(Store)
    return lambda max_sessions, ways=4, **settings: made(max_sessions, ways, **settings).reset()


@pytest.mark.parametrize(("max_sessions", "ways", "n_names"), [(3, 4, 6), (1, 4, 3), (8, 4, 14), (40, 8, 60)])
def test_store_does_what_dicts_do(make_store, max_sessions, ways, n_names):
    store = make_store(max_sessions, ways)
    expected = oracle.SessionStore(min(ways, max_sessions), IDLE, store.bucket_of, UNSTORED, gap=10 * IDLE)
    names = [UNSTORED, *(f"session-{number}" for number in range(n_names))]
    generator = np.random.default_rng(max_sessions)
    for _ in range(250):
        store.clock.assign_add(int(generator.choice([-10, 0, 1, 6, IDLE + 5], p=[0.2, 0.3, 0.2, 0.2, 0.1])))
        clock = int(store.clock)
        ids = generator.permutation(names)[: generator.integers(1, min(len(names), 12))].tolist()
        match generator.choice(["update", "update", "update", "read", "remove"]):
            case "update":
                records = generator.random([len(ids), 1], np.float32)
                is_written = generator.random(len(ids)) < 0.8
                before = store.update(ids, records, is_written).numpy()[:, 0].tolist()
                assert before == expected.update(ids, records[:, 0].tolist(), is_written.tolist(), clock)
            case "read":
                assert store.read(ids).numpy()[:, 0].tolist() == expected.read(ids, clock)
            case "remove":
                assert store.remove(ids[:2]).numpy().tolist() == expected.remove(ids[:2], clock)
        assert store.counts() == expected.counts(clock)
    # The walk has come past everything that the store does.
    assert min(expected.hits, expected.misses, expected.evictions, expected.expirations) >= 5


def test_least_recently_used_goes_first(make_store):
    store = make_store(3)
    store.put("a")
    store.put("b")
    store.put("c")
    store.read(["a"])
    store.put("d")  # b is the one not used for longest
    assert store.held("a", "b", "c", "d") == [True, False, True, True]


def test_more_new_sessions_than_fit_leave_earlier_ones_of_the_batch(make_store):
    store = make_store(2)
    store.put("a", "b", "c")
    assert store.held("a", "b", "c") == [True, True, False]
    assert int(store.counters().evictions) == 1


def test_idle_session_is_gone_at_the_stroke(make_store):
    store = make_store(3)
    store.put("a")  # stamped 1000
    store.clock.assign(1000 + IDLE - 1)
    assert store.held("a") == [True]  # and stamped anew
    store.clock.assign_add(IDLE)
    assert store.held("a") == [False]
    assert int(store.counters().expirations) == 1


def test_idle_time_goes_by_the_clock_of_the_server():
    store = SessionStore(3, 1, idle_seconds=0.3)
    store.initialize()
    ids = tf.constant(["a"])
    read = tf.function(lambda: store.read(ids))

    @tf.function
    def put():
        opened = store.open(ids, [])
        return store.close(opened, tf.ones([1, 1]), tf.constant([True]), opened.records)

    assert [read().numpy().item(), put().numpy().item()] == [0.0, 0.0]  # traced, which takes its time
    put()
    assert read().numpy().item() == 1.0
    time.sleep(0.31)
    assert read().numpy().item() == 0.0


def test_a_clock_set_back_keeps_sessions(make_store):
    store = make_store(3)
    store.put("a")
    store.clock.assign(1)
    assert store.held("a") == [True]
    store.put("b", "c", "d")
    assert store.held("a", "b", "c", "d") == [False, True, True, True]


HOUR = 3600 * MICROSECONDS


def test_a_clock_set_forward_forgets_no_session(make_store):
    store = make_store(3, longest_gap=10)
    store.put("a")
    for _ in range(3):
        store.clock.assign_add(HOUR)
        assert int(store.counters().live_sessions) == 1
        assert store.held("a") == [True]


def test_a_clock_set_back_keeps_no_session_for_ever(make_store):
    store = make_store(3, longest_gap=10)
    store.clock.assign(HOUR)
    store.put("a")
    store.clock.assign(0)
    for _ in range(IDLE // 5):
        store.put("b")
        store.clock.assign_add(5)
    assert int(store.counters().live_sessions) == 1
    assert store.held("a", "b") == [False, True]


def test_counting_needs_no_lock_and_no_copy(make_store):
    store = make_store(40, 8)
    store.put("a", "b")
    store.store._lock.take([])  # and never gives it back
    assert int(store.counters().live_sessions) == 2
    graph = store.counters.get_concrete_function().graph
    copied = [op for op in graph.get_operations() if op.type == "ReadVariableOp"]
    assert len(copied) == 2  # the clock and the seven counters
    assert "session_lock" not in str(graph.as_graph_def())


def test_counts_stores_larger_than_a_part(make_store):
    store = make_store(5000, 1)
    names = [f"session-{number}" for number in range(3000)]
    for start in range(0, 3000, 500):
        store.put(*names[start : start + 500])
    held = sum(store.held(*names))
    assert 0 < held < 3000  # some bucket of one place has had two
    store.clock.assign_add(-5)
    assert int(store.counters().live_sessions) == held


def test_capacity_is_rounded_up_to_whole_buckets(make_store):
    assert [make_store(n).store.capacity for n in (1, 3, 4, 5, 9)] == [1, 3, 4, 8, 12]


def test_fingerprints_of_different_ids_differ():
    ids = tf.constant([f"s{number}" for number in range(20_000)])
    buckets = Buckets(5, 4, IDLE, b"", HASH_KEYS)
    # In parts: a batch's ids are compared with each other too, which takes the square of their number.
    words = np.concatenate([buckets.hash(part).fingerprints for part in tf.split(ids, 40)])
    # 2e8 pairs among 2^63 values: one equal pair in either word has probability 4e-11.
    assert len(np.unique(words[:, 0])) == len(np.unique(words[:, 1])) == 20_000
    assert words.min() >= 0


def test_keys_differ_from_store_to_store():
    ids = tf.constant(["a"])
    hashes = [SessionStore(1, 1, 1.0)._buckets.hash(ids).fingerprints.numpy().tolist() for _ in range(2)]
    assert hashes[0] != hashes[1]
