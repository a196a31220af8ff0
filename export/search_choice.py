"""Whether the best items come from cells or from the plain product: both are measured where a model is exported."""

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export.cell_search import CellSearch
from tfrs_gru4rec.export.cells import make_cells
from tfrs_gru4rec.export.ranking import Ranking
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.recommend import session_rows

FEWEST_ITEMS = 100_000  # below them the product takes a few milliseconds, and cells are not tried
_N_SESSIONS, _LENGTH = 512, 8
_LIKELY = 20  # a sampled session goes on with one of so many best items
_PART = 32  # sessions whose scores are held at a time
_TIMED = 64  # calls of one session
_GAIN = 0.8  # of the product's time, which cells must stay below to be worth their memory
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_BISECTIONS = 7


def choose_search(
    ranking: Ranking,
    model: GRU4Rec,
    follow: Callable[[np.ndarray], tf.Tensor],
    wanted: str,
    approximate_recall: float,
    sessions: Sequence[Sequence[Any]] | None = None,
) -> str:
    """Has a ranking search cells, if that is asked for or found to be faster, and says what was chosen and why.

    Args:
      ranking: of the model, with the filters of the export.
      model: has the items' weights.
      follow: makes the records [n, size] of whole sessions, int32 [n, length] as `measured_sessions` returns them.
      wanted: one of `config.SEARCHES`.
      approximate_recall: share of the best items that has to be found; 1 for exact answers.
      sessions: raw item ids of those to measure with; None to sample some from the model.

    Returns:
      One line.

    Raises:
      ValueError: exact cells find something else than the product, which would be a fault.
    """
    if wanted == "plain":
        return "plain product, as asked for"
    if ranking.is_fused:
        return "plain product: the bounds of cells know nothing of what neighbours add to the scores"
    if wanted == "auto" and model.vocabulary.n_items < FEWEST_ITEMS:
        return f"plain product: cells are tried from {FEWEST_ITEMS:,} items on"
    ranking.search_cells(None)
    records = follow(measured_sessions(model, sessions))
    started = time.monotonic()
    cells = make_cells(model.embedding.output_table.numpy(), model.embedding.output_bias.numpy())
    logging.info("The items are in %d cells after %.0f s.", len(cells.rows), time.monotonic() - started)
    # Traced once, for any number of sessions.
    signature = [tf.TensorSpec([None, records.shape[1]])]
    traced = functools.partial(tf.function, input_signature=signature, autograph=False)
    product = traced(lambda part: ranking.top(part))
    by_product = {size: _seconds(product, records, size) for size in _BATCHES}
    expected = in_parts(product, records)
    search = CellSearch(cells, expected[0].shape[1])
    found = traced(lambda part: ranking.found(search, part))
    recall = calibrate(search, lambda: recall_of(in_parts(found, records), expected), approximate_recall)
    rows, scores, is_proven, n_read = in_parts(found, records)
    rule = "Exact cells must find what the product finds; export with top_k_search='plain', and report this."
    is_same = np.allclose(np.where(is_proven, scores, expected[1]), expected[1], 1e-4, 1e-5)
    require(is_same or approximate_recall < 1, rule, recall=recall)
    ranking.search_cells(search, most_searched=1)
    seconds = _seconds(traced(lambda part: ranking.top(part)), records, 1)
    fitting = [size for size in _BATCHES if size * seconds < _GAIN * by_product[size]]
    share = np.mean(np.where(is_proven, n_read / search.n_cells, 1.0))
    figures = (
        f"{1e3 * seconds:.2f} ms a session beside {1e3 * by_product[1]:.2f} ms of the product, "
        f"{share:.1%} of the catalogue read"
    )
    if wanted == "auto" and not fitting:
        ranking.search_cells(None)
        return f"plain product: cells are not worth their memory, {figures}"
    most = max(fitting, default=1)
    ranking.search_cells(search, most)
    kind = (
        "exact" if approximate_recall == 1 else f"approximate, {recall:.4f} of the best {rows.shape[1]} found"
    )
    return (
        f"cells, {kind}: {figures}; in calls of at most {most} sessions; "
        f"{sum(part.nbytes for part in cells) / 1e6:.1f} MB in memory and on disk"
    )


