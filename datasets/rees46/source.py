"""Rees46: product views of a multi-category shop in October and November 2019."""

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, Source
from tfrs_gru4rec.events.converters import utc_seconds

_PAGE = "https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store"

SOURCE = Source(
    files=("2019-Oct.csv", "2019-Nov.csv"),
    archives=("ecommerce-behavior-data-from-multi-category-store.zip", "archive.zip"),
    homepage=_PAGE,
    instructions="Put 2019-Oct.csv and 2019-Nov.csv into manual_dir: as they are, gzipped (.csv.gz), zipped "
    f"(.csv.zip) or inside Kaggle's archive.zip. See {_PAGE} (login).",
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
