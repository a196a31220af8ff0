"""The published sets as data: raw files, columns and recipes, and what the literature states of the results."""

import dataclasses
import os

from tfrs_gru4rec.datasets.preparation import drop_rare_items, drop_short_sessions
from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, SessionSplits, Source, read_source
from tfrs_gru4rec.datasets.time_splits import four_splits, most_recent, split_by_end
from tfrs_gru4rec.events.converters import iso_milliseconds, utc_seconds
from tfrs_gru4rec.events.delimited import Layout
from tfrs_gru4rec.events.order import sort_events

_DAY_MILLISECONDS = 86_400_000
_COVEO_PAGE = "https://github.com/coveooss/shopper-intent-prediction-nature-2020"
_DIGINETICA_PAGE = "https://competitions.codalab.org/competitions/11161"
_REES46_PAGE = "https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store"
_RETAILROCKET_PAGE = "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"
_CHALLENGE_PAGES = (
    "https://recsys.yoochoose.net and https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015"
)

COVEO = Source(
    files=("release_10_23_2020.csv",),
    archives=("release_10_23_2020.zip",),
    homepage=_COVEO_PAGE,
    instructions="Put release_10_23_2020.csv of Coveo's shopper intent data set into manual_dir: as it is, "
    f"gzipped, or in release_10_23_2020.zip. Ask for it by the form linked at {_COVEO_PAGE}.",
    columns=Columns(
        session="session_id_hash",
        item="product_skus_hash",
        time="server_timestamp_epoch_ms",
        ticks_per_second=1_000,
        has_text_ids=True,
        kind=("product_action", "detail"),
    ),
    recipe=Recipe(gap_seconds=3_600, gap_over_all_events=True, test_days=1),
    published={"train": {"events": 1_411_113, "pairs": 1_245_424}},
)

DIGINETICA = Source(
    files=("train-item-views.csv",),
    archives=("dataset-train-diginetica.zip",),
    homepage=_DIGINETICA_PAGE,
    instructions="Put train-item-views.csv of the CIKM Cup 2016, track 2, into manual_dir: as it is, gzipped, "
    f"or inside dataset-train-diginetica.zip. See {_DIGINETICA_PAGE} (login).",
    layout=Layout(delimiter=";"),
    columns=Columns(
        session="sessionId", item="itemId", time="timeframe", day="eventdate", ticks_per_second=1_000
    ),
    recipe=Recipe(test_days=7),
    published={"train": {"pairs": 655_844}},
)

REES46 = Source(
    files=("2019-Oct.csv", "2019-Nov.csv"),
    archives=("ecommerce-behavior-data-from-multi-category-store.zip", "archive.zip"),
    homepage=_REES46_PAGE,
    instructions="Put 2019-Oct.csv and 2019-Nov.csv into manual_dir: as they are, gzipped (.csv.gz), zipped "
    f"(.csv.zip) or inside Kaggle's archive.zip. See {_REES46_PAGE} (login).",
    columns=Columns(
        session="user_id",
        item="product_id",
        time="event_time",
        read_time=utc_seconds,
        kind=("event_type", "view"),
    ),
    recipe=Recipe(gap_seconds=3_600, test_days=1, log_end=1_575_158_400),  # 2019-12-01 UTC
    published={"train": {"pairs": 57_385_146}},
)

RETAILROCKET = Source(
    files=("events.csv",),
    archives=("ecommerce-dataset.zip", "archive.zip"),
    homepage=_RETAILROCKET_PAGE,
    instructions="Put events.csv into manual_dir: as it is, gzipped, or inside Kaggle's archive.zip. See "
    f"{_RETAILROCKET_PAGE} (login).",
    columns=Columns(
        session="visitorid", item="itemid", time="timestamp", ticks_per_second=1_000, kind=("event", "view")
    ),
    recipe=Recipe(gap_seconds=3_600, gap_over_all_events=True, test_days=7, log_end=1_442_545_200),
    published={"train": {"pairs": 554_580}},
)

RSC15 = Source(
    files=("yoochoose-clicks.dat",),
    archives=("yoochoose-data.7z", "yoochoose-data.zip", "recsys-challenge-2015.zip", "archive.zip"),
    homepage="https://recsys.yoochoose.net",
    instructions="Put yoochoose-clicks.dat of the RecSys Challenge 2015 into manual_dir: as it is, gzipped as "
    "yoochoose-clicks.dat.gz, or inside the original yoochoose-data.7z (needs py7zr: pip install "
    f"'tfrs_gru4rec[archives]') or Kaggle's archive.zip. See {_CHALLENGE_PAGES}.",
    layout=Layout(names=("session", "time", "item", "category")),
    columns=Columns("session", "item", "time", read_time=iso_milliseconds, ticks_per_second=1_000),
    published={
        "train": {"events": 31_637_239, "sessions": 7_966_257, "items": 37_483},
        "test": {"events": 71_222, "sessions": 15_324, "items": 6_751},
        "train_tr": {"events": 31_579_006, "sessions": 7_953_885, "items": 37_483},
    },
)

YOOCHOOSE = dataclasses.replace(
    RSC15,
    files=("yoochoose-clicks.dat", "yoochoose-test.dat"),
    instructions="Put yoochoose-clicks.dat and yoochoose-test.dat of the RecSys Challenge 2015 into "
    "manual_dir: as they are, gzipped (.dat.gz), or inside the original yoochoose-data.7z (needs py7zr: pip "
    f"install 'tfrs_gru4rec[archives]') or Kaggle's archive.zip. See {_CHALLENGE_PAGES}.",
    recipe=Recipe(test_days=1),
    published={"train": {"pairs": 21_509_456}},
)


WITH_RECIPE = {
    "coveo": COVEO,
    "diginetica": DIGINETICA,
    "rees46": REES46,
    "retailrocket": RETAILROCKET,
    "yoochoose": YOOCHOOSE,
}


def load_rsc15(folder: str | os.PathLike[str], fraction: float = 1.0) -> SessionSplits:
    """Reads the raw file of RSC15, or its archive, in a folder and applies its rules, which no recipe can say.

    In one pass: sessions of more than one click, then items of five clicks or more, then sessions of two or
    more. Test: sessions that end on the last day, their trained items only. Training: the others, of these
    the most recent `fraction` of sessions; `test` and `valid` do not depend on it.
    """
    log = read_source(RSC15, folder)
    item_ids, ticks_per_second = log.item_ids, log.ticks_per_second
    events = drop_short_sessions(sort_events(log.events, by_item=False), 2)
    del log  # the raw clicks take as much memory as those left
    events = drop_short_sessions(drop_rare_items(events, 5), 2)
    splits = four_splits(events, lambda part: part.times.max() - _DAY_MILLISECONDS, divide=split_by_end)
    for name in ("train", "train_tr"):
        splits[name] = most_recent(splits[name], fraction)
    published = RSC15.published if fraction == 1.0 else {"test": RSC15.published["test"]}
    return SessionSplits(splits, item_ids, ticks_per_second, published)
