"""The session store in plain Python: dicts, one per bucket, and the rules in words.

A call looks up all its ids first. Each live one (used within `idle`) is stamped time, time + 1, … in the
order of the call, new ones as well; an idle one is dropped. Then each new one, in order, goes into its
bucket; if that is full, the entry with the oldest stamp gives way, but never one stamped by this call. `time`
is 0 and what the clock has moved on from call to call, each time at least 0 and at most `gap`; or one more than
the last stamp if that is later.
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass
class Entry:
    record: object
    stamp: int


class SessionStore:
    """The store; `nothing` is the record of a session that is not held."""

    def __init__(
        self,
        ways: int,
        idle: int,
        bucket_of: Callable[[str], int],
        unstored: str = "",
        nothing: object = 0.0,
        gap: int = 10**18,
    ) -> None:
        self.nothing = nothing
        self.ways = ways
        self.idle = idle
        self.bucket_of = bucket_of
        self.unstored = unstored
        self.buckets: dict[int, dict[str, Entry]] = {}
        self.hits = self.misses = self.evictions = self.expirations = 0
        self.gap = gap
        self.last_stamp = self.last_clock = self.last_now = 0

    def step(self, events, advance, clock):
        """Applies (session, position, item) events of different sessions, whose records are (length, state).

        Returns:
          As `follow`.
        """
        time = self._time(clock, 1)
        entries = [self._bucket(session).get(session) for session, _, _ in events]
        is_live = [entry is not None and not self._is_idle(entry, time) for entry in entries]
        answers = [
            take_event(*(entry.record if live else self.nothing), position, item, advance)
            for entry, live, (_, position, item) in zip(entries, is_live, events, strict=True)
        ]
        records = [(length, state) for length, state, _ in answers]
        self.update(
            [session for session, _, _ in events], records, [answer[2] < 2 for answer in answers], clock
        )
        return answers

    def update(self, ids, records, is_written, clock, counts=True):
        """Returns the records before, `nothing` where there is none, and writes some of the new ones."""
        time = self._time(clock, 1)
        before = self._look_up(ids, time, clock, counts)
        for session, record, written in zip(ids, records, is_written, strict=True):
            bucket = self._bucket(session)
            if written and session in bucket:
                bucket[session].record = record
        for index, (session, record, written) in enumerate(zip(ids, records, is_written, strict=True)):
            bucket = self._bucket(session)
            if (
                written
                and session not in bucket
                and session != self.unstored
                and self._make_room(bucket, time)
            ):
                bucket[session] = Entry(record, time + index)
        return before

    def read(self, ids, clock):
        return self._look_up(ids, self._time(clock, 1), clock)

    def remove(self, ids, clock):
        time = self._time(clock, 1)
        entries = [self._bucket(session).pop(session, None) for session in ids]
        return [entry is not None and not self._is_idle(entry, time) for entry in entries]

    def counts(self, clock):
        time = self._time(clock, 0)
        entries = [entry for bucket in self.buckets.values() for entry in bucket.values()]
        live = sum(not self._is_idle(entry, time) for entry in entries)
        events = ("hits", "misses", "evictions", "expirations")
        return {"live_sessions": live, **{name: getattr(self, name) for name in events}}

    def _bucket(self, session):
        return self.buckets.setdefault(self.bucket_of(session), {})

    def _is_idle(self, entry, time):
        return entry.stamp <= time - self.idle

    def _time(self, clock, least):
        return max(self._now(clock), self.last_stamp + least)

    def _now(self, clock):
        return self.last_now + min(max(clock - self.last_clock, 0), self.gap)

    def _look_up(self, ids, time, clock, counts=True):
        before = []
        for index, session in enumerate(ids):
            bucket = self._bucket(session)
            if session in bucket and self._is_idle(bucket[session], time):
                del bucket[session]
                self.expirations += 1
            if session in bucket:
                bucket[session].stamp = time + index
                self.hits += counts
            elif session != self.unstored:
                self.misses += counts
            before.append(bucket[session].record if session in bucket else self.nothing)
        self.last_stamp, self.last_now, self.last_clock = time + len(ids), self._now(clock), clock
        return before

    def _make_room(self, bucket, time):
        if len(bucket) < self.ways:
            return True
        oldest = min(bucket, key=lambda session: bucket[session].stamp)
        if bucket[oldest].stamp >= time:
            self.evictions += 1
            return False
        if self._is_idle(bucket.pop(oldest), time):
            self.expirations += 1
        else:
            self.evictions += 1
        return True


def follow(events, advance):
    """Applies (session, position, item) events one after another to a dict of live sessions.

    Args:
      events: in order; item is a row, -1 if unknown; position is as in the serving contract.
      advance: takes a state and a known item's row, returns the next state; a new session's state is None.

    Returns:
      For each event the session's length, its state and the status, 0 applied, 1 unknown item, 2 repeated, 3
      gap.
    """
    sessions = {}
    answers = []
    for session, position, item in events:
        length, state, status = take_event(*sessions.get(session, (0, None)), position, item, advance)
        if status < 2:
            sessions[session] = (length, state)
        answers.append((length, state, status))
    return answers


def take_event(length, state, position, item, advance):
    """Applies one event to a session of so many events; returns its length, state and status after it."""
    if position not in (0, length + 1):
        return length, state, 2 if position <= length else 3
    return length + 1, advance(state, item) if item >= 0 else state, 0 if item >= 0 else 1
