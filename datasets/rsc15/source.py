"""RSC15: the clicks of the RecSys Challenge 2015 under the rules of its published results."""

from __future__ import annotations

import os

from tfrs_gru4rec.datasets.preparation import drop_rare_items, drop_short_sessions
from tfrs_gru4rec.datasets.source import Columns, SessionSplits, Source, read_source
from tfrs_gru4rec.datasets.time_splits import four_splits, most_recent, split_by_end
from tfrs_gru4rec.events.converters import iso_milliseconds
from tfrs_gru4rec.events.delimited import Layout
from tfrs_gru4rec.events.order import sort_events

_DAY_MILLISECONDS = 86_400_000

SOURCE = Source(
    files=("yoochoose-clicks.dat",),
    archives=("yoochoose-data.7z", "yoochoose-data.zip", "recsys-challenge-2015.zip", "archive.zip"),
    homepage="https://recsys.yoochoose.net",
    instructions="Put yoochoose-clicks.dat of the RecSys Challenge 2015 into manual_dir: as it is, gzipped as "
    "yoochoose-clicks.dat.gz, or inside the original yoochoose-data.7z (needs py7zr: pip install "
    "'tfrs_gru4rec[archives]') or Kaggle's archive.zip. See https://recsys.yoochoose.net and "
    "https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015.",
    layout=Layout(names=("session", "time", "item", "category")),
    columns=Columns("session", "item", "time", read_time=iso_milliseconds, ticks_per_second=1_000),
    published={
        "train": {"events": 31_637_239, "sessions": 7_966_257, "items": 37_483},
        "test": {"events": 71_222, "sessions": 15_324, "items": 6_751},
        "train_tr": {"events": 31_579_006, "sessions": 7_953_885, "items": 37_483},
    },
)


def load_splits(folder: str | os.PathLike[str], fraction: float = 1.0) -> SessionSplits:
    """Reads the raw file and applies the rules, which no recipe can say.

    In one pass: sessions of more than one click, then items of five clicks or more, then sessions of two or
    more. Test: sessions that end on the last day, their trained items only. Training: the others, of these
    the most recent `fraction` of sessions.

    Args:
      folder: where the raw file or its archive is.
      fraction: of the sessions of `train` and of `train_tr`; `test` and `valid` do not depend on it.

    Returns:
      The splits.
    """
    log = read_source(SOURCE, folder)
    item_ids, ticks_per_second = log.item_ids, log.ticks_per_second
    events = drop_short_sessions(sort_events(log.events, by_item=False), 2)
    del log  # the raw clicks take as much memory as those left
    events = drop_short_sessions(drop_rare_items(events, 5), 2)
    splits = four_splits(events, lambda part: part.times.max() - _DAY_MILLISECONDS, divide=split_by_end)
    for name in ("train", "train_tr"):
        splits[name] = most_recent(splits[name], fraction)
    published = SOURCE.published if fraction == 1.0 else {"test": SOURCE.published["test"]}
    return SessionSplits(splits, item_ids, ticks_per_second, published)
