"""The report of a run, as plain values for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.metrics.figures import DEFAULT_K, Evaluation
from tfrs_gru4rec.pipelines.session_log import SessionLog


def describe_test(
    evaluation: Evaluation,
    k: Sequence[int] = DEFAULT_K,
    counts: np.ndarray | None = None,
    coverage: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Returns an evaluation's figures.

    Args:
      evaluation: ranks of a test log.
      k: list lengths.
      counts: int [n_items], events of each item in the training log, for figures by popularity.
      coverage: what `catalogue_coverage` returned.

    Returns:
      `recall` and `mrr` by k, the same `by_position` and `by_popularity`, `coverage`, and what was counted.
    """
    figures: dict[str, Any] = {
        **evaluation.figures(k),
        "events": len(evaluation.ranks),
        "dropped_events": evaluation.dropped_events,
        "seconds": evaluation.seconds,
        "by_position": evaluation.by_position(max(k)),
    }
    if counts is not None:
        figures["by_popularity"] = evaluation.by_popularity(counts, max(k))
    if coverage is not None:
        figures["coverage"] = coverage
    return figures


def make_report(
    model: GRU4RecConfig,
    training: TrainingConfig,
    log: SessionLog,
    epochs: list[dict[str, Any]],
    test: dict[str, Any] | None = None,
    baselines: dict[str, Any] | None = None,
    warm_start: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Puts a run's report together.

    Args:
      model: hyperparameters of the model.
      training: how it was trained.
      log: training sessions.
      epochs: one record for each epoch, as `fit` returns them.
      test: what `describe_test` returned, None without a test log.
      baselines: the same by name.
      warm_start: what `WarmStart.summary` returned, None for a run from the beginning.

    Returns:
      `config`, `data` (events, sessions, items), `epochs`, with a test log `test` and `baselines`, and `warm_start`.
    """
    report: dict[str, Any] = {
        "config": {**model.to_dict(), **training.to_dict()},
        "data": {"events": log.n_events, "sessions": log.n_sessions, "items": log.vocabulary.n_items},
        "epochs": epochs,
    }
    if test is not None:
        report["test"] = test
    if baselines is not None:
        report["baselines"] = baselines
    if warm_start is not None:
        report["warm_start"] = warm_start
    return report
