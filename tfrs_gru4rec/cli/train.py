r"""gru4rec-train: trains GRU4Rec on a click log, and evaluates it beside simple baselines.

    gru4rec-train --train_path train.tsv --test_path test.tsv --model_dir models/shop \
        --loss bpr-max --layers 224 --final_act elu-0.5 --n_epochs 10
    gru4rec-train --train_path train.tsv --model_dir models/shop --flagfile retailrocket
    gru4rec-train --dataset synthetic_sessions --model_dir models/demo
    gru4rec-train --train_path tuesday.tsv --model_dir models/tuesday --warm_start_from models/monday

The log is a TSV, CSV or Parquet file (also gzipped) with the columns SessionId, ItemId and Time. The same command
goes on from the last checkpoint after an interruption. With --warm_start_from the items, weights and optimizer slots
of an older model are carried over and items that are new get rows; hyperparameters not given are that model's.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.logs import DataConfig
from tfrs_gru4rec.cli.tables import figures_table
from tfrs_gru4rec.config import (
    CheckpointConfig,
    ColumnConfig,
    EvaluationConfig,
    GRU4RecConfig,
    TrainingConfig,
    WarmStartConfig,
)
from tfrs_gru4rec.settings import Range, Settings


@dataclasses.dataclass(frozen=True)
class RunConfig(Settings):
    """Where a model is trained, what it goes on from, and how the run is shown.

    Attributes:
      model_dir: folder for the model, its checkpoints and logs.
      warm_start_from: folder of an older model to go on from with the items of a new log.
      allow_changed: settings or properties of the data, as training.learning_rate or data.checksum, that may differ
        from those that the run in model_dir began with; without it a change is refused.
      report_path: JSON report (also in model_dir).
      progress: report within epochs, every ten seconds.
      deterministic: same bits at every run on this machine, by slower operations.
    """

    model_dir: Path
    warm_start_from: Path | None = None
    allow_changed: tuple[str, ...] = ()
    report_path: Path | None = None
    progress: bool = True
    deterministic: bool = False

    def __post_init__(self) -> None:
        """Checks that a warm start leaves the old model as it is."""
        super().__post_init__()
        require_flags(
            not self.warm_start_from or self.warm_start_from.resolve() != self.model_dir.resolve(),
            "A warm start leaves the old model as it is: give another --model_dir.",
            model_dir=str(self.model_dir),
        )


@dataclasses.dataclass(frozen=True)
class ComparisonConfig(Settings):
    """What the model is measured beside.

    Attributes:
      baselines: also evaluate simple baselines on the same logs.
      baseline_pairs: most test events that the slow baseline (kNN) is asked.
      epoch_test_events: test events, the first of the log, that recall@20 is measured on after each epoch, for the
        curve in the report; 0: none.
    """

    baselines: bool = True
    baseline_pairs: Annotated[int, Range(above=0)] = 10_000
    epoch_test_events: Annotated[int, Range(at_least=0)] = 20_000


def main(
    data: DataConfig,
    columns: ColumnConfig,
    model: GRU4RecConfig,
    training: TrainingConfig,
    checkpoints: CheckpointConfig,
    output: RunConfig,
    warm_start: WarmStartConfig,
    evaluation: EvaluationConfig,
    comparison: ComparisonConfig,
) -> int:
    """Trains, evaluates and writes the report; returns the exit code."""
    log = data.read_train_log(columns, warm_start.ticks_per_second)
    start = _warm_start(output.warm_start_from, log, warm_start)
    log = start.log if start else log
    test_log = data.read_test_log(columns, log.vocabulary) if data.has_test else None
    _print_data(log, test_log)

    if "tensorflow" not in sys.modules:
        logging.info("Loading TensorFlow.")
    import tensorflow as tf

    from tfrs_gru4rec.evaluation.plots import plot_report
    from tfrs_gru4rec.evaluation.report import make_report
    from tfrs_gru4rec.models import GRU4Rec
    from tfrs_gru4rec.training import ModelFolder, fit
    from tfrs_gru4rec.upkeep.carried_rows import last_seen
    from tfrs_gru4rec.upkeep.warm_start import keep_last_seen

    if output.deterministic:
        tf.config.experimental.enable_op_determinism()
    folder = ModelFolder(output.model_dir)
    recommender = GRU4Rec(log.vocabulary, model)
    epochs = fit(
        recommender,
        log,
        training,
        folder,
        checkpoints=checkpoints,
        verbose=1 if output.progress else 2,
        prepare=start.apply if start else None,
        validation_log=_validation_log(test_log, comparison.epoch_test_events),
        allow_changed=output.allow_changed,
    )
    keep_last_seen(folder, log.vocabulary, start.last_seen if start else last_seen(log))
    report = make_report(model, training, log, epochs, warm_start=start.summary() if start else None)
    paths = [path for path in (folder.report_path, output.report_path) if path]
    _write(paths, report)
    if test_log is not None:
        logging.info("Evaluating on the test log.")
        report["test"] = test = _evaluate(recommender, test_log, evaluation)
        _write(paths, report)
        rows = {"GRU4Rec": test}
        if comparison.baselines:
            logging.info(
                "Evaluating baselines (--nobaselines leaves them out; --baseline_pairs bounds the kNN)."
            )
            report["baselines"] = _evaluate_baselines(log, test_log, evaluation, comparison)
            _write(paths, report)
            rows |= report["baselines"]
        rows |= data.best_possible()
        print(f"\n{test['events']} test events ({test['dropped_events']} of unknown items dropped):")
        print(figures_table(rows, evaluation.k))
    plot_path = folder.report_path.with_suffix(".png")
    drawn = f" and {plot_path}" if plot_report(report, plot_path) else ""
    print(f"\nThe model is in {folder.path}; the report is {folder.report_path}{drawn}.")
    return 0


def _write(paths: Sequence[Path], report: dict[str, Any]) -> None:
    """Writes what is known so far, so that a stop loses none of it."""
    from tfrs_gru4rec.atomic_files import write_json

    for path in paths:
        write_json(path, report)


def _validation_log(test_log: Any, n_events: int) -> Any:
    """Returns the first sessions of the test log, as many as were asked for."""
    if test_log is None or not n_events:
        return None
    part = test_log.first_sessions(n_events)
    return part if part.n_pairs else None


def _warm_start(old_dir: Path | None, log: Any, config: WarmStartConfig) -> Any:
    if not old_dir:
        return None
    from tfrs_gru4rec.upkeep.warm_start import WarmStart

    start = WarmStart(old_dir, log, config)
    found = start.summary()
    print(
        f"Going on from {old_dir}: {found['kept_items']} items kept, {found['new_items']} new, "
        f"{found['retired_items']} retired."
    )
    return start


def _evaluate(model: Any, test_log: Any, config: EvaluationConfig) -> dict[str, Any]:
    from tfrs_gru4rec.evaluation.coverage import catalogue_coverage
    from tfrs_gru4rec.evaluation.evaluate import evaluate
    from tfrs_gru4rec.evaluation.report import describe_test

    found = evaluate(model, test_log, config.tie, config.lanes)
    coverage = catalogue_coverage(model, test_log, max(config.k))
    return describe_test(found, config.k, model.vocabulary.counts, coverage)


def _evaluate_baselines(
    log: Any, test_log: Any, evaluation: EvaluationConfig, comparison: ComparisonConfig
) -> dict[str, Any]:
    from tfrs_gru4rec.neighbours import evaluate_baselines

    return evaluate_baselines(
        log, test_log, evaluation.k, evaluation.tie, max_pairs=comparison.baseline_pairs
    )


def _print_data(log: Any, test_log: Any) -> None:
    items = log.vocabulary.n_items
    print(f"Training on {log.n_events} events of {log.n_sessions} sessions, {items} items.")
    if test_log is not None:
        dropped = (
            f" ({test_log.dropped_events} events of unknown items dropped)" if test_log.dropped_events else ""
        )
        print(f"Testing on {test_log.n_events} events of {test_log.n_sessions} sessions{dropped}.")


COMMAND = Command("gru4rec-train", main, settings_from="warm_start_from")


def run() -> None:
    """Runs the command."""
    COMMAND.run()


if __name__ == "__main__":
    run()
