"""Parts read one by one against the same events read at once, and what has to be read at once."""

import itertools
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrs_gru4rec import SessionLog
from tfrs_gru4rec.events.log_files import parts_of, read_parquet_columns
from tfrs_gru4rec.events.part_files import read_parts

KEYS = ("SessionId", "ItemId", "Time")


def write_parts(folder, frames):
    folder.mkdir()
    for number, frame in enumerate(frames):
        frame.to_parquet(folder / f"part-{number:05}.parquet")
    return folder


def assert_same(found, expected):
    np.testing.assert_array_equal(found.vocabulary.ids, expected.vocabulary.ids)
    np.testing.assert_array_equal(found.vocabulary.counts, expected.vocabulary.counts)
    for name in ("items", "offsets", "times"):
        values = getattr(found, name)
        assert values.dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(values, getattr(expected, name))


def two_parts():
    first = pd.DataFrame({"SessionId": [1, 1, 2], "ItemId": [70, 80, 70], "Time": [1, 2, 3]})
    return first, pd.DataFrame({"SessionId": [3, 3, 4], "ItemId": [90, 70, 80], "Time": [7, 8, 9]})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("parts")
    return (root / str(number) for number in itertools.count())


@given(
    lengths=st.lists(st.integers(1, 4), min_size=2, max_size=12),
    cuts=st.sets(st.integers(1, 11), max_size=4),
    are_texts=st.booleans(),
    seed=st.integers(0, 99),
)
def test_parts_in_order_are_the_log(folders, lengths, cuts, are_texts, seed):
    lengths[0] = max(lengths[0], 2)
    rng = np.random.default_rng(seed)
    sessions = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.sort(rng.integers(0, 4, len(lengths)))  # some start at the same time
    waits = rng.integers(0, 9, len(sessions))
    waits[np.cumsum([0, *lengths[:-1]])] = 0
    frame = pd.DataFrame(
        {
            "SessionId": rng.permutation(len(lengths))[sessions],
            "ItemId": rng.integers(0, 5, len(sessions)),
            "Time": starts[sessions] + waits,
        }
    )
    if are_texts:
        frame = frame.assign(**{key: "i" + frame[key].astype(str) for key in KEYS[:2]})
    frames = [rows for _, rows in frame.groupby(np.searchsorted(sorted(cuts), sessions, side="right"))]
    folder = write_parts(next(folders), [*frames, frame[:0]])
    assert read_parts(parts_of(folder), lambda file: read_parquet_columns(file, KEYS)) is not None
    assert_same(SessionLog.from_file(folder), SessionLog.from_frame(frame))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda first, last: (first, last.assign(SessionId=[1, 3, 3])),
            "a session has events in two of them",
        ),
        (lambda first, last: (last, first), "some session starts before one of an earlier part"),
    ],
)
def test_other_parts_are_read_at_once(tmp_path, caplog, change, reason):
    frames = change(*two_parts())
    with caplog.at_level(logging.INFO, logger="absl"):
        found = SessionLog.from_parquet(write_parts(tmp_path / "log", frames))
    assert f"All parts are read at once: {reason}" in caplog.text
    assert_same(found, SessionLog.from_frame(pd.concat(frames)))


@pytest.mark.parametrize("other", [{"ItemId": list("abc")}, {"Time": [7.5, 8.0, 9.0]}])
def test_parts_of_several_types_are_no_log(tmp_path, other):
    first, last = two_parts()
    with pytest.raises(ValueError, match="The log cannot be read"):
        SessionLog.from_parquet(write_parts(tmp_path / "log", [first, last.assign(**other)]))


def test_a_folder_of_single_clicks_is_no_log(tmp_path):
    frame = pd.DataFrame({"SessionId": [1, 2], "ItemId": [70, 80], "Time": [5, 6]})
    folder = write_parts(tmp_path / "log", [frame[:1], frame[1:]])
    with pytest.raises(ValueError, match=r"a session of two events or more\. Received: file="):
        SessionLog.from_file(folder)
