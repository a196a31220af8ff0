"""Progress of a long load, as lines in the log."""

from __future__ import annotations

import time

from absl import logging

_SECONDS_BETWEEN_LINES = 10.0
_SHORTEST = 0.1


class Progress:
    """Counts events and says every now and then how far it is."""

    def __init__(self, source: str) -> None:
        """Starts the clock.

        Args:
          source: what is read.
        """
        self._source = source
        self._started = self._reported = time.monotonic()
        self.n_events = 0

    def add(self, n_events: int) -> None:
        """Counts events just read."""
        self.n_events += n_events
        now = time.monotonic()
        if now - self._reported >= _SECONDS_BETWEEN_LINES:
            self._reported = now
            self._log("Reading", now)

    def end(self) -> None:
        """Says what was read in all."""
        self._log("Read", time.monotonic())

    def _log(self, verb: str, now: float) -> None:
        seconds = now - self._started
        # What took no time at all was read ahead, and has no rate.
        rate = f", {self.n_events / seconds:.0f} events/s" if seconds > _SHORTEST else ""
        logging.info("%s %s: %d events%s.", verb, self._source, self.n_events, rate)
