"""Which lane trains which session, and when: list scheduling of sessions on lanes. Pure NumPy.

Sessions are visited in a given order; each goes to the lane that is free first, the lowest lane on ties. A
session of n pairs holds its lane for n steps. (Hidasi et al., 1511.06939, section 3.1.1: session-parallel
mini-batches; that several lanes ending at one step take the next sessions in lane order is the same rule.)
"""

import dataclasses
import heapq
from typing import NamedTuple

import numpy as np

from tfrs_gru4rec.checks import require, require_at_least

_CHUNK = 1 << 20


class LaneState(NamedTuple):
    """Where the lanes stand before a step."""

    position: np.ndarray  # int64 [n_lanes], the event each lane reads next
    last: np.ndarray  # int64 [n_lanes], the last event of its session: no pair is left once position is there
    visited: np.ndarray  # int64 [], the session visited last, in visiting order; -1 before the first


@dataclasses.dataclass(frozen=True, eq=False)
class LaneSchedule:
    """The schedule of sessions that each have a pair, in visiting order."""

    starts: np.ndarray  # int64 [n_sessions], the step of each session's first pair; never falling
    lanes: np.ndarray  # int64 [n_sessions], the lane of each session
    n_lanes: int  # number of lanes
    n_steps: int  # steps until every lane is done

    def state_at(self, step: int, firsts: np.ndarray, lasts: np.ndarray) -> LaneState:
        """Computes the state that `step` steps from the epoch's start lead to.

        The sessions' first and last events are int64 [n_sessions], in visiting order. A lane without a session has
        position = last.
        """
        n_started = int(np.searchsorted(self.starts, step))
        session = np.full(self.n_lanes, -1, dtype=np.int64)
        # Of several sessions on one lane the latest stays: NumPy keeps the last value of a repeated index.
        session[self.lanes[:n_started]] = np.arange(n_started)
        last = np.where(session >= 0, lasts[session], 0)
        position = np.where(session >= 0, firsts[session] + step - self.starts[session], 0)
        return LaneState(np.minimum(position, last), last, np.array(n_started - 1, dtype=np.int64))


def lane_schedule(pairs: np.ndarray, n_lanes: int) -> LaneSchedule:
    """Schedules sessions in visiting order, of so many pairs each, int [n_sessions], on lanes.

    Raises:
      ValueError: there is no lane, or a session without a pair.
    """
    require_at_least(1, n_lanes=n_lanes)
    require(len(pairs) == 0 or np.min(pairs) >= 1, "Every session scheduled must have a pair.", pairs=pairs)
    # key = free_step * n_lanes + lane: its minimum is the lane free first, the lowest on ties.
    heap = list(range(n_lanes))
    replace = heapq.heapreplace
    keys = np.empty(len(pairs), np.int64)
    for start in range(0, len(pairs), _CHUNK):  # Python's numbers take five times as much memory
        spans = (np.asarray(pairs[start : start + _CHUNK], np.int64) * n_lanes).tolist()
        keys[start : start + _CHUNK] = [replace(heap, heap[0] + span) for span in spans]
    return LaneSchedule(keys // n_lanes, keys % n_lanes, n_lanes, max(heap) // n_lanes)


def most_steps(pairs: np.ndarray, n_lanes: int) -> int:
    """The steps that no visiting order of sessions of so many pairs exceeds: (total - longest) // n_lanes + longest.

    Let the session that ends last have p pairs and start at step s. At every step before s all lanes were at
    work on other sessions, or it would have started earlier, so s * n_lanes <= total - p, and the end
    s + p <= floor((total - p) / n_lanes) + p. One more pair in p lowers the floor by at most one, so this
    does not fall as p grows and is at most its value at p = longest (Graham, 1969).
    """
    total, longest = int(np.sum(pairs)), int(np.max(pairs))
    return (total - longest) // n_lanes + longest
