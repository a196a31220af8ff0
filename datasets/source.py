"""A published set as data: its raw files, their columns, its recipe; and one loader that reads any."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from tfrs_gru4rec.datasets.recipe import Recipe, augment_training, divide_sessions, prepare_sessions
from tfrs_gru4rec.events import converters
from tfrs_gru4rec.events.delimited import Converter, Layout, read_raw_columns
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.events.raw_files import RawFile, find_raw_file
from tfrs_gru4rec.events.raw_log import RawLog


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns of a raw file mean."""

    session: str  # name of the column of sessions, or of users
    item: str  # that of items
    time: str  # that of times
    read_time: Converter = converters.integers  # turns the text of a time into ticks since 1970 UTC
    ticks_per_second: int = 1  # 1 for seconds, 1,000 for milliseconds
    has_text_ids: bool = False  # sessions and items are text; a row of empty item text is no event to keep
    kind: tuple[str, str] | None = None  # (column, value) of the events to keep; None keeps all
    # Column of dates; times then count, in ms, from the first date of the session. Dates alone would not order events,
    # and some sessions pass midnight.
    day: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A published data set.

    >>> shop = Source(
    ...     files=("views.csv",), columns=Columns("visit", "sku", "at"), recipe=Recipe(test_days=7)
    ... )
    >>> shop.layout.delimiter, shop.recipe.min_support
    (',', 5)
    """

    files: Sequence[str]  # names of its raw files
    columns: Columns  # what their columns mean
    layout: Layout = Layout()  # how the files are laid out
    recipe: Recipe | None = None  # what is done with the events; None where the set has rules of its own
    archives: Sequence[str] = ()  # names of the .zip and .7z files that may hold them
    homepage: str = ""  # where it is published
    instructions: str = ""  # how a user gets the files, and where to put them
    # What the literature states of some splits, by split and name of a `SessionStatistics` number.
    published: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class SessionSplits:
    """The four splits of a data set."""

    splits: dict[str, Events]  # `train`, `test`, `train_tr` and `valid`, each sorted by session, then time
    item_ids: np.ndarray  # [n_items] raw id of each item code, int64 or an object array of str
    ticks_per_second: int = 1  # unit of the times: 1 for seconds, 1,000 for milliseconds
    published: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)  # as in `Source`


def read_files(
    files: Sequence[RawFile], layout: Layout, columns: Columns, has_all_kinds: bool = False
) -> RawLog:
    """Reads raw files of one layout, the events in file order.

    Sessions are numbers as they stand, or codes that sort as their text does. Events of other kinds than `columns.kind`
    are kept, with -1 as their item, with `has_all_kinds`; otherwise they are not even parsed.

    Raises:
      ValueError: a file cannot be read; the message names file, column, line and value.
    """
    is_text, kind, day = columns.has_text_ids, columns.kind, columns.day
    readers = {
        columns.session: converters.texts if is_text else converters.integers,
        columns.time: columns.read_time,
        columns.item: pc.dictionary_encode if is_text else converters.integer_categories,
    }
    if day:
        readers[day] = converters.date_milliseconds
    if kind and has_all_kinds:
        readers[kind[0]] = lambda texts: pc.equal(texts, kind[1])
    table = read_raw_columns(files, layout, readers, keep=None if has_all_kinds else kind)
    items, item_ids = converters.pop_codes(table, columns.item)
    if is_text:
        sessions, _ = converters.pop_codes(table, columns.session)
    else:
        sessions = converters.pop_ids(table, columns.session)
    if is_text:
        items[(item_ids == "")[items]] = -1
    if kind and has_all_kinds:
        items[~converters.pop_array(table, kind[0])] = -1
    times = converters.pop_array(table, columns.time)
    if day:
        days = pd.Series(converters.pop_array(table, day))
        times = times + days.groupby(sessions).transform("min").to_numpy()
    return RawLog(Events(sessions, items, times), item_ids, None, columns.ticks_per_second)


def read_source(source: Source, folder: str | os.PathLike[str]) -> RawLog:
    r"""Reads the raw files of a set from a folder that holds them or their archive, the events in file order.

    Raises:
      FileNotFoundError: a file is missing; the message says where it was looked for and how to get it.
      ValueError: a file cannot be read; the message names file, column, line and value.

    >>> import pathlib, tempfile
    >>> shop = Source(files=("views.csv",), columns=Columns("visit", "sku", "at"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "views.csv").write_text("visit,sku,at\n1,80,5\n1,70,6\n")
    ...     log = read_source(shop, folder)
    >>> log.item_ids[log.events.items].tolist()
    [80, 70]
    """
    files = [find_raw_file(folder, name, source.archives, source.instructions) for name in source.files]
    has_all_kinds = source.recipe is not None and source.recipe.gap_over_all_events
    return read_files(files, source.layout, source.columns, has_all_kinds)


def split_by_recipe(log: RawLog, recipe: Recipe) -> dict[str, Events]:
    """Prepares and splits a log, whose events may be in any order; a split may come out empty."""
    splits = divide_sessions(prepare_sessions(log, recipe), recipe, log.ticks_per_second)
    return augment_training(splits, recipe, log.ticks_per_second)


def load_splits(source: Source, folder: str | os.PathLike[str]) -> SessionSplits:
    """Reads the raw files of a set, as `read_source` does, and follows its recipe.

    Raises:
      ValueError: a file cannot be read, or the set has rules of its own.
    """
    if source.recipe is None:
        raise ValueError(f"A set without a recipe has rules of its own. Received: files={source.files}.")
    log = read_source(source, folder)
    splits = split_by_recipe(log, source.recipe)
    return SessionSplits(splits, log.item_ids, log.ticks_per_second, source.published)
