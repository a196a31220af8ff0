"""The builders of the published sets that follow a recipe, against pandas versions of the published rules."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from tfrs_gru4rec.datasets.coveo import coveo_dataset_builder
from tfrs_gru4rec.datasets.diginetica import diginetica_dataset_builder
from tfrs_gru4rec.datasets.rees46 import rees46_dataset_builder
from tfrs_gru4rec.datasets.retailrocket import retailrocket_dataset_builder
from tfrs_gru4rec.datasets.yoochoose import yoochoose_dataset_builder

from oracle import preparation as oracle
from oracle import raw_logs


def write_both_click_files(folder, events):
    is_test = events.owner % 4 == 0
    raw_logs.write_yoochoose(folder / "yoochoose-clicks.dat", events[~is_test])
    raw_logs.write_yoochoose(folder / "yoochoose-test.dat", events[is_test])


@dataclasses.dataclass(frozen=True)
class PublishedSet:
    """A set: its builder, the days that random raw files span, what writes them, and its oracle."""

    builder: type
    days: int
    write: Callable
    oracle: Callable

    @property
    def dummy(self):
        return Path(self.builder.pkg_dir_path) / "dummy_data"


def in_one_file(builder, days, write, expected):
    """A set whose writer and oracle take the path of its only file."""
    (name,) = builder.SOURCE.files
    return PublishedSet(
        builder,
        days,
        lambda folder, events: write(folder / name, events),
        lambda folder: expected(folder / name),
    )


SETS = {
    "coveo": in_one_file(coveo_dataset_builder.Builder, 6, raw_logs.write_coveo, oracle.coveo),
    "diginetica": in_one_file(
        diginetica_dataset_builder.Builder, 30, raw_logs.write_diginetica, oracle.diginetica
    ),
    "rees46": PublishedSet(rees46_dataset_builder.Builder, 6, raw_logs.write_rees46, oracle.rees46),
    "retailrocket": in_one_file(
        retailrocket_dataset_builder.Builder, 30, raw_logs.write_retailrocket, oracle.retailrocket
    ),
    "yoochoose": PublishedSet(yoochoose_dataset_builder.Builder, 6, write_both_click_files, oracle.yoochoose),
}


class ChecksOfTfds:
    """TFDS's own checks of a builder: registration, preparation, reading back, metadata."""

    OVERLAPPING_SPLITS = ["train", "train_tr", "valid"]
    SKIP_TF1_GRAPH_MODE = True

    def __init_subclass__(cls, **kwargs):
        published = SETS[cls.SET]
        cls.DATASET_CLASS = published.builder
        cls.SPLITS = {
            name: part.SessionId.nunique() for name, part in published.oracle(published.dummy).items()
        }
        super().__init_subclass__(**kwargs)


class CoveoTest(ChecksOfTfds, tfds.testing.DatasetBuilderTestCase):
    SET = "coveo"


class DigineticaTest(ChecksOfTfds, tfds.testing.DatasetBuilderTestCase):
    SET = "diginetica"


class Rees46Test(ChecksOfTfds, tfds.testing.DatasetBuilderTestCase):
    SET = "rees46"


class RetailRocketTest(ChecksOfTfds, tfds.testing.DatasetBuilderTestCase):
    SET = "retailrocket"


class YoochooseTest(ChecksOfTfds, tfds.testing.DatasetBuilderTestCase):
    SET = "yoochoose"


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", SETS)
def test_the_splits_are_those_of_the_oracle_row_for_row(tmp_path, build, assert_same_splits, name, seed):
    published = SETS[name]
    published.write(tmp_path, raw_logs.random_events(seed, 900, days=published.days))
    assert_same_splits(build(name, tmp_path), published.oracle(tmp_path))


@pytest.mark.parametrize("name", SETS)
def test_a_missing_file_is_named_with_its_place(tmp_path, build, name):
    (tmp_path / "unrelated.txt").touch()
    file = SETS[name].builder.SOURCE.files[0].replace(".", r"\.")
    with pytest.raises(FileNotFoundError, match=rf"{file}.*{file}\.gz.*Put "):
        build(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("coveo", {"events": 1_411_113, "pairs": 1_245_424}),
        ("diginetica", {"pairs": 655_844}),
        ("rees46", {"pairs": 57_385_146}),
        ("retailrocket", {"pairs": 554_580}),
        ("yoochoose", {"pairs": 21_509_456}),
    ],
)
def test_the_size_of_train_is_compared_with_the_published_one(name, statement):
    assert SETS[name].builder.SOURCE.published == {"train": statement}
