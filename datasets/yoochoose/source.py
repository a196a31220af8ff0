"""Yoochoose: both click files of the RecSys Challenge 2015 under the rules of the published results."""

import dataclasses

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.rsc15 import source as rsc15

SOURCE = dataclasses.replace(
    rsc15.SOURCE,
    files=("yoochoose-clicks.dat", "yoochoose-test.dat"),
    instructions="Put yoochoose-clicks.dat and yoochoose-test.dat of the RecSys Challenge 2015 into "
    "manual_dir: as they are, gzipped (.dat.gz), or inside the original yoochoose-data.7z (needs py7zr: pip "
    "install 'tfrs_gru4rec[archives]') or Kaggle's archive.zip. See https://recsys.yoochoose.net and "
    "https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015.",
    recipe=Recipe(test_days=1),
    published={"train": {"pairs": 21_509_456}},
)
