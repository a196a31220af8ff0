"""The simulated shop: which items there are, how popular, in which neighbourhoods, and how people walk.

Every item lies in `memberships` neighbourhoods. A session has one hidden intent g, a neighbourhood, drawn
with probability q_d(g) = sum of pi_d(i) / memberships over the items i of g. On day d, whatever was clicked
before,

    P(next = j | last = i, intent = g) = (1 - p) pi_d(j) + p step_g(i, j)

with p the predictability and pi_d the day's popularity. step_g(i, .) walks along the ring of g's items: with
o the number of places from i forward to j, step_g(i, j) is proportional to
walk_decay ** (o - 1) * pi_d(j) ** popularity_tilt for o = 1, 2, ... and zero for o = 0. If i is outside g, or
there is no i because the session begins, step_g(i, .) is pi_d restricted to g.

An item alone leaves several intents possible, and a stray click hides the intent from those who look at the
last item only; who remembers the session can tell. At p = 0 clicks are independent draws from pi_d. The first
click is distributed as pi_d whatever p.
"""

import dataclasses
from typing import Annotated

import numpy as np

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.settings import Range, Settings

_Count = Annotated[int, Range(at_least=1)]
_NotNegative = Annotated[float, Range(at_least=0)]
_Positive = Annotated[float, Range(above=0)]


