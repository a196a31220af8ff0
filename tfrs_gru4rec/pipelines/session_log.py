"""A click log in memory: item rows in session order, session offsets, times, and the vocabulary."""

import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from absl import logging

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import ColumnConfig
from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.id_codes import id_codes
from tfrs_gru4rec.events.log_files import parts_of, read_log_columns, read_parquet_columns, require_keys
from tfrs_gru4rec.events.order import session_order, start_of_last
from tfrs_gru4rec.events.part_files import read_parts
from tfrs_gru4rec.events.times import event_times
from tfrs_gru4rec.pipelines.vocabulary import UNKNOWN_ROW, Vocabulary

_SECONDS_PER_DAY = 86_400
_SECONDS_WORTH_A_LINE = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class SessionLog:
    """Sessions of item rows, in the order of their first event's time.

    Attributes:
      items: int32 [n_events], vocabulary rows; sessions contiguous.
      offsets: int64 [n_sessions + 1]; session s is items[offsets[s]:offsets[s + 1]].
      times: int64 or float64 [n_events]: numbers as given; ISO dates as seconds since 1970 UTC.
      vocabulary: raw ids of the rows.
      dropped_events: events removed because a given vocabulary lacks their item.
      missed: int64 [dropped_pairs], the session of each pair that is gone for that reason: the index of its first
        event, or a number below 0 for a session that is gone whole.

    >>> frame = pd.DataFrame({"SessionId": [1, 2, 1], "ItemId": [70, 80, 80], "Time": [5, 3, 6]})
    >>> log = SessionLog.from_frame(frame)
    >>> log.offsets.tolist(), log.vocabulary.ids[log.items].tolist()
    ([0, 1, 3], [80, 70, 80])
    """

    items: np.ndarray
    offsets: np.ndarray
    times: np.ndarray
    vocabulary: Vocabulary
    dropped_events: int = 0
    missed: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.items)

    @property
    def n_sessions(self) -> int:
        """Number of sessions, those of one event included."""
        return len(self.offsets) - 1

    @functools.cached_property
    def n_pairs(self) -> int:
        """Number of training pairs, (item now, item next) within a session."""
        return int(np.maximum(self.lengths - 1, 0).sum())

    @property
    def dropped_pairs(self) -> int:
        """By how much there are fewer pairs since events were dropped."""
        return len(self.missed)

    @property
    def lengths(self) -> np.ndarray:
        """Events of each session, int64 [n_sessions]."""
        return np.diff(self.offsets)

    @property
    def sessions(self) -> np.ndarray:
        """The session of each event, int32 [n_events]."""
        return np.repeat(np.arange(self.n_sessions, dtype=np.int32), self.lengths)

    def first_sessions(self, n_events: int) -> "SessionLog":
        """Returns the first sessions, in the same vocabulary: as many as hold no more than `n_events` events."""
        n_sessions = int(np.searchsorted(self.offsets, n_events, side="right")) - 1
        end = self.offsets[n_sessions]
        return SessionLog(self.items[:end], self.offsets[: n_sessions + 1], self.times[:end], self.vocabulary)

    def some_sessions(self, n_pairs: int, seed: int = 0) -> "SessionLog":
        """Returns sessions of two events or more drawn at random, in the order and the vocabulary of this log.

        Args:
          n_pairs: they have so many pairs at most (clicks after the first of a session); one session is always drawn.
          seed: of the draw.

        >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 2, 3], "ItemId": list("abbaca"), "Time": range(6)})
        >>> SessionLog.from_frame(frame).some_sessions(2).n_pairs in (1, 2)
        True
        """
        order = np.random.default_rng(seed).permutation(np.flatnonzero(self.lengths > 1))
        n_chosen = max(1, int(np.searchsorted(np.cumsum(self.lengths[order] - 1), n_pairs, side="right")))
        is_chosen = np.isin(np.arange(self.n_sessions), order[:n_chosen])
        return self._part(np.repeat(is_chosen, self.lengths), self.vocabulary)

    def split_by_time(
        self, days: float | None = None, share: float | None = None, ticks_per_second: float = 1.0
    ) -> "tuple[SessionLog, SessionLog]":
        """Splits off the last sessions, for validation or a test: never at random, which would leak the future.

        Give `days` or `share`. Of (earlier, later) the later part has the sessions that start at the split time or
        after it; the earlier part has the events before it, so that a session that is under way is cut there. The
        earlier part has a vocabulary of its own items alone, and the later part is in it: its events of other items
        are dropped and counted.

        Args:
          days: the split time lies so long before the log's last event.
          share: the later part has this share of the sessions, rounded up, and any that start as its first one does.
          ticks_per_second: unit of the log's times: 1 for seconds, 1000 for milliseconds; for `days` alone.

        Raises:
          ValueError: not just one of days and share is given, it is out of its range, or it leaves a part without a
            session of two events.

        >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 2], "ItemId": list("abbac"), "Time": [0, 1, 8, 9, 9]})
        >>> earlier, later = SessionLog.from_frame(frame).split_by_time(share=0.5)
        >>> earlier.vocabulary.ids.tolist(), later.vocabulary.ids[later.items].tolist(), later.dropped_events
        (['a', 'b'], ['b', 'a'], 1)
        """
        starts = self.times[self.offsets[:-1]]
        received = {"days": days, "share": share}
        require((days is None) != (share is None), "Give either days or share.", **received)
        if share is not None:
            require(0 < share < 1, "share must lie between 0 and 1.", share=share)
            split_time = start_of_last(starts, share)
        else:
            days = days or 0.0
            require(0 < days < math.inf, "days must be above 0.", days=days)
            split_time = self.times.max() - days * _SECONDS_PER_DAY * ticks_per_second
        is_earlier = self.times < split_time
        earlier = self._part(is_earlier, None)
        rule = "A split must leave a session of two events before its time, and one of items seen by then from it on."
        require(earlier.n_pairs > 0, rule, split_time=float(split_time), **received)
        later = self._part(np.repeat(starts >= split_time, self.lengths), earlier.vocabulary)
        require(later.n_pairs > 0, rule, split_time=float(split_time), **received)
        return earlier, later

    def joined_with(self, other: "SessionLog") -> "SessionLog":
        """Returns the sessions of both logs, in time order, with the items of both.

        >>> first, second = (Vocabulary.from_items(items) for items in (["a", "b"], ["b", "c"]))
        >>> rows, offsets = np.array([0, 1], np.int32), np.array([0, 2])
        >>> log = SessionLog(rows, offsets, np.array([5, 6]), first)
        >>> both = log.joined_with(SessionLog(rows, offsets, np.array([1, 2]), second))
        >>> both.vocabulary.ids[both.items].tolist(), both.offsets.tolist()
        (['b', 'c', 'a', 'b'], [0, 2, 4])
        """
        kinds = {log.vocabulary.is_integer for log in (self, other)}
        require(len(kinds) == 1, "Both logs must have integers as item ids, or both strings.", kinds=kinds)
        codes, ids = pd.factorize(np.concatenate([self.vocabulary.ids, other.vocabulary.ids]))
        items = np.concatenate([self.items, other.items + np.int32(self.vocabulary.n_items)])
        sessions = np.concatenate([self.sessions, other.sessions + np.int32(self.n_sessions)])
        return log_of_events(sessions, codes[items], ids, np.concatenate([self.times, other.times]))

    def _part(self, is_kept: np.ndarray, vocabulary: Vocabulary | None) -> "SessionLog":
        sessions, items, times = self.sessions[is_kept], self.items[is_kept], self.times[is_kept]
        return log_of_events(sessions, items, self.vocabulary.ids, times, vocabulary)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        vocabulary: Vocabulary | None = None,
        session_key: str = ColumnConfig.session_key,
        item_key: str = ColumnConfig.item_key,
        time_key: str = ColumnConfig.time_key,
        item_type: str = ColumnConfig.item_type,
    ) -> "SessionLog":
        """Loads a log from a TSV, CSV or Parquet file, gzipped or not, or from a folder of Parquet parts.

        Args:
          path: the file; its name ends in .tsv, .csv, .txt or .parquet, with or without .gz. Or the folder, whose
            parts are read one by one if they hold whole sessions in time order, as `gru4rec-prepare --engine spark`
            writes them: such a log may take most of the memory, some 14 bytes an event.
          vocabulary: rows to use, as for a test log; events of other items are dropped and counted. Without
            it the vocabulary is that of the log.
          session_key: name of the column of session ids.
          item_key: name of the column of item ids.
          time_key: name of the column of times.
          item_type: of the ids of a log that is read without a vocabulary: "integer", "string", or "auto", as in
            `id_codes`.

        Raises:
          FileNotFoundError: there is no such file.
          WrongIdType: an item id is no integer, though item_type says so.
          ValueError: the file or its content is no log; the message names file, column and first bad line.
        """
        keys = session_key, item_key, time_key
        return _from_path(path, keys, read_log_columns, vocabulary, item_type)

    @classmethod
    def from_parquet(
        cls,
        path: str | os.PathLike[str],
        vocabulary: Vocabulary | None = None,
        session_key: str = ColumnConfig.session_key,
        item_key: str = ColumnConfig.item_key,
        time_key: str = ColumnConfig.time_key,
    ) -> "SessionLog":
        """Loads a log from Parquet: a file of any name, or a folder of part files as Spark writes it.

        Arguments and errors as in `from_file`.
        """
        keys = session_key, item_key, time_key
        return _from_path(path, keys, read_parquet_columns, vocabulary, "auto")

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        vocabulary: Vocabulary | None = None,
        session_key: str = ColumnConfig.session_key,
        item_key: str = ColumnConfig.item_key,
        time_key: str = ColumnConfig.time_key,
    ) -> "SessionLog":
        """Loads a log from a data frame; arguments and errors as in `from_file`."""
        keys = (session_key, item_key, time_key)
        require_keys(list(frame.columns), keys, source="data frame")
        require(len(frame) > 0, "A log must hold at least one event.", events=len(frame))
        return _from_columns(
            [_frame_column(frame, key) for key in keys], vocabulary, {"source": "data frame"}
        )

    @classmethod
    def from_tfds(
        cls,
        name: str,
        split: str = "train",
        vocabulary: Vocabulary | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        manual_dir: str | os.PathLike[str] | None = None,
        download: bool = True,
    ) -> "SessionLog":
        """Loads a log from a TFDS data set whose examples are sessions: `item_ids` and `timestamps`.

        Args:
          name: TFDS name, such as "rsc15" or "movielens_sessions/100k"; this library's builders need no
            import.
          split: TFDS split, slices such as "train[:10%]" included.
          vocabulary: rows to use, as in `from_file`.
          data_dir: where prepared data is kept; TFDS' own default if None.
          manual_dir: folder of the raw files, for data sets that cannot be downloaded.
          download: whether to download and prepare the data if it is not there.

        Raises:
          ValueError: the data set is not there or is no log.
        """
        from tfrs_gru4rec.pipelines import tfds_log

        builder = tfds_log.load_builder(name, data_dir, manual_dir, download)
        place = {"data_set": f"{builder.info.full_name} {split}"}
        return _from_columns(tfds_log.read_session_columns(builder, split), vocabulary, place)


