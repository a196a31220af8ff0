"""Diginetica: product views of the CIKM Cup 2016."""

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, Source
from tfrs_gru4rec.events.delimited import Layout

SOURCE = Source(
    files=("train-item-views.csv",),
    archives=("dataset-train-diginetica.zip",),
    homepage="https://competitions.codalab.org/competitions/11161",
    instructions="Put train-item-views.csv of the CIKM Cup 2016, track 2, into manual_dir: as it is, gzipped, "
    "or inside dataset-train-diginetica.zip. See https://competitions.codalab.org/competitions/11161 (login).",
    layout=Layout(delimiter=";"),
    columns=Columns(
        session="sessionId", item="itemId", time="timeframe", day="eventdate", ticks_per_second=1_000
    ),
    recipe=Recipe(test_days=7),
    published={"train": {"pairs": 655_844}},
)
