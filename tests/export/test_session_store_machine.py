"""Any sequence of calls of the session store, against dicts in plain Python."""

import functools

import numpy as np
import tensorflow as tf
from export_support.traced_store import IDLE, NAMES, UNSTORED, TracedStore
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tfrs_gru4rec.export.session_record import accept_events
from tfrs_gru4rec.export.signatures import Status

from oracle import session_store as oracle

GAP = IDLE + 2  # no longer than this passes between two calls, whatever the clock says
SESSIONS = [UNSTORED, *(f"session-{number}" for number in range(7))]
ITEMS = st.integers(-1, 3)  # -1 is an unknown item
# Records are (length, state); a state is a whole number below 1024, so float32 holds it exactly.
SIZES = [(4, 2), (3, 3)]  # sessions that fit, and places of a bucket


def advance(records, item_rows):
    length, state = tf.split(records, 2, axis=1)
    row = tf.cast(item_rows[:, None], tf.float32)
    return tf.concat(
        [length + 1.0, tf.where(row >= 0.0, tf.math.floormod(3.0 * state + row, 1024.0), state)], 1
    )


class Store(TracedStore):
    """The store under test, its calls traced once for all runs of the machine."""

    def __init__(self, max_sessions, ways):
        super().__init__(max_sessions, 2, ways, GAP)
        positions, rows = tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.int32)
        records = tf.TensorSpec([None, 2], tf.float32)
        self.step = tf.function(self._step, input_signature=[NAMES, positions, rows])
        self.replay = tf.function(self._replay, input_signature=[NAMES, records])

    def _step(self, ids, positions, rows):
        opened = self.store.open(ids, [positions, rows])
        after, status = accept_events(opened.records, positions, rows, advance)
        return self.store.close(opened, after, status < Status.REPEATED, (after, status))

    def _replay(self, ids, records):
        opened = self.store.open(ids, [records])
        return self.store.close(opened, records, tf.ones_like(opened.records[:, 0], tf.bool), counts=False)


store_of = functools.cache(Store)
seen = {"evictions": 0, "expirations": 0, "hits": 0}


class StoreMachine(RuleBasedStateMachine):
    """Sends the same calls to the store and to the dicts."""

    @initialize(size=st.sampled_from(SIZES))
    def begin(self, size):
        self.store = store_of(*size).reset()
        self.clock = 1000
        self.expected = oracle.SessionStore(size[1], IDLE, self.store.bucket_of, UNSTORED, (0, 0), GAP)

    @rule(
        events=st.lists(
            st.tuples(st.sampled_from(SESSIONS), st.integers(0, 4), ITEMS),
            min_size=1,
            max_size=5,
            unique_by=lambda event: event[0],
        )
    )
    def step(self, events):
        names, positions, rows = zip(*events, strict=True)
        records, statuses = self.store.step(list(names), list(positions), list(rows))
        answers = self.expected.step(events, lambda state, row: (3 * state + row) % 1024, self.clock)
        assert records.numpy().tolist() == [[length, state] for length, state, _ in answers]
        assert statuses.numpy().tolist() == [status for _, _, status in answers]

    @rule(
        sessions=st.dictionaries(
            st.sampled_from(SESSIONS),
            st.tuples(st.integers(1, 5), st.integers(0, 1023)),
            min_size=1,
            max_size=5,
        )
    )
    def replay(self, sessions):
        self.store.replay(list(sessions), np.array(list(sessions.values()), np.float32))
        self.expected.update(
            list(sessions), list(sessions.values()), [True] * len(sessions), self.clock, counts=False
        )

    @rule(name=st.sampled_from(SESSIONS), late=st.sampled_from([-1, 0, 1]))
    def comes_back_at_the_stroke(self, name, late):
        self.time_passes(10)
        self.replay({name: (1, 5)})
        self.time_passes(IDLE + late)
        self.score([name])

    @rule(names=st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=4, unique=True))
    def score(self, names):
        records = self.store.read(names).numpy().tolist()
        assert records == [list(record) for record in self.expected.read(names, self.clock)]

    @rule(names=st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=3, unique=True))
    def end(self, names):
        assert self.store.remove(names).numpy().tolist() == self.expected.remove(names, self.clock)

    @rule(microseconds=st.sampled_from([-10, 1, 10, IDLE - 1, IDLE, IDLE + 1, 10**9, -(10**9)]))
    def time_passes(self, microseconds):
        self.clock += microseconds
        self.store.clock.assign(self.clock)

    @invariant()
    def counts_are_equal(self):
        assert self.store.counts() == self.expected.counts(self.clock)

    def teardown(self):
        for name in seen:
            seen[name] += getattr(self.expected, name)


def test_any_sequence_of_calls_does_what_dicts_do():
    run_state_machine_as_test(StoreMachine, settings=settings(stateful_step_count=20))
    # The calls have come past everything that the store does.
    assert min(seen.values()) >= 10, seen
