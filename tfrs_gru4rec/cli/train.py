r"""gru4rec-train: trains GRU4Rec on a click log, and evaluates it beside simple baselines.

    gru4rec-train --train_path train.tsv --test_path test.tsv --model_dir models/shop \
        --loss bpr-max --layers 224 --final_act elu-0.5 --n_epochs 10
    gru4rec-train --train_path train.tsv --model_dir models/shop --flagfile retailrocket --valid_days 7 --refit
    gru4rec-train --train_path train.tsv --model_dir models/shop --fusion neighbours
    gru4rec-train --dataset synthetic_sessions --model_dir models/demo
    gru4rec-train --train_path tuesday.tsv --model_dir models/tuesday --warm_start_from models/monday

The log is a TSV, CSV or Parquet file (also gzipped) with the columns SessionId, ItemId and Time. With --valid_days (or
another of the validation flags) the best epoch is kept, by recall@20 on the last sessions of the log; with --refit it
is trained again on all of them. The test log is read once, when training is done. The same command goes on from the
last checkpoint after an interruption. With --warm_start_from the items, weights and optimizer slots
of an older model are carried over and items that are new get rows; hyperparameters not given are that model's. Its
fusion with neighbours is carried on too, the new log added to their tables; with --fusion it is learned anew. With
--fusion neighbours no GRU is trained: item neighbours alone, counted in seconds, are evaluated and exported alike.
Several machines train one model if the same command runs on each of them with TF_CONFIG, see --exchange_steps.
"""

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.logs import DataConfig, TrainingLogs, columns_of_model
from tfrs_gru4rec.cli.tables import fusion_line, print_test
from tfrs_gru4rec.config import (
    CheckpointConfig,
    ColumnConfig,
    EvaluationConfig,
    GRU4RecConfig,
    TrainingConfig,
    ValidationConfig,
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
    """

    baselines: bool = True
    baseline_pairs: Annotated[int, Range(above=0)] = 10_000


def main(
    data: DataConfig,
    columns: ColumnConfig,
    validation: ValidationConfig,
    model: GRU4RecConfig,
    training: TrainingConfig,
    checkpoints: CheckpointConfig,
    output: RunConfig,
    warm_start: WarmStartConfig,
    evaluation: EvaluationConfig,
    comparison: ComparisonConfig,
) -> int:
    """Trains, evaluates and writes the report; returns the exit code."""
    strategy = None
    if os.environ.get("TF_CONFIG"):  # before TensorFlow, or a data set by it, computes anything
        from tfrs_gru4rec.distribution.workers import strategy_of_environment

        strategy = strategy_of_environment()
    if output.warm_start_from:
        columns = columns_of_model(columns, output.warm_start_from)
    logs = data.read_training_logs(columns, validation)
    validation = logs.validation
    warm_start = dataclasses.replace(warm_start, ticks_per_second=data.ticks_per_second)
    if validation.fusion == "neighbours":
        if not output.warm_start_from:
            # The GRU is there for the folder and the signatures, as small as can be, and nothing is asked of it.
            model = dataclasses.replace(model, layers=(1,), constrained_embedding=True, embedding=0)
        training = dataclasses.replace(training, n_epochs=0)
    _print_data(logs, model, training)
    if data.test_path and not data.test_path.exists():
        logging.warning("%s does not exist; it is read when training is done.", data.test_path)

    if "tensorflow" not in sys.modules:
        logging.info("Loading TensorFlow.")
    import tensorflow as tf

    from tfrs_gru4rec.distribution import Workers
    from tfrs_gru4rec.evaluation.html_report import show_report
    from tfrs_gru4rec.evaluation.report import make_report

    strategy = strategy or tf.distribute.get_strategy()
    if output.deterministic:
        tf.config.experimental.enable_op_determinism()
    folder = output.model_dir
    train = functools.partial(_train, strategy, model, output, checkpoints, warm_start)
    is_chief = Workers(strategy).is_chief
    trained, training, recommender, chosen = _train_and_fuse(train, training, folder, logs, is_chief)
    if not is_chief:
        return 0
    log, summary = trained.log, trained.start.summary() if trained.start else None
    report = make_report(model, training, log, trained.epochs, warm_start=summary, **chosen)
    report_path = folder / "report.json"
    paths = [path for path in (report_path, output.report_path) if path]
    _write(paths, report)
    if data.has_test:
        logging.info("Evaluating on the test log.")
        test_log = data.read_test_log(columns, log.vocabulary)
        _test(recommender, log, test_log, evaluation, comparison, report, paths)
        print_test(report, evaluation.k, data.best_possible())
    *_, page = show_report(report, report_path)
    print(f"\nThe model is in {folder}; the report is {page}, and {report_path} has its figures.")
    return 0


def _train_and_fuse(
    train: "Callable[..., _Trained]",
    training: TrainingConfig,
    folder: Path,
    logs: TrainingLogs,
    is_chief: bool,
) -> "tuple[_Trained, TrainingConfig, Any, dict[str, Any]]":
    """Trains, by what the validation says of epochs and of neighbours; these are the chief's business alone.

    Returns:
      The model; how it was trained in the end; what recommends, which may be fused; and parts of the report.
    """
    from tfrs_gru4rec.evaluation.fused import keep_fusion
    from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion

    validation, chosen, fusion = logs.validation, {}, None
    if logs.valid is not None:
        first_folder = folder / "validation" if validation.refit else folder
        trained = train(training, first_folder, logs.train, logs.valid, validation)
        if trained.epochs:
            chosen = {"validation": _describe_validation(validation, logs.valid, trained)}
            _print_validation(chosen["validation"])
    if validation.fusion != "none" and is_chief:
        logging.info("Learning what neighbours weigh.")
        fusion, chosen["fusion"] = learn_fusion(
            trained.model,
            trained.log,
            trained.valid,
            validation.fusion,
            rerank=validation.rerank,
            **trained.earlier_counts(),
        )
        print(fusion_line(chosen["fusion"]))
    if validation.refit and trained.epochs:
        training = dataclasses.replace(training, n_epochs=chosen["validation"]["best_epoch"])
        print(f"Training again on all sessions: {logs.whole.n_events} events, epochs: {training.n_epochs}.")
    if validation.refit or logs.valid is None:
        trained = train(training, folder, logs.whole, None, ValidationConfig())
        if fusion:
            fusion = fusion.recounted(trained.log, **trained.earlier_counts())
    if trained.start and validation.fusion == "none":
        fusion = trained.start.fusion()
        if fusion and not validation.rerank:
            fusion = dataclasses.replace(fusion, network=None)
    recommender = keep_fusion(trained.model, fusion, folder) if is_chief else None
    return trained, training, recommender, chosen


def _test(
    recommender: Any,
    log: Any,
    test_log: Any,
    evaluation: EvaluationConfig,
    comparison: ComparisonConfig,
    report: dict[str, Any],
    paths: Sequence[Path],
) -> None:
    """Adds the figures of a test to a report, written as they come."""
    from tfrs_gru4rec.evaluation.report import evaluate_parts
    from tfrs_gru4rec.neighbours import evaluate_baselines

    found, parts = evaluate_parts(recommender, test_log, evaluation)
    report |= parts
    _write(paths, report)
    if not comparison.baselines:
        return
    logging.info("Evaluating baselines (--nobaselines leaves them out; --baseline_pairs bounds the kNN).")
    report["baselines"] = evaluate_baselines(
        log, test_log, evaluation.k, evaluation.tie, max_pairs=comparison.baseline_pairs, model=found
    )
    _write(paths, report)


@dataclasses.dataclass(frozen=True, eq=False)
class _Trained:
    """A trained model, its logs, the records of its epochs, and the warm start that it began with."""

    model: Any
    log: Any
    valid: Any
    measured: Any  # the part of the validation that each epoch was measured on
    epochs: list[dict[str, Any]]
    best: dict[str, float]  # the figures of the best epoch on all of the validation, if there is one
    start: Any

    def earlier_counts(self) -> dict[str, Any]:
        return self.start.earlier_counts() if self.start else {}


def _train(
    strategy: Any,
    model: GRU4RecConfig,
    output: RunConfig,
    checkpoints: CheckpointConfig,
    warm_start: WarmStartConfig,
    training: TrainingConfig,
    path: Path,
    log: Any,
    valid: Any,
    validation: ValidationConfig,
) -> _Trained:
    """Trains a model in a folder, or goes on with it there."""
    from tfrs_gru4rec.distribution import Workers
    from tfrs_gru4rec.models import GRU4Rec
    from tfrs_gru4rec.training import ModelFolder, fit
    from tfrs_gru4rec.training.best_epoch import best_epoch
    from tfrs_gru4rec.training.callbacks import measure
    from tfrs_gru4rec.upkeep.carried_rows import in_rows_of, last_seen
    from tfrs_gru4rec.upkeep.warm_start import keep_last_seen

    start = _warm_start(output.warm_start_from, log, warm_start)
    log = start.log if start else log
    valid = in_rows_of(valid, log.vocabulary) if start and valid is not None else valid
    with strategy.scope():
        recommender = GRU4Rec(log.vocabulary, model)
    folder, measured = ModelFolder(path), valid
    if valid is not None and 0 < validation.valid_clicks < valid.n_pairs:
        measured = valid.some_sessions(validation.valid_clicks, model.seed)
    epochs = fit(
        recommender,
        log,
        training,
        folder,
        checkpoints=checkpoints,
        verbose=1 if output.progress else 2,
        prepare=start.apply if start else None,
        validation_log=measured,
        early_stop_epochs=validation.early_stop_epochs,
        allow_changed=output.allow_changed,
    )
    if Workers(strategy).is_chief:
        keep_last_seen(folder, log.vocabulary, start.last_seen if start else last_seen(log))
    best: dict[str, float] = {}
    if valid is not None and epochs:
        with Workers(strategy).together():
            best = epochs[best_epoch(epochs) or 0] if measured is valid else measure(recommender, valid)
    return _Trained(recommender, log, valid, measured, epochs, best, start)


def _describe_validation(validation: ValidationConfig, valid: Any, trained: _Trained) -> dict[str, Any]:
    from tfrs_gru4rec.training.best_epoch import MRR, RECALL, best_epoch

    return {
        "sessions_of": validation.source,
        "sessions": valid.n_sessions,
        "events": valid.n_events,
        "clicks": valid.n_pairs,
        "clicks_of_an_epoch": trained.measured.n_pairs,
        "best_epoch": (best_epoch(trained.epochs) or 0) + 1,
        "recall": {"20": trained.best[RECALL]},
        "mrr": {"20": trained.best[MRR]},
        "refit": validation.refit,
        "epochs": trained.epochs,
    }


def _print_validation(found: Mapping[str, Any]) -> None:
    by = "" if found["clicks"] == found["clicks_of_an_epoch"] else f" of {found['clicks_of_an_epoch']} clicks"
    print(
        f"Best of {len(found['epochs'])} epochs: {found['best_epoch']}, by recall@20{by}. It has "
        f"{found['recall']['20']:.4f} (MRR@20 {found['mrr']['20']:.4f}) on {found['sessions_of']}."
    )


def _write(paths: Sequence[Path], report: dict[str, Any]) -> None:
    """Writes what is known so far, so that a stop loses none of it."""
    from tfrs_gru4rec.atomic_files import write_json

    for path in paths:
        write_json(path, report)


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


def _print_data(logs: TrainingLogs, model: GRU4RecConfig, training: TrainingConfig) -> None:
    log, valid = logs.train, logs.valid
    print(f"Training on {log.n_events} events of {log.n_sessions} sessions, {log.vocabulary.n_items} items.")
    if valid is not None:
        dropped = f" ({valid.dropped_events} events of unknown items dropped)" if valid.dropped_events else ""
        print(
            f"Validating on {valid.n_events} events of {valid.n_sessions} sessions, {logs.validation.source}{dropped}."
        )
    if not training.n_epochs:
        return
    layers = ",".join(map(str, model.layers))
    print(
        f"With {model.loss}, layers {layers}, dropout {model.dropout_p_embed:g} and {model.dropout_p_hidden:g}, "
        f"{model.n_sample} negatives, batch size {training.batch_size}, learning rate {training.learning_rate:g}."
    )


COMMAND = Command(
    "gru4rec-train",
    main,
    flag_names={"warm_start": {"ticks_per_second": None}},  # as of the data
    settings_from="warm_start_from",
    has_defaults=True,
)
run = COMMAND.run

if __name__ == "__main__":
    run()
