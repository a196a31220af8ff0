"""Where sessions stand in the store: hashed ids, buckets of places, and which session gives way to a new one.

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
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

WAYS = 64
FREE = 0  # stamp of a place without a session
_HASH_RANGE = 2**63 - 1


class HashedIds(NamedTuple):
    """Different session ids [n], hashed."""

    fingerprints: tf.Tensor  # int64 [n, 2]
    buckets: tf.Tensor  # int64 [n]
    is_stored: tf.Tensor  # bool [n], false for the one id that never is
    is_before: tf.Tensor  # bool [n, n], whether the second of two ids of one bucket comes before the first


class Found(NamedTuple):
    """Where sessions [n] are."""

    entries: tf.Tensor  # int64 [n, 3], fingerprints and new stamps
    places: tf.Tensor  # int64 [n, 2], bucket and way; the spare place if there is none
    is_live: tf.Tensor  # bool [n], held and not idle too long
    is_idle: tf.Tensor  # bool [n], held and idle too long


class Chosen(NamedTuple):
    """Where new sessions [n] go."""

    places: tf.Tensor  # int64 [n, 2]; the spare place if there is none
    is_placed: tf.Tensor  # bool [n], whether there is one
    is_eviction: tf.Tensor  # bool [n], the place is that of a live session
    is_expiration: tf.Tensor  # bool [n], the place is that of an idle session


class Buckets:
    """The rules of placement; entries are the two words of a fingerprint and the stamp of the last use.

    Attributes:
      n_buckets: of them; one more is spare, which is never looked up: writes that are not to happen go there.
      ways: places of a bucket.
    """

    def __init__(
        self,
        max_sessions: int,
        ways: int,
        idle_microseconds: int,
        unstored_id: bytes,
        hash_keys: Sequence[Sequence[int]] | None,
    ) -> None:
        """Keeps the rules; the arguments are those of `SessionStore`."""
        self.ways = min(ways, max_sessions)
        self.n_buckets = -(-max_sessions // self.ways)
        self._idle_microseconds = idle_microseconds
        self._unstored_id = unstored_id
        self._keys = hash_keys or [[secrets.randbits(63), secrets.randbits(63)] for _ in range(2)]

    def hash(self, session_ids: tf.Tensor) -> HashedIds:
        """Hashes ids, string [n], all different."""
        words = [tf.strings.to_hash_bucket_strong(session_ids, _HASH_RANGE, key) for key in self._keys]
        is_stored = tf.not_equal(session_ids, self._unstored_id)
        buckets, index = words[0] % self.n_buckets, tf.range(tf.size(session_ids))
        is_before = (index < index[:, tf.newaxis]) & (buckets == buckets[:, tf.newaxis])
        return HashedIds(tf.stack(words, axis=1), buckets, is_stored, is_before)

    def is_idle(self, stamps: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Returns whether what was last used at `stamps` has been idle too long at a time, a bool of their shape."""
        return stamps <= time - self._idle_microseconds

    def find(self, ids: HashedIds, entries: tf.Tensor, time: tf.Tensor) -> Found:
        """Finds sessions [n] in the entries int64 [n, ways, 3] of their buckets."""
        is_same = tf.reduce_all(entries[:, :, :2] == ids.fingerprints[:, tf.newaxis, :], axis=2)
        stamps = tf.where(is_same, entries[:, :, 2], FREE)
        stamp = tf.reduce_max(stamps, axis=1)
        is_held, is_idle = stamp != FREE, self.is_idle(stamp, time)
        places = tf.stack([ids.buckets, tf.argmax(stamps, axis=1)], axis=1)
        new_stamps = time + tf.range(tf.size(ids.buckets, tf.int64))
        new_entries = tf.concat([ids.fingerprints, new_stamps[:, tf.newaxis]], axis=1)
        return Found(new_entries, self.or_spare(is_held, places), is_held & ~is_idle, is_held & is_idle)

    def choose(self, ids: HashedIds, stamps: tf.Tensor, time: tf.Tensor, is_new: tf.Tensor) -> Chosen:
        """Finds places for new sessions: the bucket's oldest, the r-th oldest for a bucket's r-th new one.

        Sessions of this very batch may fill a bucket: they are not pushed out by one another.

        Args:
          ids: of sessions [n].
          stamps: int64 [n, ways], of their buckets.
          time: int64 scalar, the time of this call, at which the batch's own stamps begin.
          is_new: bool [n], which sessions want a place.
        """
        rank = tf.reduce_sum(tf.cast(ids.is_before & is_new, tf.int32), axis=1)
        rank_or_last = tf.minimum(rank, self.ways - 1)
        n_oldest = tf.maximum(1 + tf.reduce_max(rank_or_last), 1)  # whatever comes, nothing here may fail
        ages, ways = tf.math.top_k(-stamps, n_oldest)
        stamp = -tf.gather(ages, rank_or_last, batch_dims=1)
        way = tf.cast(tf.gather(ways, rank_or_last, batch_dims=1), tf.int64)
        is_placed = is_new & (rank < self.ways) & (stamp < time)
        is_taken, is_idle = is_placed & (stamp != FREE), self.is_idle(stamp, time)
        places = self.or_spare(is_placed, tf.stack([ids.buckets, way], axis=1))
        return Chosen(places, is_placed, is_taken & ~is_idle, is_taken & is_idle)

    def or_spare(self, condition: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Returns places [n, 2], the spare one where the condition, bool [n], is false."""
        return tf.where(condition[:, tf.newaxis], places, tf.constant((self.n_buckets, 0), tf.int64))
