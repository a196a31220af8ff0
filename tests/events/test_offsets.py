"""Flat lists of unequal length, against plain Python lists."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_gru4rec.events.offsets import offsets_of_lengths, offsets_of_runs, positions

LENGTHS = st.lists(st.integers(0, 5), max_size=12)


@settings(deadline=None)
@given(LENGTHS)
def test_offsets_add_lengths_up(lengths):
    offsets = offsets_of_lengths(np.array(lengths, np.int64))
    assert offsets.tolist() == [sum(lengths[:place]) for place in range(len(lengths) + 1)]
    assert offsets.dtype == np.int64


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=30))
def test_runs_are_those_of_itertools(keys):
    offsets = offsets_of_runs(np.array(keys, np.int64))
    lengths = [len(list(run)) for _, run in itertools.groupby(keys)]
    assert np.diff(offsets).tolist() == lengths
    assert offsets[0] == 0
    assert offsets.dtype == np.int64


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5)), max_size=12))
def test_positions_of_spans_follow_one_another(spans):
    starts, lengths = (np.array([span[place] for span in spans], np.int64) for place in (0, 1))
    expected = [start + step for start, length in spans for step in range(length)]
    assert positions(starts, lengths).tolist() == expected
