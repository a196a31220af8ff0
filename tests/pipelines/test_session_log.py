"""Session logs: order, counts, size, and the real log."""

import collections

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from tfrs_gru4rec.pipelines import session_log
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import session_log as oracle


def random_events(seed, n_events=400, n_sessions=60, n_times=50):
    """Interleaved sessions, with many equal times and some sessions out of time order."""
    generator = np.random.default_rng(seed)
    sessions = generator.integers(0, n_sessions, n_events) * 7 + 3
    items = generator.geometric(0.1, n_events)
    times = generator.integers(0, n_times, n_events)
    return list(zip(sessions.tolist(), items.tolist(), times.tolist(), strict=True))


def frame_of(events):
    return pd.DataFrame(events, columns=["SessionId", "ItemId", "Time"])


def sessions_of(log):
    ids = log.vocabulary.ids[log.items].tolist()
    events = list(zip(ids, log.times.tolist(), strict=True))
    return [events[a:b] for a, b in zip(log.offsets[:-1], log.offsets[1:], strict=True)]


@pytest.mark.parametrize("prepare", [list, sorted, lambda events: sorted(events, key=lambda event: event[2])])
@pytest.mark.parametrize("seed", range(4))
def test_order_is_that_of_plain_python(seed, prepare):
    events = prepare(random_events(seed))
    log = SessionLog.from_frame(frame_of(events))
    expected = oracle.sessions_in_order(events)
    assert sessions_of(log) == expected
    ids, counts = oracle.vocabulary([item for _, item, _ in events])
    assert log.vocabulary.ids.tolist() == ids
    assert log.vocabulary.counts.tolist() == counts
    assert log.n_events == len(events)
    assert log.n_sessions == len(expected)
    assert log.lengths.tolist() == [len(session) for session in expected]
    assert log.n_pairs == sum(len(session) - 1 for session in expected)
    assert log.dropped_events == 0
    assert log.items.dtype == np.int32
    assert log.offsets.dtype == np.int64


def test_more_sessions_than_16_bits_number():
    generator = np.random.default_rng(0)
    sessions = generator.permutation(np.repeat(np.arange(70_000), 2)) * 1_000_003
    events = list(zip(sessions.tolist(), [1] * len(sessions), range(len(sessions)), strict=True))
    assert sessions_of(SessionLog.from_frame(frame_of(events))) == oracle.sessions_in_order(events)


def test_ties_by_hand():
    # Sessions b and a begin at 1: b appears first. In b, items at time 1 keep the order of the file.
    events = [("c", 1, 2), ("b", 5, 1), ("a", 3, 1), ("b", 4, 1), ("c", 2, 0), ("a", 3, 0)]
    # c begins at 0 and appears before a, which begins at 0 too.
    log = SessionLog.from_frame(frame_of(events))
    assert sessions_of(log) == [[(2, 0), (1, 2)], [(3, 0), (3, 1)], [(5, 1), (4, 1)]]


def test_a_given_vocabulary_drops_and_counts_unknown_items():
    train = SessionLog.from_frame(frame_of([(1, 10, 0), (1, 11, 1), (2, 11, 2)]))
    events = [(5, 10, 3), (5, 99, 4), (5, 11, 5), (6, 98, 1), (7, 11, 9)]
    test = SessionLog.from_frame(frame_of(events), train.vocabulary)
    assert test.vocabulary is train.vocabulary
    assert test.dropped_events == 2
    assert sessions_of(test) == [[(10, 3), (11, 5)], [(11, 9)]]  # session 6 is gone
    # Session 5, whose first event is the log's, had two pairs and has one; session 6 had none to lose.
    assert (test.n_pairs, test.missed.tolist()) == (1, [0])
    with pytest.raises(
        ValueError,
        match=r"two events of items that the model knows.*Received: .*sessions=0, dropped_events=5",
    ):
        SessionLog.from_frame(frame_of(events), Vocabulary.from_items([0]))


