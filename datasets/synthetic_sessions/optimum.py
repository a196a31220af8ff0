"""The best that any recommender can do on a simulated shop, computed exactly from the shop's own laws.

Given its intent a session is a first-order chain, so the intent's posterior follows Bayes' rule click by
click,

    w_0(g) = q_d(g),   w_t(g) ~ w_{t-1}(g) P(x_t | x_{t-1}, g),

and the next click's true distribution is P(j | x_1 .. x_t) = sum over g of w_t(g) P(j | x_t, g). No ranking
of the catalogue can hold the next click among its first k items with more probability than the k likeliest
items together have, and none has a larger expected reciprocal rank than the ranking by probability
(rearrangement inequality). Both are averaged over the pairs (prefix, next click) of the given sessions. The
recommender so described knows the shop's laws and the day's popularity: one that learns from clicks stays
below it in expectation, and can exceed it on a finite test set by chance alone.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tfrs_gru4rec.datasets.synthetic_sessions.simulator import FIRST_SECOND, SECONDS_PER_DAY
from tfrs_gru4rec.datasets.synthetic_sessions.world import (
    DayLaws,
    SimulatorConfig,
    World,
    build_world,
    day_laws,
    places_in,
)

_BLOCK_SESSIONS = 1024


def optimal_recall(config: SimulatorConfig, sessions: pd.DataFrame, k: int = 20) -> float:
    """Returns the best possible recall@k on the next clicks of these sessions."""
    return optimal_metrics(config, sessions, (k,))["recall"][str(k)]


def optimal_metrics(
    config: SimulatorConfig, sessions: pd.DataFrame, k: Sequence[int] = (1, 5, 10, 20)
) -> dict[str, dict[str, float]]:
    """Computes the best possible recall@k and MRR@k over the pairs (prefix, next click) of some sessions.

    Args:
      config: the config the sessions were simulated with.
      sessions: frame with SessionId, ItemId and Time, sorted by session and time, whole sessions.
      k: list lengths.

    Returns:
      {"recall": {"20": ...}, "mrr": {"20": ...}}, expectations given the prefixes.
    """
    longest = min(max(k), config.n_items)
    total = np.zeros(longest)
    n_pairs = 0
    for probabilities, _ in next_click_distributions(config, sessions):
        top = -np.partition(-probabilities, longest - 1, axis=1)[:, :longest]
        top.sort(axis=1)
        total += top[:, ::-1].sum(axis=0)
        n_pairs += len(top)
    by_rank = total / max(n_pairs, 1)
    recall = np.cumsum(by_rank)
    mrr = np.cumsum(by_rank / np.arange(1, longest + 1))
    last = [min(cut, longest) - 1 for cut in k]
    return {
        "recall": {str(cut): float(recall[row]) for cut, row in zip(k, last, strict=True)},
        "mrr": {str(cut): float(mrr[row]) for cut, row in zip(k, last, strict=True)},
    }


def next_click_distributions(
    config: SimulatorConfig, sessions: pd.DataFrame
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the true distribution of every next click, in blocks; arguments as for `optimal_metrics`.

    Yields:
      (probabilities, next_items): float64 [n, n_items] over item numbers ItemId - 1, and int64 [n], the
      number of the item that was clicked. Blocks run over days, then over positions in the session.
    """
    world = build_world(config)
    keys = sessions["SessionId"].to_numpy()
    items = sessions["ItemId"].to_numpy() - 1
    first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    lengths = np.diff(np.r_[first, keys.size])
    days = (sessions["Time"].to_numpy()[first] - FIRST_SECOND) // SECONDS_PER_DAY
    for day in np.unique(days):
        laws = day_laws(config, world, int(day))
        members = np.flatnonzero(days == day)
        for begin in range(0, members.size, _BLOCK_SESSIONS):
            block = members[begin : begin + _BLOCK_SESSIONS]
            yield from _follow(config, world, laws, _padded(items, first[block], lengths[block]))


def _padded(items: np.ndarray, first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns int64 [n_sessions, longest], -1 after a session's end."""
    position = np.arange(lengths.max())
    inside = position < lengths[:, np.newaxis]
    return np.where(inside, items[np.where(inside, first[:, np.newaxis] + position, 0)], -1)


def _follow(
    config: SimulatorConfig, world: World, laws: DayLaws, clicks: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    entry = np.zeros((len(world.neighbourhoods), config.n_items))
    np.put_along_axis(entry, world.neighbourhoods, laws.step[:, -1], axis=1)
    posterior = np.tile(laws.intent, (len(clicks), 1))
    previous = np.full(len(clicks), -1)
    for position in range(clicks.shape[1] - 1):
        live = clicks[:, position + 1] >= 0
        clicks, posterior, previous = clicks[live], posterior[live], previous[live]
        current = clicks[:, position]
        posterior = _updated(config, world, laws, posterior, previous, current)
        yield _predicted(config, world, laws, entry, posterior, current), clicks[:, position + 1]
        previous = current


def _updated(
    config: SimulatorConfig,
    world: World,
    laws: DayLaws,
    posterior: np.ndarray,
    previous: np.ndarray,
    current: np.ndarray,
) -> np.ndarray:
    """Bayes' rule for one click: float64 [n_sessions, n_neighbourhoods]."""
    groups = world.groups[current]
    follow = laws.step[groups, places_in(world, previous, groups), world.places[current]]
    likelihood = np.tile(
        (1 - config.predictability) * laws.popularity[current][:, np.newaxis], posterior.shape[1]
    )
    rows = np.arange(current.size)[:, np.newaxis]
    likelihood[rows, groups] += config.predictability * follow
    joint = posterior * likelihood
    return joint / joint.sum(axis=1, keepdims=True)


def _predicted(
    config: SimulatorConfig,
    world: World,
    laws: DayLaws,
    entry: np.ndarray,
    posterior: np.ndarray,
    current: np.ndarray,
) -> np.ndarray:
    """Returns the next click's distribution, float64 [n_sessions, n_items].

    Every intent first steps as if the last click lay outside it; then the few that contain it are put right.
    """
    steps = posterior @ entry
    rows = np.arange(current.size)[:, np.newaxis]
    for column in range(world.groups.shape[1]):
        group, place = world.groups[current, column], world.places[current, column]
        change = laws.step[group, place] - laws.step[group, -1]
        steps[rows, world.neighbourhoods[group]] += posterior[rows[:, 0], group][:, np.newaxis] * change
    # The difference can leave a rounding error below zero.
    return (1 - config.predictability) * laws.popularity + config.predictability * np.maximum(steps, 0.0)
