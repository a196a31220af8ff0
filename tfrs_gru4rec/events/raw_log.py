"""Reads a raw log, with events of all kinds."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.bad_rows import BadRows, find_bad_rows
from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.gaps import cut_at_gaps
from tfrs_gru4rec.events.id_codes import id_codes, rising_codes
from tfrs_gru4rec.events.log_files import read_log_columns
from tfrs_gru4rec.events.order import sort_events
from tfrs_gru4rec.events.times import event_times

KIND_RULE = "No event is of a kind to keep."
EVENTS_RULE = "A log must hold at least one event."


@dataclasses.dataclass(frozen=True, eq=False)
class RawLog:
    """A raw log in memory.

    >>> views = Events(np.array([2, 1]), np.array([0, -1], np.int32), np.array([20, 10]))
    >>> RawLog(views, item_ids=np.array(["lamp"], object)).sorted_wanted().times.tolist()
    [20]
    """

    # All events in file order; sessions are those given, or users. The item of those of a kind not to keep is -1.
    events: Events
    item_ids: np.ndarray  # raw ids by item code, rising
    # Raw ids by session code, rising; None if the sessions are numbers as they stand.
    session_ids: np.ndarray | None = None
    ticks_per_second: int = 1  # unit of the times
    skipped: Sequence[BadRows] = ()  # rows that were left out, by what is wrong with them

    def sorted_wanted(self) -> Events:
        """The wanted events by session, then time, then item."""
        is_wanted = self.events.items >= 0
        return sort_events(self.events if is_wanted.all() else self.events.select(is_wanted))

    def capped(self, max_events: int, over_all_events: bool = False) -> "RawLog":
        """Keeps the last events of each session or user, as one that clicks without end, a bot, has too many.

        Args:
          max_events: how many; of equal times those of the higher item codes.
          over_all_events: whether events of other kinds count; otherwise they are left out.

        >>> views = Events(np.array([7, 7, 8]), np.array([0, 1, 0], np.int32), np.array([20, 10, 5]))
        >>> RawLog(views, item_ids=np.array([214, 305])).capped(1).events.times.tolist()
        [20, 5]
        """
        events = sort_events(self.events) if over_all_events else self.sorted_wanted()
        offsets = events.offsets
        is_kept = np.repeat(offsets[1:], np.diff(offsets)) - np.arange(len(events)) <= max_events
        return dataclasses.replace(self, events=events.select(is_kept))

    def cut_at_gaps(self, gap: float, over_all_events: bool = False) -> Events:
        """Cuts sessions or users where they pause for longer than `gap`.

        Args:
          gap: in the unit of the times.
          over_all_events: whether events of other kinds end a pause.

        Returns:
          The wanted events, sorted by session, time, item; sessions are numbered from 0 by owner, then time.
        """
        if not over_all_events:
            return cut_at_gaps(self.sorted_wanted(), gap)
        cut = cut_at_gaps(sort_events(self.events), gap)
        return cut.select(cut.items >= 0)


def read_raw_log(
    path: str | os.PathLike[str],
    keys: tuple[str, str, str],
    time_unit: str = "s",
    kinds: tuple[str, Sequence[str]] | None = None,
    skip_bad_rows: bool = False,
) -> RawLog:
    r"""Reads a log file.

    Args:
      path: TSV, CSV or Parquet, also gzipped.
      keys: columns of sessions (or users), items and times.
      time_unit: of times that are numbers: s, ms, us or ns.
      kinds: column of the kind of event, and the kinds to keep; None keeps all.
      skip_bad_rows: leave out rows without a readable time, a session or an item; otherwise one of them is an error.

    Returns:
      The log; times in seconds, int64 if all are whole. The items of unwanted events are -1.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file or its content is no log; the message names file, column and first bad line.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     _ = path.write_text("user,item,at,kind\nann,lamp,5,view\nann,,6,search\n")
    ...     log = read_raw_log(path, ("user", "item", "at"), kinds=("kind", ["view"]))
    >>> log.events.items.tolist(), log.item_ids.tolist()
    ([0, -1], ['lamp'])
    """
    columns = read_log_columns(path, [*keys, *([kinds[0]] if kinds else [])])
    is_wanted = _is_wanted(columns.pop(), kinds[1]) if kinds else np.ones(len(columns[0].values), bool)
    skipped: list[BadRows] = []
    if skip_bad_rows:
        is_bad, skipped = find_bad_rows(columns[0], columns[1], columns[2], is_wanted)
        is_kept = is_wanted & ~is_bad
        require(bool(is_kept.any()), EVENTS_RULE, file=os.fspath(path), skipped=list(map(str, skipped)))
        columns = [column.take(np.flatnonzero(~is_bad)) for column in columns]
        is_wanted = is_wanted[~is_bad]
    times = event_times(columns.pop(), time_unit)
    # An event of another kind need not have an item.
    wanted_items, item_ids = rising_codes(*id_codes(columns.pop().take(np.flatnonzero(is_wanted))))
    items = np.full(len(is_wanted), -1, np.int32)
    items[is_wanted] = wanted_items
    sessions, session_ids = rising_codes(*id_codes(columns.pop()))
    return RawLog(Events(sessions, items, times), item_ids, session_ids, skipped=skipped)


def _is_wanted(column: LogColumn, kinds: Sequence[str]) -> np.ndarray:
    values = column.values.cast(pa.string())
    is_wanted = pc.is_in(values, pa.array(list(kinds), pa.string())).to_numpy()
    if not is_wanted.any():
        present = sorted(kind for kind in values.unique().to_pylist()[:20] if kind is not None)
        require(False, KIND_RULE, **column.place, event_values=list(kinds), present=present)
    return is_wanted
