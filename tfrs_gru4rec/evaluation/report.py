"""The report of a run, as plain values for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.metrics.figures import DEFAULT_K
from tfrs_gru4rec.metrics.ranked_pairs import RankedPairs
from tfrs_gru4rec.pipelines.session_log import SessionLog


def describe_test(
    found: RankedPairs,
    k: Sequence[int] = DEFAULT_K,
    counts: np.ndarray | None = None,
    coverage: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Makes the part of a report that says how well a model predicts a test log.

    Args:
      found: ranks of the test log, as `evaluate` returns them.
      k: list lengths.
      counts: int [n_items], events of each item in the training log, for figures by popularity.
      coverage: what `catalogue_coverage` returned.

    Returns:
      `recall` and `mrr` by k; both at the largest k `by_position` and, with counts, `by_popularity`; `coverage` if it
      is given; `events`, `dropped_events` and `seconds`.

    Example:
      >>> test = describe_test(RankedPairs(np.array([1.0, 4.0]), np.array([1, 2])), k=(1, 5))
      >>> test["recall"], test["mrr"], test["events"]
      ({'1': 0.5, '5': 1.0}, {'1': 0.5, '5': 0.625}, 2)
    """
    test: dict[str, Any] = {
        **found.figures(k),
        "events": len(found.ranks),
        "dropped_events": found.dropped_events,
        "seconds": found.seconds,
        "by_position": found.by_position(max(k)),
    }
    if counts is not None:
        test["by_popularity"] = found.by_popularity(counts, max(k))
    if coverage is not None:
        test["coverage"] = coverage
    return test


def make_report(
    model: GRU4RecConfig,
    training: TrainingConfig,
    log: SessionLog,
    epochs: list[dict[str, Any]],
    **parts: dict[str, Any] | None,
) -> dict[str, Any]:
    """Puts a run's report together.

    Args:
      model: hyperparameters of the model.
      training: how it was trained.
      log: training sessions.
      epochs: one record for each epoch, as `fit` returns them.
      **parts: what else there is to report, left out where it is None: `warm_start` (`WarmStart.summary`), `test`
        (`describe_test`) and `baselines` (`evaluate_baselines`).

    Returns:
      `config`, `data` (events, sessions, items), `epochs` and the parts.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [1, 1], "ItemId": ["a", "b"], "Time": [0, 1]})
      >>> log = SessionLog.from_frame(frame)
      >>> report = make_report(GRU4RecConfig(), TrainingConfig(), log, [{"loss": 0.7}], test=None)
      >>> list(report), report["data"]
      (['config', 'data', 'epochs'], {'events': 2, 'sessions': 1, 'items': 2})
    """
    return {
        "config": {**model.to_dict(), **training.to_dict()},
        "data": {"events": log.n_events, "sessions": log.n_sessions, "items": log.vocabulary.n_items},
        "epochs": epochs,
        **{name: part for name, part in parts.items() if part is not None},
    }
