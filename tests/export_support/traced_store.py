"""The session store with a clock to set and with calls that are traced once."""

import functools

import tensorflow as tf

from tfrs_gru4rec.export.session_store import MICROSECONDS, SessionStore

IDLE = 50  # microseconds of a clock that the tests set
UNSTORED = "unstored"
NAMES, FLAGS = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.bool)
HASH_KEYS = [[3141592653589793238, 4626433832795028841], [2718281828459045235, 3602874713526624977]]


class TracedStore:
    """A store; what subclasses add are calls that open and close it."""

    def __init__(self, max_sessions, record_size, ways, longest_gap):
        self.clock = tf.Variable(1000, dtype=tf.int64)
        self.bucket_of = functools.cache(self._bucket_of)
        self.store = SessionStore(
            max_sessions,
            record_size,
            IDLE / MICROSECONDS,
            UNSTORED.encode(),
            ways=ways,
            clock=lambda: tf.identity(self.clock),
            longest_gap_seconds=longest_gap / MICROSECONDS,
            hash_keys=HASH_KEYS,
        )
        self.read = tf.function(self.store.read, input_signature=[NAMES])
        self.remove = tf.function(self.store.remove, input_signature=[NAMES])
        self.counters = tf.function(self.store.counters, input_signature=[])

    def reset(self):
        """Forgets all sessions and counts; the traced functions stay."""
        self.clock.assign(1000)
        self.store.initialize()
        return self

    def counts(self):
        return {name: int(value) for name, value in self.counters()._asdict().items()}

    def _bucket_of(self, name):
        return int(self.store._buckets.hash(tf.constant([name])).buckets[0])