def _from_path(
    path: str | os.PathLike[str],
    keys: tuple[str, ...],
    read: Callable[[str | os.PathLike[str], Sequence[str]], list[LogColumn]],
    vocabulary: Vocabulary | None,
    item_type: str,
) -> SessionLog:
    """Loads a file, or a folder of parts: one by one where that gives the same log, else at once."""
    files = [] if vocabulary else parts_of(path)
    events = read_parts(files, lambda file: read_parquet_columns(file, keys), item_type) if files else None
    if events is None:
        return _from_columns(read(path, keys), vocabulary, {"file": os.fspath(path)}, item_type)
    found = Vocabulary.from_counts(events.ids, events.counts())
    items = events.replace_codes(found.rows(events.ids))
    return _with_pairs(SessionLog(items, events.offsets, events.times, found), {"file": os.fspath(path)})


def _frame_column(frame: pd.DataFrame, key: str) -> LogColumn:
    try:
        values = pa.Table.from_pandas(frame[[key]], preserve_index=False)[key]
    except pa.ArrowException as error:
        raise ValueError(
            f"A column must hold values of one kind: {error}. Received: column={key!r}."
        ) from error
    return LogColumn(values, {"source": "data frame", "column": key})


def _from_columns(
    source: list[LogColumn], vocabulary: Vocabulary | None, place: dict[str, str], item_type: str = "auto"
) -> SessionLog:
    """Builds the log, letting go of each column as soon as it is used, for the sake of peak memory."""
    started = time.monotonic()
    times = event_times(source.pop())
    # A vocabulary finds ids of either type by their spelling.
    item_codes, item_ids = id_codes(source.pop(), "auto" if vocabulary else item_type)
    sessions, _ = id_codes(source.pop())
    log = log_of_events(sessions, item_codes, item_ids, times, vocabulary)
    seconds = max(time.monotonic() - started, 1e-9)
    logging.log(
        logging.INFO if seconds > _SECONDS_WORTH_A_LINE else logging.DEBUG,
        "Sorted %d events of %d sessions, %d items, %.0f events/s.",
        log.n_events,
        log.n_sessions,
        log.vocabulary.n_items,
        log.n_events / seconds,
    )
    return _with_pairs(log, place)


