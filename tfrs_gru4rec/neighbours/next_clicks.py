"""The next-click questions of a log: what a session has seen so far, and what it clicked next."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrs_gru4rec import checks
from tfrs_gru4rec.metrics.ranked_pairs import RankedPairs
from tfrs_gru4rec.pipelines.session_log import SessionLog


@dataclasses.dataclass(frozen=True, eq=False)
class NextClicks:
    """Next-click questions of a log, in the order of its events; a session of L events has L - 1.

    Attributes:
      starts: int64 [n_clicks], index in the log of the first event of the click's session.
      positions: int64 [n_clicks], number of events seen before the click, 1 for a session's first question.
      inputs: int32 [n_clicks], row of the last item seen.
      targets: int32 [n_clicks], row of the item clicked next.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [7, 7, 7, 8, 8], "ItemId": list("abcab"), "Time": range(5)})
      >>> log = SessionLog.from_frame(frame)
      >>> clicks = NextClicks.of(log)
      >>> list(log.vocabulary.ids[clicks.inputs]), list(log.vocabulary.ids[clicks.targets])
      (['a', 'b', 'a'], ['b', 'c', 'b'])
      >>> clicks.positions.tolist(), clicks.starts.tolist()
      ([1, 2, 1], [0, 0, 3])
      >>> clicks.events.tolist()
      [1, 2, 4]
    """

    starts: np.ndarray
    positions: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, log: SessionLog) -> NextClicks:
        """Lists the questions of a log."""
        starts = np.repeat(log.offsets[:-1], log.lengths)
        ends = np.repeat(log.offsets[1:], log.lengths)
        last_seen = np.flatnonzero(np.arange(log.n_events) + 1 < ends)
        starts = starts[last_seen]
        return cls(starts, last_seen - starts + 1, log.items[last_seen], log.items[last_seen + 1])

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def events(self) -> np.ndarray:
        """Index in the log of the event of each click, int64 [n_clicks]."""
        return self.starts + self.positions

    def take(self, chosen: np.ndarray | slice) -> NextClicks:
        """Returns the questions at some indices, int [n], or of a slice."""
        return NextClicks(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def sample(self, max_clicks: int | None, seed: int) -> NextClicks:
        """Returns at most `max_clicks` of the questions, drawn without replacement, in their order; None takes all.

        Raises:
          ValueError: max_clicks is below 1.
        """
        if max_clicks is None or len(self) <= max_clicks:
            return self
        checks.require_at_least(1, max_clicks=max_clicks)
        chosen = np.random.default_rng(seed).choice(len(self), max_clicks, replace=False)
        return self.take(np.sort(chosen))

    def ranked(self, ranks: np.ndarray, log: SessionLog, seconds: float) -> RankedPairs:
        """Puts the ranks of the questions' answers, float [n_clicks], together with what names the questions.

        Args:
          ranks: 1 the best.
          log: that of the questions.
          seconds: time taken.
        """
        missed = log.missed if len(self) == log.n_pairs else None
        counted = (log.dropped_events, seconds, self.targets, self.events, missed)
        return RankedPairs(ranks, self.positions, *counted)

    def seen_events(self) -> tuple[np.ndarray, np.ndarray]:
        """Lists the events that each question has seen, oldest first.

        Returns:
          (clicks, events), both int64 [sum of positions]: the index of the question, and that of the event in the log.
        """
        clicks = np.repeat(np.arange(len(self)), self.positions)
        before = np.cumsum(self.positions) - self.positions
        return clicks, np.arange(clicks.size) + np.repeat(self.starts - before, self.positions)