def measured_sessions(model: GRU4Rec, sessions: Sequence[Sequence[Any]] | None, seed: int = 0) -> np.ndarray:
    """Returns sessions to measure with, cut at random places as live ones are.

    A sampled session starts at an item by its share of the training events, and goes on with one of the best items.

    Args:
      model: a trained model.
      sessions: raw item ids, oldest first; None to sample.
      seed: of what is drawn.

    Returns:
      int32 [n, length], -1 for pads and unknown items; each has a known item.

    Raises:
      ValueError: no session has an item that the model knows.
    """
    random = np.random.default_rng(seed)
    vocabulary = model.vocabulary
    if sessions is None:
        shares = (vocabulary.counts + 1.0) / (vocabulary.counts + 1.0).sum()
        rows = random.choice(vocabulary.n_items, [_N_SESSIONS, 1], p=shares).astype(np.int32)
        likely = min(_LIKELY, vocabulary.n_items)
        for _ in range(_LENGTH - 1):
            parts = np.array_split(rows, _N_SESSIONS // _PART)
            best = [tf.math.top_k(model.predict_step(tf.constant(part)), likely).indices for part in parts]
            chosen = random.integers(likely, size=[_N_SESSIONS, 1])
            rows = np.concatenate([rows, np.take_along_axis(np.concatenate(best), chosen, axis=1)], axis=1)
        return np.where(np.arange(_LENGTH) < random.integers(1, _LENGTH + 1, size=[_N_SESSIONS, 1]), rows, -1)
    require(len(sessions) > 0, "There must be sessions to measure with.", sessions=0)
    drawn = random.integers(len(sessions), size=4 * _N_SESSIONS)
    all_known = (rows[rows >= 0] for rows in (session_rows(vocabulary, sessions[place]) for place in drawn))
    known = list(itertools.islice((rows for rows in all_known if len(rows)), _N_SESSIONS))
    require(bool(known), "The sessions to measure with must have items of the model.", sessions=len(sessions))
    padded = np.full([_N_SESSIONS, _LENGTH], -1, np.int32)
    for place in range(_N_SESSIONS):
        rows = known[place % len(known)]
        cut = rows[: random.integers(1, len(rows) + 1)][-_LENGTH:]
        padded[place, : len(cut)] = cut
    return padded


def in_parts(call: Callable[..., Any], records: tf.Tensor) -> list[np.ndarray]:
    """Calls with some records at a time, and joins what comes."""
    results = [call(records[start : start + _PART]) for start in range(0, len(records), _PART)]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def recall_of(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Returns the share of the best items found, of that half of the sessions where it is less."""
    rows, _, is_proven, _ = found
    is_found = (rows[:, :, np.newaxis] == expected[0][:, np.newaxis]).any(axis=1) | ~is_proven
    return float(min(half.mean() for half in (is_found[::2], is_found[1::2]) if len(half)))


def calibrate(search: CellSearch, measure: Callable[[], float], wanted: float) -> float:
    """Makes bounds as short as a wanted recall allows, by bisection.

    Args:
      search: whose `radius_share` is set.
      measure: returns the recall with bounds as they are.
      wanted: recall; 1 leaves the bounds exact.

    Returns:
      The recall reached.
    """
    low, high, reached = 0.0, 1.0, 1.0
    for _ in range(_BISECTIONS if wanted < 1 else 0):
        middle = (low + high) / 2
        search.radius_share.assign(middle)
        recall = measure()
        low, high, reached = (low, middle, recall) if recall >= wanted else (middle, high, reached)
    search.radius_share.assign(high)
    return reached


def _seconds(top: Callable[..., Any], records: tf.Tensor, size: int) -> float:
    """Returns the mean time of a call of so many sessions, after one that nobody waits for."""
    n_calls = _TIMED if size == 1 else _TIMED // 16
    parts = [records[start : start + size] for start in range(0, n_calls * size, size)]
    top(parts[0])
    started = time.perf_counter()
    for part in parts:
        top(part)[0].numpy()
    return (time.perf_counter() - started) / n_calls