@given(st.integers(0, 1000), st.integers(1, 30))
def test_pairs_that_are_left_and_pairs_that_are_dropped_are_all_pairs(seed, n_known):
    events = random_events(seed)
    whole = SessionLog.from_frame(frame_of(events))
    known = Vocabulary.from_items(whole.vocabulary.ids[:n_known])
    try:
        part = SessionLog.from_frame(frame_of(events), known)
    except ValueError:
        return  # no pair is left
    assert part.n_pairs + part.dropped_pairs == whole.n_pairs
    # Session by session, from the events themselves; a session that is gone whole has a number of its own below 0.
    is_known = set(known.ids).__contains__
    left, gone = collections.Counter(), []
    for session in {session for session, *_ in events}:
        items = [item for each, item, _ in events if each == session]
        n_missed = len(items) - 1 - max(sum(map(is_known, items)) - 1, 0)
        if any(map(is_known, items)):
            left[session] = n_missed
        elif n_missed:
            gone.append(n_missed)
    counted = collections.Counter(part.missed.tolist())
    assert sorted(n for name, n in counted.items() if name < 0) == sorted(gone)
    assert sorted(n for name, n in counted.items() if name >= 0) == sorted(filter(None, left.values()))
    assert {name for name in counted if name >= 0} <= set(part.offsets[:-1].tolist())


def test_a_vocabulary_of_the_other_kind_of_id_is_understood():
    train = SessionLog.from_frame(frame_of([(1, "10", 0), (1, "x", 1)]))
    test = SessionLog.from_frame(frame_of([(1, 10, 0), (1, 10, 1), (1, 7, 2)]), train.vocabulary)
    assert test.vocabulary.ids[test.items].tolist() == ["10", "10"]
    assert test.dropped_events == 1


@pytest.mark.parametrize("prepare", [list, lambda events: sorted((s, item, s) for s, item, _ in events)])
def test_frame_and_log_share_nothing(prepare):
    frame = frame_of(prepare(random_events(1)))
    before = frame.copy()
    log = SessionLog.from_frame(frame)
    pd.testing.assert_frame_equal(frame, before)
    for array in (log.items, log.offsets, log.times):
        assert not any(np.shares_memory(array, frame[name].to_numpy()) for name in frame)


@pytest.mark.parametrize("time", [np.int64, np.float64])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_at_most_16_bytes_an_event(tmp_path, time, is_sorted):
    events = random_events(0, n_events=4000, n_sessions=1000)
    if is_sorted:  # nothing to move, so nothing need be copied
        events = sorted((session, item, session) for session, item, _ in events)
    frame_of(events).astype({"Time": time}).to_parquet(tmp_path / "log.parquet")
    log = SessionLog.from_file(tmp_path / "log.parquet")
    n_bytes = sum(array.nbytes for array in (log.items, log.offsets, log.times))
    assert all(array.base is None for array in (log.items, log.offsets, log.times)), "keeps more alive"
    assert n_bytes <= 16 * log.n_events


def test_codes_without_events_are_no_items():
    # As after reading a slice of a column whose dictionary is longer.
    codes = np.array([2, 0, 2], np.int32)
    log = session_log.log_of_events(
        np.array([5, 5, 5], np.int32), codes, np.array([30, 31, 32]), np.array([0, 1, 2])
    )
    assert log.vocabulary.ids.tolist() == [32, 30]
    assert log.items.tolist() == [0, 1, 0]


@pytest.mark.real_data
def test_the_real_log(real_data):
    folder = real_data("diginetica")
    train = SessionLog.from_file(folder / "train.tsv.gz")
    test = SessionLog.from_file(folder / "test.tsv.gz", train.vocabulary)
    assert (train.n_events, train.vocabulary.n_items) == (906_140, 43_097)
    assert (test.n_events, test.dropped_events) == (76_821, 0)
    assert train.vocabulary.is_integer
    frame = pd.read_csv(folder / "train.tsv.gz", sep="\t")
    events = list(frame[["SessionId", "ItemId", "Time"]].itertuples(index=False, name=None))
    assert sessions_of(train) == oracle.sessions_in_order(events)


def test_a_log_of_unknown_items_says_so():
    frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": list("abab"), "Time": range(4)})
    vocabulary = SessionLog.from_frame(frame).vocabulary
    with pytest.raises(ValueError, match=r"items that the model knows.*dropped_events=4"):
        SessionLog.from_frame(frame.assign(ItemId=list("xyxy")), vocabulary)


def test_parquet_of_any_name_and_in_parts(tmp_path):
    frame = pd.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "b", "b", "a"], "when": range(4), "more": 0})
    parts = tmp_path / "spark"
    parts.mkdir()
    frame[:2].to_parquet(parts / "part-00000.snappy.parquet")
    frame[2:].to_parquet(parts / "part-00001.snappy.parquet")
    (parts / "_SUCCESS").touch()
    frame.to_parquet(tmp_path / "log.bin")
    keys = ("user", "item", "when")
    expected = SessionLog.from_frame(frame, None, *keys)
    for path in (parts, tmp_path / "log.bin"):
        found = SessionLog.from_parquet(path, None, *keys)
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_array_equal(found.offsets, expected.offsets)
    with pytest.raises(ValueError, match=r"columns of sessions, items and times.*missing=\['SessionId', "):
        SessionLog.from_parquet(parts)
    (tmp_path / "text.parquet").write_text("SessionId,ItemId,Time\n")
    with pytest.raises(ValueError, match=r"The log cannot be read.*file='.*text.parquet'"):
        SessionLog.from_parquet(tmp_path / "text.parquet")
    with pytest.raises(FileNotFoundError):
        SessionLog.from_parquet(tmp_path / "nothing.parquet")


