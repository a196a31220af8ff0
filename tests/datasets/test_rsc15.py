"""RSC15: its builder against an independent pandas version of the published rules."""

import gzip
import shutil

import pytest
import tensorflow_datasets as tfds

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.rsc15 import rsc15_dataset_builder as module

from oracle import preparation as oracle
from oracle import raw_logs

DUMMY = module.Builder.pkg_dir_path / "dummy_data"


class Rsc15Test(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks of a builder: registration, preparation, reading back, metadata."""

    DATASET_CLASS = module.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["full"]
    OVERLAPPING_SPLITS = ["train", "train_tr", "valid"]
    SKIP_TF1_GRAPH_MODE = True
    SPLITS = {name: part.SessionId.nunique() for name, part in oracle.rsc15(DUMMY).items()}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rsc15")
    events = raw_logs.random_events(1, 1500, days=5, n_items=600, stop=0.4)  # short sessions of rare items
    raw_logs.write_yoochoose(folder / "yoochoose-clicks.dat", events)
    return folder


@pytest.mark.parametrize(("config", "fraction"), [("full", 1), ("1_4", 1 / 4), ("1_64", 1 / 64)])
def test_the_splits_are_those_of_the_oracle_row_for_row(raw, build, assert_same_splits, config, fraction):
    assert_same_splits(build("rsc15", raw, config), oracle.rsc15(raw, fraction))


def test_examples_keep_their_order_when_tfds_sorts_them_on_disk(raw, build, assert_same_splits, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.shuffle.MAX_MEM_BUFFER_SIZE", 10_000)
    assert_same_splits(build("rsc15", raw, "full"), oracle.rsc15(raw))


def test_a_gzipped_file_and_the_original_archive_give_the_same(raw, tmp_path):
    py7zr = pytest.importorskip("py7zr")
    plain = published.load_rsc15(raw)
    (tmp_path / "gz").mkdir()
    text = (raw / "yoochoose-clicks.dat").read_bytes()
    (tmp_path / "gz" / "yoochoose-clicks.dat.gz").write_bytes(gzip.compress(text))
    (tmp_path / "7z").mkdir()
    with py7zr.SevenZipFile(tmp_path / "7z" / "yoochoose-data.7z", "w") as archive:
        archive.write(raw / "yoochoose-clicks.dat", "yoochoose-clicks.dat")
        archive.writestr("1,2014-01-01T00:00:00.000Z,1,12,1\n", "yoochoose-buys.dat")
    shutil.make_archive(str(tmp_path / "archive"), "zip", raw)
    for folder in (tmp_path / "gz", tmp_path / "7z", tmp_path):
        packed = published.load_rsc15(folder)
        for name, events in plain.splits.items():
            assert (packed.item_ids[packed.splits[name].items] == plain.item_ids[events.items]).all()
            assert (packed.splits[name].times == events.times).all()


def test_a_split_of_another_size_than_the_published_one_is_warned_of(raw, build, caplog):
    build("rsc15", raw, "1_4")
    assert "rsc15 test has" in caplog.text
    assert "the published one 71222" in caplog.text


def test_a_file_of_too_little_time_is_refused_by_the_split_that_stays_empty(tmp_path, build):
    lines = [f"{n},2014-04-07T10:5{n % 10}:00.000Z,5,0\n" for n in range(9) for _ in range(2)]
    (tmp_path / "yoochoose-clicks.dat").write_text("".join(lines))
    with pytest.raises(ValueError, match="train split of rsc15 came out empty.*too little time"):
        build("rsc15", tmp_path)


def test_published_sizes_are_compared_for_the_full_set_only(raw):
    assert published.load_rsc15(raw).published["train"]["events"] == 31_637_239
    assert set(published.load_rsc15(raw, 1 / 4).published) == {"test"}
