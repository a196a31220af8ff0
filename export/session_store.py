"""The store of live sessions: a bounded slab of records inside the SavedModel.

Where a session stands in the slab, and which one gives way to a new one: session_buckets.py.

Time. `tf.timestamp`, the only stock operation that tells the time, reads the wall clock, which jumps when it is
set. So the store keeps a time of its own: each call moves it on by what the clock has moved since the call
before, by nothing if that is backwards, and by at most `longest_gap_seconds`. An hour forward then counts as a
gap of a minute and an hour back as none, and idle sessions go on growing old after either. The price: in a gap
without any call sessions grow older by that minute alone. The embedded server's watchdog calls every few seconds.

Last use is stamped in microseconds of that time, pushed on by at least 1 a session so that stamps are distinct.
Sessions of one batch are stamped in the order in which they first appear in it, and all of them are looked up
before any new one is placed.

Concurrency. What a call does between `open` and `close` happens under one lock for the whole store, so calls
take effect one after another, also when some are cancelled (see `Lock`). Only `counters` does without the lock,
so that nothing that grows with the store is computed while it is held.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfrs_gru4rec.export.locked_memory import Lock, ZeroedMemory
from tfrs_gru4rec.export.session_buckets import FREE, WAYS, Buckets, Chosen, Found, HashedIds

MICROSECONDS = 1_000_000
LONGEST_GAP_SECONDS = 60.0
_COUNTED_BUCKETS = 1024  # counted at a time: 1.5 MB of entries


class SessionCounts(NamedTuple):
    """Int64 scalars; see the signature `stats`."""

    live_sessions: tf.Tensor
    hits: tf.Tensor
    misses: tf.Tensor
    evictions: tf.Tensor
    expirations: tf.Tensor


class _Moment(NamedTuple):
    """When a call holds the lock."""

    clock: tf.Tensor  # int64 scalar, as read
    now: tf.Tensor  # int64 scalar, the store's time
    time: tf.Tensor  # int64 scalar, the same or later, at or below the new stamps and above all given before
    # Int64 [7], hits, misses, evictions, expirations, the last stamp given, and the last call's clock and time.
    counters: tf.Tensor


def server_clock() -> tf.Tensor:
    """Returns the time of the machine that runs the graph, int64 microseconds since 1970."""
    return tf.cast(tf.timestamp() * MICROSECONDS, tf.int64)


class OpenSessions(NamedTuple):
    """Different sessions [n] while the store's lock is held."""

    records: tf.Tensor  # [n, record_size], zeros where a session is not held
    ids: HashedIds  # their hashes
    found: Found  # their places
    moment: _Moment  # the time, and what has been counted so far


