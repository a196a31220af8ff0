"""Progress of a long load, as lines in the log."""

import time
from collections.abc import Callable

from absl import logging

_SECONDS_BETWEEN_LINES = 10.0
_SHORTEST_SECONDS = 0.1  # of what took no longer, as it was read ahead, no rate is given


class Progress:
    """Counts what was read and says every now and then how far it is.

    >>> progress = Progress("clicks.tsv", clock=iter([0.0, 4.0, 10.0, 12.0]).__next__)
    >>> progress.add(100)  # at 4 s: too early for a line
    >>> progress.add(100)  # at 10 s: "Reading clicks.tsv: 200 events, 20 events/s."
    >>> progress.end()  # "Read clicks.tsv: 200 events, 17 events/s."
    >>> progress.count
    200
    """

    def __init__(
        self, source: str, unit: str = "events", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts the clock."""
        self._source, self._unit, self._clock = source, unit, clock
        self._started = self._reported = clock()
        self.count = 0

    def add(self, count: int) -> None:
        """Counts what was just read."""
        self.count += count
        now = self._clock()
        if now - self._reported >= _SECONDS_BETWEEN_LINES:
            self._reported = now
            self._log("Reading", now)

    def end(self) -> None:
        """Says what was read in all."""
        self._log("Read", self._clock())

    def _log(self, verb: str, now: float) -> None:
        seconds = now - self._started
        rate = f", {self.count / seconds:.0f} {self._unit}/s" if seconds > _SHORTEST_SECONDS else ""
        logging.info("%s %s: %d %s%s.", verb, self._source, self.count, self._unit, rate)
