"""Coveo: product detail views of the shopper intent data set."""

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, Source

SOURCE = Source(
    files=("release_10_23_2020.csv",),
    archives=("release_10_23_2020.zip",),
    homepage="https://github.com/coveooss/shopper-intent-prediction-nature-2020",
    instructions="Put release_10_23_2020.csv of Coveo's shopper intent data set into manual_dir: as it is, "
    "gzipped, or in release_10_23_2020.zip. Ask for it by the form linked at "
    "https://github.com/coveooss/shopper-intent-prediction-nature-2020.",
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
