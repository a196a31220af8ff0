"""Repeating events by dwell time."""

import math

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.datasets.recipe import Recipe, augment_training
from tfrs_gru4rec.events.events import Events
from tfrs_gru4rec.pipelines.dwell_time import augment_dwell_time
from tfrs_gru4rec.pipelines.session_log import SessionLog


def frame_of(events):
    return pd.DataFrame(events, columns=["SessionId", "ItemId", "Time"])


def augmented_frame(frame, seconds):
    """The rule event by event, on rows sorted by (session, time)."""
    rows = list(frame.itertuples(index=False, name=None))
    repeated = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        dwell = following[2] - row[2] if following is not None and following[0] == row[0] else 0
        repeated += [row] * (math.floor(dwell / seconds) + 1)
    return frame_of(repeated)


def assert_same(log, expected):
    assert log.vocabulary.ids.tolist() == expected.vocabulary.ids.tolist()
    assert log.vocabulary.counts.tolist() == expected.vocabulary.counts.tolist()
    assert log.items.tolist() == expected.items.tolist()
    assert log.offsets.tolist() == expected.offsets.tolist()
    assert log.times.tolist() == expected.times.tolist()
    assert log.items.dtype == np.int32
    assert log.offsets.dtype == np.int64


def test_small_case_by_hand():
    # Dwell times: 25 s -> 2 + 1, 10 s -> 1 + 1, last -> 1; 9 s -> 0 + 1, last -> 1: the gap to session 3 is
    # no dwell time.
    events = [(1, 7, 0), (1, 8, 25), (1, 9, 35), (2, 8, 40), (2, 7, 49), (3, 9, 900), (3, 9, 900)]
    log = augment_dwell_time(SessionLog.from_frame(frame_of(events)), 10)
    ids = log.vocabulary.ids[log.items]
    assert ids.tolist() == [7, 7, 7, 8, 8, 9, 8, 7, 9, 9]
    assert log.times.tolist() == [0, 0, 0, 25, 25, 35, 40, 49, 900, 900]
    assert log.offsets.tolist() == [0, 6, 8, 10]
    assert log.vocabulary.ids.tolist() == [7, 8, 9]
    assert log.vocabulary.counts.tolist() == [4, 3, 3]


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_log_of_an_augmented_file(seed):
    generator = np.random.default_rng(seed)
    sessions = np.repeat(np.arange(40), generator.geometric(0.25, 40))
    times = sessions * 1000 + generator.integers(0, 300, len(sessions))
    items = generator.geometric(0.2, len(sessions))
    frame = frame_of(zip(sessions, items, times, strict=True)).sort_values(
        ["SessionId", "Time"], kind="stable"
    )
    log = augment_dwell_time(SessionLog.from_frame(frame), 30)
    assert log.n_events > len(frame)
    assert_same(log, SessionLog.from_frame(augmented_frame(frame, 30)))


def test_a_vocabulary_from_elsewhere_stays():
    train = SessionLog.from_frame(frame_of([(1, 7, 0), (1, 8, 1), (1, 8, 2), (1, 9, 3)]))
    test = SessionLog.from_frame(frame_of([(1, 9, 0), (1, 5, 10), (1, 7, 35)]), train.vocabulary)
    log = augment_dwell_time(test, 10)
    assert log.vocabulary is train.vocabulary
    assert log.vocabulary.ids[log.items].tolist() == [9, 9, 9, 9, 7]  # item 5 is unknown, so 9 lasts for 35 s
    assert log.dropped_events == 1


def test_exact_multiples_in_floating_seconds():
    # 1396867879.3 - 1396867869.3 and 0.3 / 0.1 both miss a whole number by rounding.
    base = 1396867869.277
    log = SessionLog.from_frame(frame_of([(1, 1, base), (1, 2, base + 0.3), (1, 3, base + 10.3)]))
    assert augment_dwell_time(log, 0.1).lengths.tolist() == [4 + 101 + 1]


def test_times_in_milliseconds():
    events = [(1, 1, 1_400_000_000_000), (1, 2, 1_400_000_059_999), (1, 3, 1_400_000_119_999)]
    log = SessionLog.from_frame(frame_of(events))
    assert augment_dwell_time(log, 60, ticks_per_second=1000).lengths.tolist() == [1 + 2 + 1]


def test_a_threshold_longer_than_all_changes_nothing():
    log = SessionLog.from_frame(frame_of([(1, 5, 0), (1, 6, 4), (2, 6, 5), (2, 6, 7)]))
    assert_same(augment_dwell_time(log, 5), log)


@pytest.mark.parametrize(
    "arguments", [{"seconds": 0}, {"seconds": -1}, {"seconds": 1, "ticks_per_second": 0}]
)
def test_impossible_arguments_are_refused(arguments):
    log = SessionLog.from_frame(frame_of([(1, 5, 0), (1, 6, 4)]))
    with pytest.raises(ValueError, match="must be greater than 0"):
        augment_dwell_time(log, **arguments)


def test_an_exploding_log_is_refused():
    log = SessionLog.from_frame(frame_of([(1, 5, 0), (1, 6, 10**13)]))
    with pytest.raises(ValueError, match=r"longer threshold or the unit.*repeated_to=10000000000002"):
        augment_dwell_time(log, 1)


@pytest.mark.parametrize("time_kind", [np.int64, np.float64])
def test_prepared_files_and_the_pipeline_agree(time_kind):
    generator = np.random.default_rng(4)
    sessions = np.repeat(np.arange(200), generator.geometric(0.25, 200))
    times = (1_400_000_000 + sessions * 1000 + generator.integers(0, 90_000, len(sessions)) / 1000).astype(
        time_kind
    )
    items = generator.geometric(0.2, len(sessions)).astype(np.int32)
    order = np.lexsort((times, sessions))
    frame = frame_of({"SessionId": sessions[order], "ItemId": items[order], "Time": times[order]})
    events = Events(*(frame[name].to_numpy() for name in frame))
    offline = augment_training({"train": events}, Recipe(dwell_seconds=0.1))["train"]
    offline_frame = frame_of({"SessionId": offline.sessions, "ItemId": offline.items, "Time": offline.times})
    assert_same(augment_dwell_time(SessionLog.from_frame(frame), 0.1), SessionLog.from_frame(offline_frame))
