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

from pathlib import Path
from typing import Any

from absl import flags

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.cli import log_flags
from tfrs_gru4rec.cli.command import run_command
from tfrs_gru4rec.cli.hyperparameter_flags import (
    define_checkpoint_flags,
    define_hyperparameter_flags,
    define_warm_start_flags,
    read_config,
    settings_of,
)
from tfrs_gru4rec.cli.tables import figures_table
from tfrs_gru4rec.config import CheckpointConfig, GRU4RecConfig, TrainingConfig, WarmStartConfig


def define_flags(values: flags.FlagValues) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string(
        "model_dir",
        None,
        "Folder for the model, its checkpoints and logs.",
        flag_values=values,
        required=True,
    )
    log_flags.define_log_flags(values, train=True)
    define_hyperparameter_flags(values)
    flags.DEFINE_string(
        "warm_start_from",
        None,
        "Folder of an older model to go on from with the items of a new log.",
        flag_values=values,
    )
    define_warm_start_flags(values)
    define_checkpoint_flags(values)
    flags.DEFINE_list(
        "allow_changed",
        [],
        "Settings or properties of the data, as training.learning_rate or data.checksum, that may differ from those "
        "that the run in --model_dir began with; without it a change is refused.",
        flag_values=values,
    )
    log_flags.define_measure_flags(values)
    flags.DEFINE_integer(
        "epoch_test_events",
        20_000,
        "Test events, the first of the log, that recall@20 is measured on after each epoch, for the curve in the "
        "report; 0: none.",
        0,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "baselines", True, "Also evaluate simple baselines on the same logs.", flag_values=values
    )
    flags.DEFINE_integer(
        "baseline_pairs",
        10_000,
        "Most test events that the slow baseline (kNN) is asked.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "deterministic",
        False,
        "Same bits at every run on this machine, by slower operations.",
        flag_values=values,
    )
    flags.DEFINE_string("report_path", None, "JSON report (also in model_dir).", flag_values=values)
    flags.DEFINE_bool("progress", True, "Show a progress bar.", flag_values=values)


def main(values: flags.FlagValues) -> int:
    """Trains, evaluates and writes the report; returns the exit code."""
    old_dir = _old_model_dir(values)
    old_settings = settings_of(old_dir)
    model_config = read_config(GRU4RecConfig, values, old_settings["model"])
    training_config = read_config(TrainingConfig, values, old_settings["training"])
    warm_config = read_config(WarmStartConfig, values)
    checkpoint_config = read_config(CheckpointConfig, values)
    list_lengths = log_flags.list_lengths(values)
    log = log_flags.read_train_log(values)
    start = _warm_start(old_dir, log, warm_config)
    log = start.log if start else log
    test_log = log_flags.read_test_log(values, log.vocabulary)
    _print_data(log, test_log)

    import tensorflow as tf

    from tfrs_gru4rec import training
    from tfrs_gru4rec.evaluation.plots import plot_report
    from tfrs_gru4rec.evaluation.report import make_report
    from tfrs_gru4rec.models import GRU4Rec
    from tfrs_gru4rec.upkeep.carried_rows import last_seen
    from tfrs_gru4rec.upkeep.warm_start import keep_last_seen

    if values["deterministic"].value:
        tf.config.experimental.enable_op_determinism()
    folder = training.ModelFolder(values["model_dir"].value)
    model = GRU4Rec(log.vocabulary, model_config)
    epochs = training.fit(
        model,
        log,
        training_config,
        folder,
        checkpoints=checkpoint_config,
        verbose=1 if values["progress"].value else 2,
        prepare=start.apply if start else None,
        validation_log=_validation_log(values, test_log),
        allow_changed=values["allow_changed"].value,
    )
    keep_last_seen(folder, log.vocabulary, start.last_seen if start else last_seen(log))
    report = make_report(
        model_config, training_config, log, epochs, warm_start=start.summary() if start else None
    )
    _write(values, folder, report)
    if test_log is not None:
        _measure(values, folder, report, model, log, test_log, list_lengths)
    plot_path = folder.report_path.with_suffix(".png")
    drawn = f" and {plot_path}" if plot_report(report, plot_path) else ""
    print(f"\nThe model is in {folder.path}; the report is {folder.report_path}{drawn}.")
    return 0


