"""RetailRocket: product views of a web shop."""

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, Source

_PAGE = "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"

SOURCE = Source(
    files=("events.csv",),
    archives=("ecommerce-dataset.zip", "archive.zip"),
    homepage=_PAGE,
    instructions="Put events.csv into manual_dir: as it is, gzipped, or inside Kaggle's archive.zip. See "
    f"{_PAGE} (login).",
    columns=Columns(
        session="visitorid", item="itemid", time="timestamp", ticks_per_second=1_000, kind=("event", "view")
    ),
    recipe=Recipe(gap_seconds=3_600, gap_over_all_events=True, test_days=7, log_end=1_442_545_200),
    published={"train": {"pairs": 554_580}},
)
