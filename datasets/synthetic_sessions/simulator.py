"""Draws the sessions of a simulated shop and splits them by time."""

import numpy as np
import pandas as pd

from tfrs_gru4rec.datasets.synthetic_sessions.world import (
    DayLaws,
    SimulatorConfig,
    World,
    build_world,
    day_laws,
    places_in,
)
from tfrs_gru4rec.datasets.time_splits import four_splits
from tfrs_gru4rec.events.events import Events

SECONDS_PER_DAY = 86_400
FIRST_SECOND = 1_704_067_200  # 2024-01-01 00:00 UTC
MEDIAN_GAP_SECONDS = 40.0
GAP_SIGMA = 1.0
LONGEST_GAP_SECONDS = 1_800


def simulate(config: SimulatorConfig) -> pd.DataFrame:
    """Simulates all sessions of a shop; the same config gives the same ones.

    Returns:
      A frame of int64 columns SessionId (1, 2, ... by start), ItemId (1 .. n_items, in no order of
      popularity) and Time (seconds since 1970 UTC), one row a click, sorted by session and time. A session
      belongs to the day on which it starts.
    """
    world = build_world(config)
    rng = np.random.default_rng([config.seed, 1])
    starts = np.sort(rng.integers(0, config.n_days * SECONDS_PER_DAY, config.n_sessions))
    extra = rng.lognormal(np.log(config.length_scale), config.length_sigma, config.n_sessions)
    lengths = np.minimum(
        2 + np.floor(np.minimum(extra, config.max_length)).astype(np.int64), config.max_length
    )
    days = starts // SECONDS_PER_DAY
    items = []
    for day in range(config.n_days):
        laws = day_laws(config, world, day)
        items.append(draw_items(config, world, laws, lengths[days == day], rng))
    return pd.DataFrame(
        {
            "SessionId": np.repeat(np.arange(1, config.n_sessions + 1), lengths),
            "ItemId": np.concatenate(items) + 1,
            "Time": FIRST_SECOND + _click_seconds(starts, lengths, rng),
        }
    )


def split_by_time(config: SimulatorConfig, sessions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Splits sessions, as `simulate` returns them, as the published sets are split.

    test holds the sessions that start in the last `test_days`; train holds the clicks before that moment,
    where a session that straddles it is cut, and dropped if one click is left. The same rule on train, one
    period back, gives train_tr and valid.
    """
    end = FIRST_SECOND + config.n_days * SECONDS_PER_DAY
    period = config.test_days * SECONDS_PER_DAY
    # The item of an event is its row in the frame.
    rows = Events(sessions["SessionId"].to_numpy(), np.arange(len(sessions)), sessions["Time"].to_numpy())
    splits = four_splits(rows, lambda part: end - period, lambda part: end - 2 * period)
    return {name: sessions.iloc[part.items].reset_index(drop=True) for name, part in splits.items()}


def draw_items(
    config: SimulatorConfig, world: World, laws: DayLaws, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws the clicks of one day's sessions, which have `lengths` int64 [n_sessions] clicks.

    Returns:
      int64 [sum of lengths], item numbers, session after session.
    """
    n_sessions = lengths.size
    if n_sessions == 0:
        return np.empty(0, np.int64)
    clicks = np.full((n_sessions, lengths.max()), -1)
    intents = _draw(np.cumsum(laws.intent), rng.random(n_sessions))
    popularity = np.cumsum(laws.popularity)
    steps = np.cumsum(laws.step, axis=2)
    last = np.full(n_sessions, -1)
    for position in range(clicks.shape[1]):
        live = np.flatnonzero(lengths > position)
        groups = intents[live]
        place = places_in(world, last[live], groups[:, np.newaxis])[:, 0]
        chances = rng.random(live.size)
        target = np.minimum((steps[groups, place] <= chances[:, np.newaxis]).sum(axis=1), steps.shape[2] - 1)
        stray = rng.random(live.size) >= config.predictability
        wandering = _draw(popularity, rng.random(live.size))
        last[live] = np.where(stray, wandering, world.neighbourhoods[groups, target])
        clicks[live, position] = last[live]
    return clicks[clicks >= 0]


def _draw(cumulative: np.ndarray, chances: np.ndarray) -> np.ndarray:
    return np.minimum(np.searchsorted(cumulative, chances, side="right"), cumulative.size - 1)


def _click_seconds(starts: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns int64 [n_clicks]: start plus log-normal gaps of whole seconds, at least one."""
    gaps = rng.lognormal(np.log(MEDIAN_GAP_SECONDS), GAP_SIGMA, lengths.sum())
    gaps = np.clip(np.floor(gaps), 1, LONGEST_GAP_SECONDS).astype(np.int64)
    first = np.cumsum(lengths) - lengths
    gaps[first] = 0
    elapsed = np.cumsum(gaps)
    return np.repeat(starts - elapsed[first], lengths) + elapsed
