"""The report of a run, as plain values for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_gru4rec.config import EvaluationConfig, GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.evaluation.list_figures import list_figures
from tfrs_gru4rec.metrics.figures import DEFAULT_K
from tfrs_gru4rec.metrics.ranked_pairs import RankedPairs
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog


def evaluate_test(
    model: GRU4Rec | FusedModel, log: SessionLog, config: EvaluationConfig
) -> tuple[RankedPairs, dict[str, Any]]:
    """Measures a model on a test log; returns the ranks, and the part of a report made from them (`describe_test`).

    That of a model with neighbours says so, as `recommender`.

    Args:
      model: to measure.
      log: test sessions in the model's vocabulary.
      config: list lengths, tie rule and lanes.

    Raises:
      ValueError: the log was read with another vocabulary.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [1, 1], "ItemId": ["a", "b"], "Time": [0, 1]})
      >>> log = SessionLog.from_frame(frame)
      >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> _, test = evaluate_test(model, log, EvaluationConfig(k=(2,)))
      >>> test["recall"], test["lists"]["by_k"]["2"]["coverage"]
      ({'2': 1.0}, 1.0)
    """
    found = evaluate(model, log, config.tie, config.lanes)
    lists = list_figures(model, log, config.k)
    test = describe_test(found, config.k, model.vocabulary.counts, lists)
    if isinstance(model, FusedModel):
        test["recommender"] = "neighbours" if model.fusion.is_alone else "GRU4Rec, fused"
    return found, test


def evaluate_parts(
    model: GRU4Rec | FusedModel, log: SessionLog, config: EvaluationConfig
) -> tuple[RankedPairs, dict[str, Any]]:
    """Measures a model, and one that is fused without its neighbours too; arguments and errors as `evaluate_test`.

    Returns:
      The ranks, and the parts of a report: `test`, and `test_alone` of the model without its neighbours, unless these
      are alone.

    Example:
      >>> import pandas as pd
      >>> frame = pd.DataFrame({"SessionId": [1, 1], "ItemId": ["a", "b"], "Time": [0, 1]})
      >>> log = SessionLog.from_frame(frame)
      >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
      >>> list(evaluate_parts(model, log, EvaluationConfig(k=(2,)))[1])
      ['test']
    """
    found, test = evaluate_test(model, log, config)
    parts = {"test": test}
    if isinstance(model, FusedModel) and not model.fusion.is_alone:
        parts["test_alone"] = evaluate_test(model.model, log, config)[1]
    return found, parts


def describe_test(
    found: RankedPairs,
    k: Sequence[int] = DEFAULT_K,
    counts: np.ndarray | None = None,
    lists: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Makes the part of a report that says how well a model predicts a test log.

    Args:
      found: ranks of the test log, as `evaluate` returns them.
      k: list lengths.
      counts: int [n_items], events of each item in the training log, for figures by popularity.
      lists: what `list_figures` returned.

    Returns:
      `recall`, `mrr`, `ndcg` and `precision` by k over the pairs of known items and their `intervals`; `all_pairs`, the
      same over all pairs, and `known_share`, the share that the first ones have of them; recall and MRR at the largest
      k `by_position` and, with counts, `by_popularity`; `lists` if it is given; `events`, `dropped_events` and
      `seconds`.

    Raises:
      ValueError: the ranks are not of all pairs, or lack their events, or with counts the targets.

    Example:
      >>> found = RankedPairs(np.array([1.0, 4.0]), np.array([1, 2]), events=np.array([1, 2]))
      >>> test = describe_test(found, k=(1, 5))
      >>> test["recall"], test["intervals"]["mrr"], test["events"]
      ({'1': 0.5, '5': 1.0}, {'1': [0.5, 0.5], '5': [0.625, 0.625]}, 2)
    """
    of_all = found.of_all_pairs()
    test: dict[str, Any] = {
        **found.figures(k),
        "intervals": found.intervals(k),
        "all_pairs": {**of_all.figures(k), "intervals": of_all.intervals(k)},
        "known_share": len(found.ranks) / len(of_all.ranks),
        "events": len(found.ranks),
        "dropped_events": found.dropped_events,
        "seconds": found.seconds,
        "by_position": found.by_position(max(k)),
    }
    if counts is not None:
        test["by_popularity"] = found.by_popularity(counts, max(k))
    if lists is not None:
        test["lists"] = lists
    return test


def describe_log(log: SessionLog) -> dict[str, int]:
    """Returns the numbers of `events` and `sessions` of a log, and of `items` in its vocabulary."""
    return {"events": log.n_events, "sessions": log.n_sessions, "items": log.vocabulary.n_items}


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
        "data": describe_log(log),
        "epochs": epochs,
        **{name: part for name, part in parts.items() if part is not None},
    }
