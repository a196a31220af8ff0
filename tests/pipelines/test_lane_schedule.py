"""The lane schedule against a plain simulation, and its bounds."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrs_gru4rec.pipelines.lane_schedule import lane_schedule, most_steps

from oracle.lane_schedule import simulate

LANES = (1, 2, 3, 7, 32, 100)


def random_pairs(seed: int, n_sessions: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).geometric(0.3, n_sessions)


def simulated_cells(pairs, n_lanes):
    """From the oracle: for each session its (start step, lane), and the number of steps."""
    sessions = [[(number, at) for at in range(n + 1)] for number, n in enumerate(pairs)]
    steps = simulate(sessions, n_lanes)
    cells = {
        pair[0][0]: (step, lane)
        for step, row in enumerate(steps)
        for lane, pair in enumerate(row)
        if pair is not None and pair[2]
    }
    return [cells[number] for number in range(len(pairs))], len(steps)


def simulated_events(pairs, n_lanes):
    """First and last event of each session, and the oracle's steps over events numbered through the log."""
    firsts = np.concatenate([[0], np.cumsum(pairs + 1)[:-1]])
    lasts = firsts + pairs
    sessions = [list(range(first, last + 1)) for first, last in zip(firsts, lasts, strict=True)]
    return firsts, lasts, simulate(sessions, n_lanes)


def check_state(schedule, steps, firsts, lasts, step):
    """Asserts that `schedule` says of one step what the simulation's `steps` say of it."""
    state = schedule.state_at(step, firsts, lasts)
    for lane, pair in enumerate(steps[step]):
        goes_on = pair is not None and not pair[2]
        assert goes_on == (state.position[lane] < state.last[lane])
        if goes_on:
            assert state.position[lane] == pair[0]
    started = {pair[0] for earlier in steps[:step] for pair in earlier if pair and pair[2]}
    assert state.visited == len(started) - 1


# Sessions in visiting order by their numbers of pairs: mostly short, so that many lanes end at one step.
pairs_of_sessions = st.lists(st.integers(1, 4) | st.integers(1, 30), min_size=1, max_size=40).map(np.array)


@given(pairs=pairs_of_sessions, n_lanes=st.integers(1, 50))
def test_schedule_is_that_of_the_simulation(pairs, n_lanes):
    schedule = lane_schedule(pairs, n_lanes)
    cells, n_steps = simulated_cells(pairs, n_lanes)
    assert list(zip(schedule.starts, schedule.lanes, strict=True)) == cells
    assert schedule.n_steps == n_steps
    assert n_steps <= most_steps(pairs, n_lanes)


@given(pairs=pairs_of_sessions, n_lanes=st.integers(1, 10), where=st.floats(0, 1))
def test_state_at_any_step_is_that_of_the_simulation(pairs, n_lanes, where):
    firsts, lasts, steps = simulated_events(pairs, n_lanes)
    schedule = lane_schedule(pairs, n_lanes)
    check_state(schedule, steps, firsts, lasts, step=round(where * (len(steps) - 1)))


@pytest.mark.parametrize("n_lanes", LANES)
@pytest.mark.parametrize("seed", range(5))
def test_schedule_of_many_sessions_is_that_of_the_simulation(seed, n_lanes):
    pairs = random_pairs(seed)
    schedule = lane_schedule(pairs, n_lanes)
    cells, n_steps = simulated_cells(pairs, n_lanes)
    assert list(zip(schedule.starts, schedule.lanes, strict=True)) == cells
    assert schedule.n_steps == n_steps


def test_small_case_by_hand():
    # Pairs 3, 1, 2, 1, 2 on two lanes:
    #   step    0 1 2 3 4
    #   lane 0  a a a d .     (d: lane 0 and lane 1 are both free at step 3, lane 0 goes first)
    #   lane 1  b c c e e
    schedule = lane_schedule(np.array([3, 1, 2, 1, 2]), 2)
    assert schedule.starts.tolist() == [0, 0, 1, 3, 3]
    assert schedule.lanes.tolist() == [0, 1, 1, 0, 1]
    assert schedule.n_steps == 5


@pytest.mark.parametrize("n_lanes", LANES)
def test_no_order_exceeds_the_bound(n_lanes):
    for seed in range(30):
        pairs = random_pairs(seed, 40)
        assert lane_schedule(pairs, n_lanes).n_steps <= most_steps(pairs, n_lanes)


def test_bound_is_reached_by_the_worst_order():
    # Nine sessions of one pair fill 3 lanes for 3 steps, then the longest runs alone: 3 + 5 steps.
    assert most_steps(np.array([1] * 9 + [5]), 3) == 8
    assert lane_schedule(np.array([1] * 9 + [5]), 3).n_steps == 8


@pytest.mark.parametrize("n_lanes", LANES)
def test_state_at_every_step_is_that_of_the_simulation(n_lanes):
    pairs = random_pairs(11)
    firsts, lasts, steps = simulated_events(pairs, n_lanes)
    schedule = lane_schedule(pairs, n_lanes)
    for step in range(len(steps)):
        check_state(schedule, steps, firsts, lasts, step)
    ended = schedule.state_at(len(steps), firsts, lasts)
    assert (ended.position == ended.last).all()
    assert ended.visited == len(pairs) - 1


def test_more_lanes_than_sessions():
    schedule = lane_schedule(np.array([2, 4]), 5)
    assert schedule.starts.tolist() == [0, 0]
    assert schedule.lanes.tolist() == [0, 1]
    assert schedule.n_steps == 4


@pytest.mark.parametrize(("pairs", "n_lanes"), [([1], 0), ([1, 0], 2)])
def test_impossible_schedules_are_refused(pairs, n_lanes):
    with pytest.raises(ValueError, match="must"):
        lane_schedule(np.array(pairs), n_lanes)


def test_a_million_sessions_are_scheduled_at_once():
    pairs = np.random.default_rng(0).geometric(0.3, 1_000_000)
    started = time.process_time()
    lane_schedule(pairs, 100)
    assert time.process_time() - started < 3.0  # about 0.5 s on an idle core