def _visits(log):
    """Returns the sessions as lists of raw ids, in the order of the log."""
    return [list(log.vocabulary.ids[part]) for part in np.split(log.items, log.offsets[1:-1])]


def _log_of(*sessions):
    """Makes a log of sessions, each a list of (time, item)."""
    rows = [(number, item, time) for number, session in enumerate(sessions) for time, item in session]
    return SessionLog.from_frame(pd.DataFrame(rows, columns=["SessionId", "ItemId", "Time"]))


def test_a_split_by_time_cuts_what_is_under_way_and_drops_what_was_not_seen():
    log = _log_of(
        [(0, "a"), (1, "b")],
        [(8, "b"), (9, "c"), (10, "d"), (11, "a")],  # under way at 10: its last two events are in no part
        [(10, "a"), (12, "d"), (13, "b")],  # d is not seen before 10
        [(11, "e"), (14, "f")],  # nothing of it is known
    )
    seconds_back = (14 - 10) / 86_400
    for earlier, later in (log.split_by_time(days=seconds_back), log.split_by_time(share=0.5)):
        assert _visits(earlier) == [["a", "b"], ["b", "c"]]
        assert _visits(later) == [["a", "b"]]
        assert later.dropped_events == 3
        assert earlier.vocabulary is later.vocabulary
        assert dict(zip(earlier.vocabulary.ids, earlier.vocabulary.counts, strict=True)) == {
            "a": 1, "b": 2, "c": 1
        }  # fmt: skip
    # In milliseconds the same times lie a thousand times closer together.
    earlier, later = log.split_by_time(days=seconds_back / 1000, ticks_per_second=1000)
    assert _visits(later) == [["a", "b"]]


@pytest.mark.parametrize(("n_sessions", "share", "n_later"), [(100, 0.07, 7), (31, 0.1, 4), (10, 0.25, 3)])
def test_a_share_of_the_sessions_is_rounded_up(n_sessions, share, n_later):
    log = _log_of(*([(10 * number, "a"), (10 * number + 1, "b")] for number in range(n_sessions)))
    earlier, later = log.split_by_time(share=share)
    assert (earlier.n_sessions, later.n_sessions) == (n_sessions - n_later, n_later)


def test_a_split_with_an_empty_part_is_refused():
    log = _log_of([(0, "a"), (1, "b")], [(20, "a"), (21, "c")])
    with pytest.raises(ValueError, match="two events before its time.*days=7"):
        log.split_by_time(days=7)
    with pytest.raises(ValueError, match="from it on.*share=0.5"):
        log.split_by_time(share=0.5)  # of the later session a alone is known
    for wrong in ({}, {"days": 1, "share": 0.5}, {"share": 1.0}, {"days": float("nan")}):
        with pytest.raises(ValueError, match="days|share"):
            log.split_by_time(**wrong)


def test_some_sessions_are_whole_sessions_of_the_log_and_differ_by_seed():
    sessions = [list(range(4 * number, 4 * number + 1 + number % 4)) for number in range(80)]
    frame = pd.DataFrame(
        [(number, item, item) for number, items in enumerate(sessions) for item in items],
        columns=["SessionId", "ItemId", "Time"],
    )
    log = SessionLog.from_frame(frame)

    def drawn(n_pairs, seed):
        some = log.some_sessions(n_pairs, seed)
        assert some.vocabulary is log.vocabulary
        assert some.n_pairs <= max(n_pairs, 3)
        parts = np.split(some.vocabulary.ids[some.items], some.offsets[1:-1])
        return [sessions.index(part.tolist()) for part in parts]

    first, other = drawn(30, 0), drawn(30, 1)
    assert first == sorted(first) == drawn(30, 0) != other
    assert 12 <= len(first) <= 22  # two pairs a session in the mean, so about 15
    assert len(drawn(0, 0)) == 1
    assert drawn(10_000, 0) == [
        number for number in range(80) if number % 4
    ]  # sessions of one click have no pair