@dataclasses.dataclass(frozen=True)
class SimulatorConfig(Settings):
    """All settings of a simulated shop; equal settings give equal sessions.

    Attributes:
      predictability: p in [0, 1]; the share of clicks that follow the session's intent. 0: independent draws.
      seed: seed of the shop and of its sessions.
      n_items: items of the catalogue, a multiple of neighbourhood_size.
      n_sessions: sessions over all days.
      n_days: days simulated.
      test_days: the last days, which become the test split; as many before them become the validation split.
      memberships: neighbourhoods that each item lies in.
      neighbourhood_size: items in a neighbourhood.
      walk_decay: in (0, 1]; factor by which a step's probability falls with each further place on the ring.
      popularity_exponent: s in pi(rank) ~ (rank + popularity_shift) ** -s, ranks from 1 (Zipf-Mandelbrot).
      popularity_shift: flattens the head of the popularity curve; 0 is plain Zipf.
      popularity_tilt: exponent of the popularity inside a step; 0 ignores popularity.
      drift: standard deviation of the daily shock to an item's log-popularity; 0: popularity stands still.
      drift_memory: in [0, 1); the share of a departure from the item's usual log-popularity left after a day.
      length_scale: a session has 2 + floor(X) clicks; the median of the log-normal X.
      length_sigma: the standard deviation of log X.
      max_length: clicks of the longest session; longer ones are cut.
    """

    predictability: Annotated[float, Range(at_least=0, at_most=1)] = 0.8
    seed: Annotated[int, Range(at_least=0)] = 42
    n_items: _Count = 1000
    n_sessions: _Count = 28_000
    n_days: int = 28
    test_days: _Count = 4
    memberships: _Count = 2
    neighbourhood_size: Annotated[int, Range(at_least=2)] = 40
    walk_decay: Annotated[float, Range(above=0, at_most=1)] = 0.85
    popularity_exponent: float = 1.0
    popularity_shift: _NotNegative = 20.0
    popularity_tilt: float = 0.5
    drift: _NotNegative = 0.1
    drift_memory: Annotated[float, Range(at_least=0, below=1)] = 0.9
    length_scale: _Positive = 2.0
    length_sigma: _Positive = 0.9
    max_length: Annotated[int, Range(at_least=2)] = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.n_items % self.neighbourhood_size == 0,
            "n_items must be a multiple of neighbourhood_size.",
            n_items=self.n_items,
            neighbourhood_size=self.neighbourhood_size,
        )
        require(
            self.n_days > 2 * self.test_days,
            "n_days must exceed twice test_days, to leave days for training, validation and test.",
            n_days=self.n_days,
            test_days=self.test_days,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class World:
    """What the seed fixes before the first click. Items are numbered 0 .. n_items - 1."""

    popularity: np.ndarray  # float64 [n_days, n_items], each row a distribution
    neighbourhoods: np.ndarray  # int64 [n_neighbourhoods, neighbourhood_size], items in ring order
    groups: np.ndarray  # int64 [n_items, memberships], the neighbourhoods of each item
    places: np.ndarray  # int64 [n_items, memberships], the item's place on the ring of each


@dataclasses.dataclass(frozen=True, eq=False)
class DayLaws:
    """The distributions that hold on one day."""

    popularity: np.ndarray  # float64 [n_items]
    intent: np.ndarray  # float64 [n_neighbourhoods], the prior of a session's intent
    # Float64 [n_neighbourhoods, neighbourhood_size + 1, neighbourhood_size]; step[g, a, b] is the chance of going from
    # place a to place b of ring g; row a = -1, the last, holds when the last click lay outside g.
    step: np.ndarray


def build_world(config: SimulatorConfig) -> World:
    """Draws the shop that `config.seed` stands for."""
    rng = np.random.default_rng([config.seed, 0])
    ranks = rng.permutation(config.n_items) + 1.0
    usual = -config.popularity_exponent * np.log(ranks + config.popularity_shift)
    weights = np.exp(usual + _departures(config, rng))
    orders = [rng.permutation(config.n_items) for _ in range(config.memberships)]
    neighbourhoods = np.concatenate([order.reshape(-1, config.neighbourhood_size) for order in orders])
    groups = np.empty((config.n_items, config.memberships), np.int64)
    places = np.empty_like(groups)
    slots = np.arange(config.n_items)
    per_membership = config.n_items // config.neighbourhood_size
    for column, order in enumerate(orders):
        groups[order, column] = slots // config.neighbourhood_size + column * per_membership
        places[order, column] = slots % config.neighbourhood_size
    return World(weights / weights.sum(axis=1, keepdims=True), neighbourhoods, groups, places)


def _departures(config: SimulatorConfig, rng: np.random.Generator) -> np.ndarray:
    """Returns float64 [n_days, n_items]: x_d = memory * x_{d-1} + drift * normal, in its stationary state."""
    shocks = config.drift * rng.standard_normal((config.n_days, config.n_items))
    shocks[0] /= np.sqrt(1 - config.drift_memory**2)
    for day in range(1, config.n_days):
        shocks[day] += config.drift_memory * shocks[day - 1]
    return shocks


def day_laws(config: SimulatorConfig, world: World, day: int) -> DayLaws:
    """Returns the distributions of one day; the equations are those of the module."""
    popularity = world.popularity[day]
    inside = popularity[world.neighbourhoods]
    mass = inside.sum(axis=1)
    entry = inside / mass[:, np.newaxis]
    size = config.neighbourhood_size
    forward = (np.arange(size)[np.newaxis, :] - np.arange(size)[:, np.newaxis]) % size
    reach = np.where(forward > 0, config.walk_decay ** (forward - 1.0), 0.0)
    walk = reach * (inside**config.popularity_tilt)[:, np.newaxis, :]
    walk /= walk.sum(axis=2, keepdims=True)
    step = np.concatenate([walk, entry[:, np.newaxis, :]], axis=1)
    return DayLaws(popularity, mass / config.memberships, step)


def places_in(world: World, items: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the place of each item in each named neighbourhood, int64 [n, n_groups], -1 where it is no member.

    Args:
      world: the shop.
      items: int64 [n], -1 for "no item yet".
      groups: int64 [n, n_groups], neighbourhoods asked about.
    """
    member = world.groups[items][:, np.newaxis, :] == groups[:, :, np.newaxis]
    member &= (items >= 0)[:, np.newaxis, np.newaxis]
    return np.where(member, world.places[items][:, np.newaxis, :], -1).max(axis=2)