def _with_pairs(log: SessionLog, place: dict[str, str]) -> SessionLog:
    """Returns the log, if there is anything to learn from it."""
    rule = "A log must have a session of two events or more."
    if log.dropped_events:
        rule = (
            "No session has two events of items that the model knows: is this the log of another catalogue, or are its "
            "item ids written in another way?"
        )
    require(log.n_pairs > 0, rule, **place, sessions=log.n_sessions, dropped_events=log.dropped_events)
    return log


def log_of_events(
    sessions: np.ndarray,
    item_codes: np.ndarray,
    item_ids: np.ndarray,
    times: np.ndarray,
    vocabulary: Vocabulary | None = None,
) -> SessionLog:
    """Builds a log from events in any order.

    Args:
      sessions: int32 [n_events], code of the session.
      item_codes: int32 [n_events], which of `item_ids`.
      item_ids: [n_ids] distinct raw ids; may hold some that no event has.
      times: [n_events] numbers.
      vocabulary: rows to use, or None for that of these events.

    >>> sessions, codes, times = np.array([0, 0], np.int32), np.array([1, 0], np.int32), np.array([5, 6])
    >>> log = log_of_events(sessions, codes, np.array(["lamp", "desk"], object), times)
    >>> log.vocabulary.ids[log.items].tolist()
    ['desk', 'lamp']
    """
    if vocabulary is None:
        counts = np.bincount(item_codes, minlength=len(item_ids))
        vocabulary = Vocabulary.from_counts(item_ids[counts > 0], counts[counts > 0])
    items = vocabulary.rows(item_ids)[item_codes]
    is_known = items != UNKNOWN_ROW
    dropped_events = len(items) - int(np.count_nonzero(is_known))
    lengths = np.bincount(sessions) if dropped_events else np.zeros(0, np.int64)
    if dropped_events:
        items, sessions, times = items[is_known], sessions[is_known], times[is_known]
    order, offsets = session_order(sessions, times)
    if order is None:
        times = times.copy()  # it may be a view of the caller's data
    else:
        items, times = items[order], times[order]
    firsts = offsets[:-1] if order is None else order[offsets[:-1]]
    missed = _missed_pairs(lengths, sessions[firsts], offsets) if dropped_events else np.zeros(0, np.int64)
    return SessionLog(items, offsets, times, vocabulary, dropped_events, missed)


def _missed_pairs(lengths: np.ndarray, codes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Lists the pairs that sessions have lost, as `SessionLog.missed` has them.

    Args:
      lengths: int64 [n_codes], events of each session before any was dropped.
      codes: [n_sessions], the code of each session that is left.
      offsets: int64 [n_sessions + 1], of what is left.
    """
    names, left = np.arange(-len(lengths), 0), np.zeros_like(lengths)
    names[codes], left[codes] = offsets[:-1], np.diff(offsets)
    return np.repeat(names, np.maximum(lengths - 1, 0) - np.maximum(left - 1, 0))
