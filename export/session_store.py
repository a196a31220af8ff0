"""The store of live sessions: a bounded slab of records inside the SavedModel.

Placement. A session's id is hashed (keyed SipHash, two words of 63 bits) to a fingerprint; the first word
picks one of the buckets, each of up to `WAYS` places. A session is only ever in a place of its bucket. A new
one takes a free place, else that of a session idle too long, else that of the bucket's least recently used
session.

How near this comes to "least recently used first" over the whole slab: up to `WAYS` = 64 sessions (one
bucket) it is exact. Beyond, a session gives way once 64 others of its own bucket have been used since. If x
times the capacity is the number of distinct sessions used since, its bucket has seen Poisson(64 x) of them:
the session is still there with probability .99999 at x = 0.55, .95 at x = 0.8, .48 at x = 1, .005 at x =
1.35.

Collisions. Two sessions share a record only if 126 bits of keyed hash agree: below 1e-20 for 1e9 sessions
ever (n² / 2 pairs times 2⁻¹²⁶). The keys are drawn at export, so nobody can make up ids that collide or that
crowd one bucket.

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

import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfrs_gru4rec.export.locked_memory import Lock, ZeroedMemory

WAYS = 64
MICROSECONDS = 1_000_000
LONGEST_GAP_SECONDS = 60.0
_HASH_RANGE = 2**63 - 1
_FREE = 0  # stamp of a place without a session
_COUNTED_BUCKETS = 1024  # counted at a time: 1.5 MB of entries


class SessionCounts(NamedTuple):
    """Int64 scalars; see the signature `stats`."""

    live_sessions: tf.Tensor
    hits: tf.Tensor
    misses: tf.Tensor
    evictions: tf.Tensor
    expirations: tf.Tensor


class _Ids(NamedTuple):
    """Different session ids [n], hashed.

    Attributes:
      fingerprints: int64 [n, 2].
      buckets: int64 [n].
      is_stored: bool [n], false for the one id that never is.
      is_before: bool [n, n], whether the second of two ids of one bucket comes before the first.
    """

    fingerprints: tf.Tensor
    buckets: tf.Tensor
    is_stored: tf.Tensor
    is_before: tf.Tensor


class _Found(NamedTuple):
    """Where sessions [n] are.

    Attributes:
      entries: int64 [n, 3], fingerprints and new stamps.
      places: int64 [n, 2], bucket and way; the spare place if there is none.
      is_live: bool [n], held and not idle too long.
      is_idle: bool [n], held and idle too long.
      clock: int64 scalar, as read.
      now: int64 scalar, the store's time.
      time: int64 scalar, the same or later, at or below the new stamps and above all given before.
      counters: int64 [7], hits, misses, evictions, expirations, the last stamp given, and the last call's clock
        and time.
    """

    entries: tf.Tensor
    places: tf.Tensor
    is_live: tf.Tensor
    is_idle: tf.Tensor
    clock: tf.Tensor
    now: tf.Tensor
    time: tf.Tensor
    counters: tf.Tensor


class _Chosen(NamedTuple):
    """Where new sessions [n] go.

    Attributes:
      places: int64 [n, 2]; the spare place if there is none.
      is_placed: bool [n], whether there is one.
      is_eviction: bool [n], the place is that of a live session.
      is_expiration: bool [n], the place is that of an idle session.
    """

    places: tf.Tensor
    is_placed: tf.Tensor
    is_eviction: tf.Tensor
    is_expiration: tf.Tensor


def server_clock() -> tf.Tensor:
    """Returns the time of the machine that runs the graph, int64 microseconds since 1970."""
    return tf.cast(tf.timestamp() * MICROSECONDS, tf.int64)


class OpenSessions(NamedTuple):
    """Different sessions [n] while the store's lock is held.

    Attributes:
      records: [n, record_size], zeros where a session is not held.
      ids: their hashes.
      found: their places.
    """

    records: tf.Tensor
    ids: _Ids
    found: _Found


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
        self._ways = min(ways, max_sessions)
        self._n_buckets = -(-max_sessions // self._ways)
        self.capacity = self._n_buckets * self._ways
        self.record_size = record_size
        self._idle_microseconds = int(idle_seconds * MICROSECONDS)
        self._unstored_id = unstored_id
        self._clock = clock
        self._longest_gap = int(longest_gap_seconds * MICROSECONDS)
        self._keys = hash_keys or [[secrets.randbits(63), secrets.randbits(63)] for _ in range(2)]
        # One bucket is spare: its places are never looked up, and writes that are not to happen go there.
        self._spare_place = (self._n_buckets, 0)
        # An entry is the two words of the fingerprint and the stamp of the last use.
        shape = [self._n_buckets + 1, self._ways]
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

        Returns:
          The sessions, with their records.
        """
        ids = self._hash(session_ids)
        found = self._find(ids, self._lock.take([*ids, *prepared, self._ask_for_memory(ids)]))
        return OpenSessions(self._read(found), ids, found)

    def close(
        self,
        opened: OpenSessions,
        records: tf.Tensor,
        is_written: tf.Tensor,
        results: Any = (),
        counts: bool = True,
    ) -> Any:
        """Writes records of opened sessions, and gives the lock back.

        Args:
          opened: what `open` returned.
          records: [n, record_size].
          is_written: bool [n], which of them to write; the others are not created either.
          results: nested tensors that have to be computed under the lock.
          counts: whether the look-ups count as hits and misses.

        Returns:
          The results, once all is written.
        """
        _, ids, found = opened
        is_written &= ids.is_stored
        with tf.control_dependencies([self._touch(found)]):
            chosen = self._choose(ids, found, is_written & ~found.is_live)
        writes = self._write(found, chosen, records, is_written)
        is_lost = is_written & ~found.is_live & ~chosen.is_placed
        is_evicting = chosen.is_eviction | is_lost
        count = self._count(found, ids.is_stored & counts, is_evicting, chosen.is_expiration)
        return self._lock.give_back(results, [*writes, count])

    def read(self, session_ids: tf.Tensor) -> tf.Tensor:
        """Returns records [n, record_size] of ids [n], all different; zeros where a session is not held."""
        records, ids, found = self.open(session_ids, [])
        nothing = tf.zeros_like(found.is_idle)
        count = self._count(found, ids.is_stored, nothing, nothing)
        return self._lock.give_back(records, [self._touch(found), count])

    def remove(self, session_ids: tf.Tensor) -> tf.Tensor:
        """Forgets sessions [n], all different; returns bool [n], which of them were held."""
        ids = self._hash(session_ids)
        found = self._find(ids, self._lock.take([*ids, self._ask_for_memory(ids)]))
        clear = self._entries.scatter_nd(found.places, tf.zeros_like(found.entries))
        return self._lock.give_back(found.is_live, [clear])

    def counters(self) -> SessionCounts:
        """Counts sessions, and events since the model was loaded, without the lock and a part at a time.

        Calls that come between are counted or not; the sessions that no such call touches are counted once.
        """
        clock, counters = self._clock(), self._counters.read()
        time = tf.maximum(self._time(clock, counters), counters[4])

        def count(start: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            end = tf.minimum(start + _COUNTED_BUCKETS, self._n_buckets)
            stamps = self._entries.gather(tf.range(start, end))[:, :, 2]
            is_live = (stamps != _FREE) & ~self._is_idle(stamps, time)
            return end, total + tf.math.count_nonzero(is_live, dtype=tf.int64)

        start = tf.zeros([], tf.int64)
        _, live = tf.while_loop(
            lambda start, _: start < self._n_buckets, count, (start, start), parallel_iterations=1
        )
        return SessionCounts(live, *tf.unstack(counters, num=7)[:4])

    def _ask_for_memory(self, ids: _Ids) -> tf.Tensor:
        """Asks for as much memory as a call needs under the lock and gives it back, untouched.

        A call for which there is too little fails here, where it holds nothing.
        """
        n = tf.size(ids.buckets)
        floats = [n, 2 * n + 32 * self._ways + 16 * self.record_size]
        return tf.raw_ops.Empty(shape=tf.stack(floats), dtype=tf.float32)

    def _hash(self, session_ids: tf.Tensor) -> _Ids:
        words = [tf.strings.to_hash_bucket_strong(session_ids, _HASH_RANGE, key) for key in self._keys]
        is_stored = tf.not_equal(session_ids, self._unstored_id)
        buckets, index = words[0] % self._n_buckets, tf.range(tf.size(session_ids))
        is_before = (index < index[:, tf.newaxis]) & (buckets == buckets[:, tf.newaxis])
        return _Ids(tf.stack(words, axis=1), buckets, is_stored, is_before)

    def _time(self, clock: tf.Tensor, counters: tf.Tensor) -> tf.Tensor:
        return counters[6] + tf.clip_by_value(clock - counters[5], 0, self._longest_gap)

    def _is_idle(self, stamps: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        return stamps <= time - self._idle_microseconds

    def _find(self, ids: _Ids, held: tf.Tensor) -> _Found:
        with tf.control_dependencies([held]):
            clock = self._clock()
            counters = self._counters.read()
            entries = self._entries.gather(ids.buckets)
        now = self._time(clock, counters)
        time = tf.maximum(now, counters[4] + 1)
        is_same = tf.reduce_all(entries[:, :, :2] == ids.fingerprints[:, tf.newaxis, :], axis=2)
        stamps = tf.where(is_same, entries[:, :, 2], _FREE)
        stamp = tf.reduce_max(stamps, axis=1)
        is_held = stamp != _FREE
        is_idle = self._is_idle(stamp, time)
        places = tf.stack([ids.buckets, tf.argmax(stamps, axis=1)], axis=1)
        new_stamps = time + tf.range(tf.size(ids.buckets, tf.int64))
        return _Found(
            entries=tf.concat([ids.fingerprints, new_stamps[:, tf.newaxis]], axis=1),
            places=self._or_spare(is_held, places),
            is_live=is_held & ~is_idle,
            is_idle=is_held & is_idle,
            clock=clock,
            now=now,
            time=time,
            counters=counters,
        )

    def _or_spare(self, condition: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        return tf.where(condition[:, tf.newaxis], places, tf.constant(self._spare_place, tf.int64))

    def _read(self, found: _Found) -> tf.Tensor:
        records = tf.where(found.is_live[:, tf.newaxis], self._records.gather_nd(found.places), 0.0)
        return tf.ensure_shape(records, [None, self.record_size])

    def _touch(self, found: _Found) -> tf.Operation:
        """Stamps live sessions as used now, and frees the places of idle ones."""
        entries = tf.where(found.is_live[:, tf.newaxis], found.entries, _FREE)
        return self._entries.scatter_nd(found.places, entries)

    def _choose(self, ids: _Ids, found: _Found, is_new: tf.Tensor) -> _Chosen:
        """Finds places for new sessions: the bucket's oldest, the r-th oldest for a bucket's r-th new one.

        Sessions of this very batch may fill a bucket: they are not pushed out by one another.
        """
        rank = tf.reduce_sum(tf.cast(ids.is_before & is_new, tf.int32), axis=1)
        rank_or_last = tf.minimum(rank, self._ways - 1)
        n_oldest = tf.maximum(1 + tf.reduce_max(rank_or_last), 1)  # whatever comes, nothing here may fail
        ages, ways = tf.math.top_k(-self._entries.gather(ids.buckets)[:, :, 2], n_oldest)
        stamp = -tf.gather(ages, rank_or_last, batch_dims=1)
        way = tf.cast(tf.gather(ways, rank_or_last, batch_dims=1), tf.int64)
        is_placed = is_new & (rank < self._ways) & (stamp < found.time)
        is_taken = is_placed & (stamp != _FREE)
        is_idle = self._is_idle(stamp, found.time)
        places = self._or_spare(is_placed, tf.stack([ids.buckets, way], axis=1))
        return _Chosen(places, is_placed, is_taken & ~is_idle, is_taken & is_idle)

    def _write(
        self, found: _Found, chosen: _Chosen, records: tf.Tensor, is_written: tf.Tensor
    ) -> list[tf.Operation]:
        """Writes records of live sessions to their places, and of new ones to the chosen places."""
        held_places = self._or_spare(is_written & found.is_live, found.places)
        places = tf.where(chosen.is_placed[:, tf.newaxis], chosen.places, held_places)
        return [
            self._records.scatter_nd(places, records),
            self._entries.scatter_nd(chosen.places, found.entries),
        ]

    def _count(
        self, found: _Found, is_counted: tf.Tensor, is_evicting: tf.Tensor, is_expiring: tf.Tensor
    ) -> tf.Operation:
        """Adds the counts of a call; a session may be idle itself and take the place of an idle one, too."""
        flags = [found.is_live & is_counted, ~found.is_live & is_counted, is_evicting, is_expiring]
        events = tf.cast(tf.stack([*flags, found.is_idle]), tf.int64)
        sums = tf.reduce_sum(events, axis=1)
        sums = tf.concat([sums[:3], sums[3:4] + sums[4:]], axis=0)
        last = tf.stack([found.time + tf.size(is_counted, tf.int64), found.clock, found.now])
        return self._counters.assign(tf.concat([found.counters[:4] + sums, last], axis=0))
