"""All baselines on one pair of logs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from tfrs_gru4rec import checks
from tfrs_gru4rec.metrics.figures import DEFAULT_K, Evaluation, check_k
from tfrs_gru4rec.neighbours.next_clicks import sample_pairs, test_pairs
from tfrs_gru4rec.neighbours.popularity import Popularity
from tfrs_gru4rec.neighbours.session_knn import SessionKNN
from tfrs_gru4rec.neighbours.transitions import Transitions
from tfrs_gru4rec.pipelines.session_log import SessionLog

BASELINES: dict[str, type[Popularity] | type[Transitions] | type[SessionKNN]] = {
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
) -> dict[str, dict[str, Any]]:
    """Fits every baseline on one log and measures it on another.

    Args:
      train_log: sessions to learn from.
      test_log: sessions to predict, in the vocabulary of `train_log`.
      k: list lengths.
      tie: standard, conservative or median, see `protocol`.
      max_pairs: most pairs that session kNN, the slow one, is asked, drawn at random; None asks all.
      seed: seed of that draw.

    Returns:
      By name (popularity, transitions, session_knn): `recall` and `mrr`, each by k as in {"20": 0.3};
      `events`, the pairs ranked; `seconds`, of fitting and ranking.

    Raises:
      ValueError: the logs have different vocabularies, the test log has no pair, or k or tie is wrong.
    """
    check_k(k)
    return {
        name: {**found.figures(k), "events": len(found.ranks), "seconds": found.seconds}
        for name, found in baseline_evaluations(train_log, test_log, tie, max_pairs, seed).items()
    }


def baseline_evaluations(
    train_log: SessionLog,
    test_log: SessionLog,
    tie: str = "standard",
    max_pairs: int | None = None,
    seed: int = 0,
) -> dict[str, Evaluation]:
    """Does what `evaluate_baselines` does, but returns the ranks themselves, in the order of the test log."""
    checks.require(
        np.array_equal(train_log.vocabulary.ids, test_log.vocabulary.ids),
        "The test log must be read with the training log's vocabulary.",
        train_items=len(train_log.vocabulary.ids),
        test_items=len(test_log.vocabulary.ids),
    )
    pairs = test_pairs(test_log)
    checks.require(len(pairs) > 0, "The test log must have a session of two known items.", pairs=len(pairs))
    results = {}
    for name, baseline in BASELINES.items():
        started = time.monotonic()
        asked = sample_pairs(pairs, max_pairs, seed) if baseline is SessionKNN else pairs
        if len(asked) < len(pairs):
            logging.info("Baseline %s is measured on %d of %d pairs.", name, len(asked), len(pairs))
        ranks = baseline.fit(train_log).ranks(test_log, tie, asked)
        seconds = time.monotonic() - started
        logging.info("Baseline %s took %.1f s for %d pairs.", name, seconds, len(asked))
        results[name] = Evaluation(ranks, asked.positions, test_log.dropped_events, seconds)
    return results
