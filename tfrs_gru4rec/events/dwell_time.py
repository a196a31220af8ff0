"""Dwell time: an event that held attention for longer occurs more often (Bogina and Kuflik, 2017)."""

import numpy as np

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.events.events import MAX_INT32

_MICROSECONDS = 1_000_000
SIZE_RULE = (
    "Dwell time must not make 2**31 events or more: give a longer threshold or the unit of the times, or cut "
    "sessions at gaps."
)


def dwell_copies(
    times: np.ndarray, offsets: np.ndarray, seconds: float, ticks_per_second: float = 1.0
) -> np.ndarray:
    """Returns how often each event occurs in the augmented log, int64 [n_events]: floor(dwell time / threshold) + 1.

    The dwell time of an event is the time to the next event of its session; the last has none. Times are
    compared in whole microseconds, so that 10 s are not 9.9999999 s for having been stored as a float.

    Args:
      times: [n_events] numbers, rising within a session.
      offsets: int64 [n_sessions + 1]; session s is events offsets[s] to offsets[s + 1].
      seconds: the threshold.
      ticks_per_second: unit of the times: 1 for seconds, 1000 for milliseconds.

    Raises:
      ValueError: the threshold is not above 0, or so short for these times that the log would explode.

    >>> dwell_copies(np.array([0, 25, 35, 40]), np.array([0, 3, 4]), seconds=10).tolist()
    [3, 2, 1, 1]
    """
    require_positive(seconds=seconds, ticks_per_second=ticks_per_second)
    dwell = np.zeros(len(times))
    dwell[:-1] = np.diff(times)
    dwell[offsets[1:] - 1] = 0
    ticks, threshold = in_microseconds(seconds, ticks_per_second)
    # As floats until the sum is known: it may be beyond 64 bits.
    copies = np.rint(dwell * ticks) // threshold + 1
    units = {"seconds": seconds, "ticks_per_second": ticks_per_second}
    total = float(copies.sum())
    require(total <= MAX_INT32, SIZE_RULE, **units, events=len(times), repeated_to=total)
    return copies.astype(np.int64)


def in_microseconds(seconds: float, ticks_per_second: float) -> tuple[float, int]:
    """Returns how many microseconds a unit of the times is, and the threshold in whole microseconds.

    >>> in_microseconds(seconds=10, ticks_per_second=1_000)
    (1000.0, 10000000)
    """
    return _MICROSECONDS / ticks_per_second, max(round(seconds * _MICROSECONDS), 1)