def _write(values: flags.FlagValues, folder: Any, report: dict[str, Any]) -> None:
    from tfrs_gru4rec.atomic_files import write_json

    for path in filter(None, (folder.report_path, values["report_path"].value)):
        write_json(path, report)


def _measure(
    values: flags.FlagValues,
    folder: Any,
    report: dict[str, Any],
    model: Any,
    log: Any,
    test_log: Any,
    k: tuple[int, ...],
) -> None:
    """Evaluates the model, then the slower baselines; prints and reports each as soon as it is known."""
    test = report["test"] = _evaluate(values, model, test_log, k)
    _write(values, folder, report)
    rows = {"GRU4Rec": test}
    print(f"\n{test['events']} test events ({test['dropped_events']} of unknown items dropped):")
    print(figures_table(rows, k))
    if values["baselines"].value:
        print("\nBeside baselines (--nobaselines leaves them out; --baseline_pairs bounds the kNN):")
        report["baselines"] = _evaluate_baselines(values, log, test_log, k)
        _write(values, folder, report)
        rows |= report["baselines"]
    best = log_flags.best_possible(values)
    if best:
        rows["best possible"] = best
    if len(rows) > 1:
        print(figures_table(rows, k))


def _validation_log(values: flags.FlagValues, test_log: Any) -> Any:
    """Returns the first sessions of the test log, as many as were asked for."""
    n_events = values["epoch_test_events"].value
    if test_log is None or not n_events:
        return None
    part = test_log.first_sessions(n_events)
    return part if part.n_pairs else None


def _old_model_dir(values: flags.FlagValues) -> str | None:
    old_dir: str | None = values["warm_start_from"].value
    model_dir = values["model_dir"].value
    require(
        not old_dir or Path(old_dir).resolve() != Path(model_dir).resolve(),
        "A warm start leaves the old model as it is: give another --model_dir.",
        model_dir=model_dir,
    )
    return old_dir


def _warm_start(old_dir: str | None, log: Any, config: WarmStartConfig) -> Any:
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


def _evaluate(values: flags.FlagValues, model: Any, test_log: Any, k: tuple[int, ...]) -> dict[str, Any]:
    from tfrs_gru4rec.evaluation.coverage import catalogue_coverage
    from tfrs_gru4rec.evaluation.evaluate import evaluate
    from tfrs_gru4rec.evaluation.report import describe_test

    evaluation = evaluate(model, test_log, values["tie"].value)
    coverage = catalogue_coverage(model, test_log, max(k))
    return describe_test(evaluation, k, model.vocabulary.counts, coverage)


def _print_data(log: Any, test_log: Any) -> None:
    items = log.vocabulary.n_items
    print(f"Training on {log.n_events} events of {log.n_sessions} sessions, {items} items.")
    if test_log is not None:
        dropped = (
            f" ({test_log.dropped_events} events of unknown items dropped)" if test_log.dropped_events else ""
        )
        print(f"Testing on {test_log.n_events} events of {test_log.n_sessions} sessions{dropped}.")


def _evaluate_baselines(
    values: flags.FlagValues, log: Any, test_log: Any, k: tuple[int, ...]
) -> dict[str, Any]:
    from tfrs_gru4rec.neighbours import evaluate_baselines

    pairs = values["baseline_pairs"].value
    require(
        pairs > 0,
        "baseline_pairs must be above 0; --nobaselines leaves the baselines out.",
        baseline_pairs=pairs,
    )
    return evaluate_baselines(log, test_log, k, values["tie"].value, max_pairs=pairs)


def run() -> None:
    """Runs the command."""
    run_command("gru4rec-train", define_flags, main)


if __name__ == "__main__":
    run()
