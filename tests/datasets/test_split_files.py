"""Writing splits: what is in the files, and that they appear together or not at all."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfrs_gru4rec.datasets import split_files
from tfrs_gru4rec.events.events import Events

EVENTS = Events(
    np.array([0, 0, 1, 1, 1]), np.array([1, 0, 2, 1, 1], np.int32), np.array([50.5, 60, 10, 20, 30])
)
SESSIONS = np.array([17, 19])
ITEMS = np.array(["a", "b", "c"], dtype=object)


def _write(folder, file_format, table=None):
    table = split_files.split_table(EVENTS, SESSIONS, ITEMS) if table is None else table
    return split_files.write_splits(folder, {"train": table, "test": table}, file_format, {"train": 1})


@pytest.mark.parametrize("file_format", split_files.FORMATS)
def test_files_hold_sessions_in_the_order_of_their_start(tmp_path, file_format):
    paths = _write(tmp_path / "new" / "folder", file_format)
    assert [path.name for path in paths] == [f"train.{file_format}", f"test.{file_format}"]
    for path in paths:
        frame = pd.read_parquet(path) if file_format == "parquet" else pd.read_csv(path, sep="\t")
        assert frame.columns.tolist() == ["SessionId", "ItemId", "Time"]
        assert frame.SessionId.tolist() == [19, 19, 19, 17, 17]
        assert frame.ItemId.tolist() == ["c", "b", "b", "b", "a"]
        assert frame.Time.tolist() == [10, 20, 30, 50.5, 60]
    assert json.loads((tmp_path / "new" / "folder" / "statistics.json").read_text()) == {"train": 1}


def test_sessions_that_start_together_keep_their_order():
    starts = np.random.default_rng(0).integers(0, 3, 5000)
    events = Events(np.arange(5000), np.zeros(5000, np.int32), starts)
    expected = [session for start in range(3) for session in np.flatnonzero(starts == start).tolist()]
    assert split_files.split_table(events, None, ITEMS)["SessionId"].to_pylist() == expected


def test_sessions_without_raw_ids_are_written_as_they_stand():
    assert split_files.split_table(EVENTS, None, ITEMS)["SessionId"].to_pylist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("text", ["a\tb", 'a"b', "a\nb", "a'b, c"])
def test_ids_with_special_characters_survive(tmp_path, text):
    table = pa.table({"SessionId": [1], "ItemId": [text], "Time": [1]})
    path = _write(tmp_path, "tsv", table)[0]
    assert pd.read_csv(path, sep="\t").ItemId.tolist() == [text]


def test_times_survive_to_the_last_digit(tmp_path):
    times = np.random.default_rng(0).random(1000) * 2e9
    table = pa.table({"SessionId": np.ones(1000, int), "ItemId": np.ones(1000, int), "Time": times})
    path = _write(tmp_path, "tsv.gz", table)[0]
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    assert [float(row.split("\t")[2]) for row in rows] == times.tolist()


@pytest.mark.parametrize("file_format", split_files.FORMATS)
def test_a_failure_leaves_the_old_files_and_no_litter(tmp_path, file_format):
    _write(tmp_path, file_format)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    good = pa.table({"SessionId": [5], "ItemId": [5], "Time": [5]})
    with pytest.raises(TypeError, match="not JSON serializable"):  # after the splits were written
        split_files.write_splits(tmp_path, {"train": good, "test": good}, file_format, {"train": object()})
    bad = pa.table({"SessionId": [5], "ItemId": [[5]], "Time": [5]})  # a list, which a text file cannot hold
    if file_format != "parquet":
        with pytest.raises(pa.ArrowInvalid):
            split_files.write_splits(tmp_path, {"train": good, "test": bad}, file_format, {"train": 1})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
