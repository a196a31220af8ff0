"""All baselines on one pair of logs."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from tfrs_gru4rec import checks
from tfrs_gru4rec.metrics.figures import DEFAULT_K, require_list_lengths
from tfrs_gru4rec.metrics.ranked_pairs import RankedPairs
from tfrs_gru4rec.neighbours.baseline import Baseline
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.popularity import Popularity
from tfrs_gru4rec.neighbours.session_knn import SessionKNN
from tfrs_gru4rec.neighbours.transitions import Transitions
from tfrs_gru4rec.pipelines.session_log import SessionLog

BASELINES: dict[str, type[Baseline]] = {
    "popularity": Popularity,
    "transitions": Transitions,
    "session_knn": SessionKNN,
}


def evaluate_baselines(
    train_log: SessionLog,
    test_log: SessionLog,
    k: Sequence[int] = DEFAULT_K,
    tie: str = "standard",
    max_pairs: int | None = None,
    seed: int = 0,
    model: RankedPairs | None = None,
) -> dict[str, dict[str, Any]]:
    """Trains every baseline on one log and measures it on another.

    Args:
      train_log: sessions to learn from.
      test_log: sessions to predict, in the vocabulary of `train_log`.
      k: list lengths.
      tie: standard, conservative or median, see `tfrs_gru4rec.metrics.ranks.tie_ranks`.
      max_pairs: most pairs that session kNN, the slow one, is asked, drawn at random; None asks all.
      seed: seed of that draw.
      model: what `evaluate` found on `test_log`, for a comparison on the pairs that both have ranked.

    Returns:
      By name (popularity, transitions, session_knn): `recall`, `mrr`, `ndcg` and `precision`, each by k as in
      {"20": 0.3}; their `intervals`; `events`, the pairs ranked; `seconds`, of training and ranking; with `model`,
      `model_ahead`, by how much the model is better (`RankedPairs.compare`).

    Raises:
      ValueError: the logs have different vocabularies, the test log has no pair, k or tie is wrong, or `model` is of
        another log.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2, 3, 3], "ItemId": list("abacab"), "Time": range(6)})
    >>> log = SessionLog.from_frame(frame)
    >>> found = evaluate_baselines(log, log, k=(1, 2))
    >>> found["transitions"]["mrr"], found["transitions"]["events"]  # ranks 1, 2, 1
    ({'1': 0.6666666666666666, '2': 0.8333333333333334}, 3)
    """
    require_list_lengths(k)
    checks.require(
        np.array_equal(train_log.vocabulary.ids, test_log.vocabulary.ids),
        "The test log must be read with the training log's vocabulary.",
        train_items=train_log.vocabulary.n_items,
        test_items=test_log.vocabulary.n_items,
    )
    clicks = NextClicks.of(test_log)
    checks.require(len(clicks) > 0, "The test log must have a session of two known items.", pairs=len(clicks))
    results = {}
    for name, baseline in BASELINES.items():
        asked = clicks.sample(max_pairs, seed) if baseline is SessionKNN else clicks
        if len(asked) < len(clicks):
            logging.debug("Baseline %s is measured on %d of %d pairs.", name, len(asked), len(clicks))
        started = time.monotonic()
        trained = baseline(train_log)
        found = rank_by(trained, test_log, tie, asked, time.monotonic() - started)
        results[name] = describe_baseline(found, k, model)
    return results


def describe_baseline(found: RankedPairs, k: Sequence[int], model: RankedPairs | None) -> dict[str, Any]:
    """Makes the part of a report that says how well a baseline predicts, as `evaluate_baselines` returns it.

    >>> ranks = RankedPairs(np.array([1.0, 4.0]), np.array([1, 2]), events=np.array([1, 2]))
    >>> describe_baseline(ranks, (1,), model=ranks)["model_ahead"]["recall"]["1"]
    0.0
    """
    row = {**found.figures(k), "intervals": found.intervals(k)}
    row |= {"events": len(found.ranks), "seconds": found.seconds}
    return row if model is None else {**row, "model_ahead": model.compare(found, k)}


def rank_by(
    baseline: Baseline,
    log: SessionLog,
    tie: str = "standard",
    clicks: NextClicks | None = None,
    seconds: float = 0.0,
) -> RankedPairs:
    """Ranks the next clicks of a log by a baseline, as `Baseline.ranks` does; the seconds of training are counted."""
    started = time.monotonic()
    clicks = NextClicks.of(log) if clicks is None else clicks
    ranks = baseline.ranks(log, tie, clicks)
    seconds += time.monotonic() - started
    logging.debug("%s took %.1f s for %d pairs.", type(baseline).__name__, seconds, len(clicks))
    return clicks.ranked(ranks, log, seconds)
