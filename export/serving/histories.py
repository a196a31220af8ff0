"""What a client remembers of its sessions: their latest items, and how far the server has followed."""

import collections
import contextlib
import threading
from collections.abc import Iterator

from tfrs_gru4rec.checks import require_positive
from tfrs_gru4rec.export.serving.predict_messages import ItemId
from tfrs_gru4rec.export.serving.retry import Deadline


class History:
    """One session as its client sees it.

    Attributes:
      items: the latest items, oldest first.
      length: events the server has accepted, as it last said or will after a replay.
      target: the server that was asked last; None if none was.
      must_replay: whether the server's state is not known, as after a click whose answer never came.
      is_ended: whether it was forgotten by `Histories.forget`; who waited for it begins another.
      lock: held during a call, so that the events of one session go out one by one.
    """

    def __init__(self, max_items: int):
        self.items: collections.deque[ItemId] = collections.deque(maxlen=max_items)
        self.length = 0
        self.target: str | None = None
        self.must_replay = False
        self.is_ended = False
        self.lock = threading.Lock()


class Histories:
    """The histories of a bounded number of sessions; the least recently used go first.

    >>> histories = Histories(max_sessions=100, max_items=2)
    >>> from tfrs_gru4rec.export.serving.retry import RetryPolicy
    >>> deadline = Deadline(RetryPolicy())
    >>> for item in ("hat", "shoe", "boat"):
    ...     with histories.hold("session", deadline) as history:
    ...         history.items.append(item)
    >>> list(history.items)
    ['shoe', 'boat']
    """

    def __init__(self, max_sessions: int, max_items: int):
        """Makes an empty store that remembers so many sessions, and items of each."""
        require_positive(max_sessions=max_sessions, max_items=max_items)
        self._max_sessions, self._max_items = max_sessions, max_items
        self._histories: collections.OrderedDict[str, History] = collections.OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def hold(self, session_id: str, deadline: Deadline) -> Iterator[History]:
        """Gives a session's history, a new one if there is none, to one thread at a time; raises `NotCalled`."""
        while True:
            history = self._find(session_id)
            if history.lock.acquire(timeout=deadline.seconds_left()):
                try:
                    if not history.is_ended:
                        yield history
                        return
                finally:
                    history.lock.release()

    def _find(self, session_id: str) -> History:
        with self._lock:
            history = self._histories.pop(session_id, None) or History(self._max_items)
            self._histories[session_id] = history  # at the end
            while len(self._histories) > self._max_sessions:
                self._histories.popitem(last=False)
            return history

    def forget(self, session_id: str) -> None:
        """Drops a session's history, if there is one."""
        with self._lock:
            history = self._histories.pop(session_id, None)
            if history is not None:
                history.is_ended = True