class SessionStore(tf.Module):
    """Records of live sessions by session id, at most `capacity` of them.

    Attributes:
      capacity: sessions that fit: `max_sessions`, rounded up to whole buckets.
      record_size: floats a session.
    """

    def __init__(
        self,
        max_sessions: int,
        record_size: int,
        idle_seconds: float,
        unstored_id: bytes = b"",
        *,
        ways: int = WAYS,
        clock: Callable[[], tf.Tensor] = server_clock,
        longest_gap_seconds: float = LONGEST_GAP_SECONDS,
        hash_keys: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Allocates nothing yet; a loaded SavedModel holds capacity * (4 * record_size + 24) bytes.

        Args:
          max_sessions: sessions to hold.
          record_size: floats of a session's record, all zeros in a session not held.
          idle_seconds: a session not used for so long is as good as gone.
          unstored_id: a session id that is never stored nor counted.
          ways: places of a bucket; fewer if `max_sessions` is smaller.
          clock: makes the operations that tell the time, an int64 scalar in microseconds.
          longest_gap_seconds: how much older sessions grow between two calls at most, whatever the clock says.
          hash_keys: two keys of two integers below 2^63 each; drawn at random if None.
        """
        super().__init__(name="session_store")
        self._buckets = Buckets(max_sessions, ways, int(idle_seconds * MICROSECONDS), unstored_id, hash_keys)
        self.capacity = self._buckets.n_buckets * self._buckets.ways
        self.record_size = record_size
        self._clock = clock
        self._longest_gap = int(longest_gap_seconds * MICROSECONDS)
        shape = [self._buckets.n_buckets + 1, self._buckets.ways]  # one bucket is spare
        self._entries = ZeroedMemory("session_entries", [*shape, 3], tf.int64)
        self._records = ZeroedMemory("session_records", [*shape, record_size], tf.float32)
        self._counters = ZeroedMemory("session_counters", [7], tf.int64)
        self._lock = Lock("session_lock")

    def initialize(self) -> None:
        """Allocates the memory, for use outside a SavedModel; loaders of a SavedModel do it themselves."""
        for resource in (self._entries, self._records, self._counters, self._lock):
            resource._initialize()

    def open(self, session_ids: tf.Tensor, prepared: Sequence[tf.Tensor]) -> OpenSessions:
        """Takes the store's lock and reads records; `close` must follow.

        Until then no other call reads or writes the store, and the lock's rule holds: only plain operations that
        cannot fail, so no loop, condition, call or assertion (see `Lock`).

        Args:
          session_ids: string [n], all different.
          prepared: what the new records are made of, to have it ready before the lock is taken.
        """
        ids = self._buckets.hash(session_ids)
        found, moment = self._find(ids, self._lock.take([*ids, *prepared, self._ask_for_memory(ids)]))
        return OpenSessions(self._read(found), ids, found, moment)

    def close(
        self,
        opened: OpenSessions,
        records: tf.Tensor,
        is_written: tf.Tensor,
        results: Any = (),
        counts: bool = True,
    ) -> Any:
        """Writes records of opened sessions, and gives the lock back; returns the results, once all is written.

        Args:
          opened: what `open` returned.
          records: [n, record_size].
          is_written: bool [n], which of them to write; the others are not created either.
          results: nested tensors that have to be computed under the lock.
          counts: whether the look-ups count as hits and misses.
        """
        _, ids, found, moment = opened
        is_written &= ids.is_stored
        with tf.control_dependencies([self._touch(found)]):
            stamps = self._entries.gather(ids.buckets)[:, :, 2]
        chosen = self._buckets.choose(ids, stamps, moment.time, is_written & ~found.is_live)
        writes = self._write(found, chosen, records, is_written)
        is_lost = is_written & ~found.is_live & ~chosen.is_placed
        is_evicting = chosen.is_eviction | is_lost
        count = self._count(opened, ids.is_stored & counts, is_evicting, chosen.is_expiration)
        return self._lock.give_back(results, [*writes, count])

    def read(self, session_ids: tf.Tensor) -> tf.Tensor:
        """Returns records [n, record_size] of ids [n], all different; zeros where a session is not held."""
        opened = self.open(session_ids, [])
        nothing = tf.zeros_like(opened.found.is_idle)
        count = self._count(opened, opened.ids.is_stored, nothing, nothing)
        return self._lock.give_back(opened.records, [self._touch(opened.found), count])

    def remove(self, session_ids: tf.Tensor) -> tf.Tensor:
        """Forgets sessions [n], all different; returns bool [n], which of them were held."""
        ids = self._buckets.hash(session_ids)
        found, _ = self._find(ids, self._lock.take([*ids, self._ask_for_memory(ids)]))
        clear = self._entries.scatter_nd(found.places, tf.zeros_like(found.entries))
        return self._lock.give_back(found.is_live, [clear])

    def counters(self) -> SessionCounts:
        """Counts sessions, and events since the model was loaded, without the lock and a part at a time.

        Calls that come between are counted or not; the sessions that no such call touches are counted once.
        """
        clock, counters = self._clock(), self._counters.read()
        time = tf.maximum(self._time(clock, counters), counters[4])

        def count(start: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            end = tf.minimum(start + _COUNTED_BUCKETS, self._buckets.n_buckets)
            stamps = self._entries.gather(tf.range(start, end))[:, :, 2]
            is_live = (stamps != FREE) & ~self._buckets.is_idle(stamps, time)
            return end, total + tf.math.count_nonzero(is_live, dtype=tf.int64)

        start = tf.zeros([], tf.int64)
        _, live = tf.while_loop(
            lambda start, _: start < self._buckets.n_buckets, count, (start, start), parallel_iterations=1
        )
        return SessionCounts(live, *tf.unstack(counters, num=7)[:4])

    def _ask_for_memory(self, ids: HashedIds) -> tf.Tensor:
        """Asks for as much memory as a call needs under the lock and gives it back, untouched.

        A call for which there is too little fails here, where it holds nothing.
        """
        n = tf.size(ids.buckets)
        floats = [n, 2 * n + 32 * self._buckets.ways + 16 * self.record_size]
        return tf.raw_ops.Empty(shape=tf.stack(floats), dtype=tf.float32)

    def _time(self, clock: tf.Tensor, counters: tf.Tensor) -> tf.Tensor:
        return counters[6] + tf.clip_by_value(clock - counters[5], 0, self._longest_gap)

    def _find(self, ids: HashedIds, held: tf.Tensor) -> tuple[Found, _Moment]:
        with tf.control_dependencies([held]):
            clock = self._clock()
            counters = self._counters.read()
            entries = self._entries.gather(ids.buckets)
        now = self._time(clock, counters)
        time = tf.maximum(now, counters[4] + 1)
        return self._buckets.find(ids, entries, time), _Moment(clock, now, time, counters)

    def _read(self, found: Found) -> tf.Tensor:
        records = tf.where(found.is_live[:, tf.newaxis], self._records.gather_nd(found.places), 0.0)
        return tf.ensure_shape(records, [None, self.record_size])

    def _touch(self, found: Found) -> tf.Operation:
        """Stamps live sessions as used now, and frees the places of idle ones."""
        entries = tf.where(found.is_live[:, tf.newaxis], found.entries, FREE)
        return self._entries.scatter_nd(found.places, entries)

    def _write(
        self, found: Found, chosen: Chosen, records: tf.Tensor, is_written: tf.Tensor
    ) -> list[tf.Operation]:
        """Writes records of live sessions to their places, and of new ones to the chosen places."""
        held_places = self._buckets.or_spare(is_written & found.is_live, found.places)
        places = tf.where(chosen.is_placed[:, tf.newaxis], chosen.places, held_places)
        return [
            self._records.scatter_nd(places, records),
            self._entries.scatter_nd(chosen.places, found.entries),
        ]

    def _count(
        self, opened: OpenSessions, is_counted: tf.Tensor, is_evicting: tf.Tensor, is_expiring: tf.Tensor
    ) -> tf.Operation:
        """Adds the counts of a call; a session may be idle itself and take the place of an idle one, too."""
        _, _, found, moment = opened
        flags = [found.is_live & is_counted, ~found.is_live & is_counted, is_evicting, is_expiring]
        events = tf.cast(tf.stack([*flags, found.is_idle]), tf.int64)
        sums = tf.reduce_sum(events, axis=1)
        sums = tf.concat([sums[:3], sums[3:4] + sums[4:]], axis=0)
        last = tf.stack([moment.time + tf.size(is_counted, tf.int64), moment.clock, moment.now])
        return self._counters.assign(tf.concat([moment.counters[:4] + sums, last], axis=0))
