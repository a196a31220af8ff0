"""gru4rec-tune: finds good settings for a log, without a look at its test set.

    gru4rec-tune --train_path train.tsv --valid_days 7 --output_dir studies/shop --budget_minutes 60
    gru4rec-tune --train_path train.tsv --valid_share 0.1 --output_dir studies/shop --n_trials 20 --space space.toml
    gru4rec-train --train_path train.tsv --model_dir models/shop --flagfile studies/shop/best.flags

Tries settings of GRU4Rec and of session kNN, each by its recall@20 on the validation, learns there what the neighbours
of the best model weigh, and then trains it again on all sessions. The output folder holds best.flags and trials.csv,
which are there as soon as one trial is done, study.png, report.json and the model. The same command goes on with one
that was stopped, and several processes may share one. The test log, if there is one, is read after the study.

A file for --space has a table for each loss that is tried; what it does not name has its default:

    [cross-entropy]
    layers = [[64], [128], [64, 64]]
    learning_rate = {low = 0.01, high = 0.3, log = true}
    n_sample = 2048
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.logs import DataConfig, TrainingLogs
from tfrs_gru4rec.cli.tables import fusion_line, print_test
from tfrs_gru4rec.config import FUSIONS, ColumnConfig, EvaluationConfig, ValidationConfig
from tfrs_gru4rec.settings import OneOf, Range, Settings

_DEFAULT_MINUTES = 60.0
_NOT_SETTINGS = ("trial", "recall", "mrr", "epochs", "seconds", "reason")
# The study has a patience of its own, and always trains its best model again.
_NOT_OF_A_STUDY = dict.fromkeys(
    ("valid_auto", "valid_clicks", "early_stop_epochs", "refit", "fusion", "rerank")
)


@dataclasses.dataclass(frozen=True)
class StudyConfig(Settings):
    """What is tried, and for how long.

    Attributes:
      output_dir: folder of the study; one that holds a study goes on with it.
      budget_minutes: minutes for all trials, those of earlier calls and of other processes included; 0: no bound.
      n_trials: trials in all, those of earlier calls included; 0: no bound. Without either bound, 60 minutes.
      space: TOML file of what to try; by default both losses of the published recipes.
      n_epochs: most epochs of a trial.
      early_stop_epochs: end a trial when its best epoch lies so many epochs back; 0: never.
      tune_knn: also tune session kNN, one trial of it after every two others.
      fusion: neighbours whose word is added to the best model's scores, as gru4rec-train does it.
      seed: of the models and of the search.
    """

    output_dir: Path
    budget_minutes: Annotated[float, Range(at_least=0)] = 0.0
    n_trials: Annotated[int, Range(at_least=0)] = 0
    space: Path | None = None
    n_epochs: Annotated[int, Range(above=0)] = 20
    early_stop_epochs: Annotated[int, Range(at_least=0)] = 2
    tune_knn: bool = True
    fusion: Annotated[str, OneOf(FUSIONS)] = "auto"
    seed: int = 0


def main(
    data: DataConfig,
    columns: ColumnConfig,
    validation: ValidationConfig,
    study: StudyConfig,
    evaluation: EvaluationConfig,
) -> int:
    """Tunes, trains the best model on all sessions, evaluates it; returns the exit code."""
    require_flags(
        bool(validation.source),
        "Give the sessions to choose by: --valid_days, --valid_share, --valid_path or --valid_split.",
        valid_days=validation.valid_days,
    )
    logging.info("Loading Optuna and TensorFlow.")
    from tfrs_gru4rec.atomic_files import write_json
    from tfrs_gru4rec.evaluation.fused import keep_fusion
    from tfrs_gru4rec.tuning import SearchSpace

    space = SearchSpace.from_file(study.space) if study.space else SearchSpace()
    logs = data.read_training_logs(columns, dataclasses.replace(validation, refit=True))
    valid: Any = logs.valid  # is there, as its source is
    found = _study(study, space, logs, valid)
    print(f"\nThe best of {len(found.trials)} trials, by recall@20 in validation:")
    print(_trials_table(found))
    if study.fusion != "none":
        print(fusion_line(found.fusion_report))
    report: dict[str, Any] = {
        "validation": {"sessions_of": validation.source, "events": valid.n_events},
        "trials": found.trials,
        "knn_trials": found.knn,
        "fusion": found.fusion_report,
    }
    report_path, model_dir = study.output_dir / "report.json", study.output_dir / "model"
    write_json(report_path, report)
    print(f"Training again on all sessions: {logs.whole.n_events} events, epochs: {found.training.n_epochs}.")
    fusion = found.fusion.recounted(logs.whole) if found.fusion else None
    model = keep_fusion(_refit(found, logs.whole, model_dir), fusion, model_dir)
    if data.has_test:
        test_log = data.read_test_log(columns, logs.whole.vocabulary)
        report |= _test(found, model, logs.whole, test_log, evaluation)
        write_json(report_path, report)
        print_test(report, evaluation.k)
    print(f"\nThe settings are in {study.output_dir / 'best.flags'}, the model is in {model_dir}.")
    return 0


def _study(study: StudyConfig, space: Any, logs: TrainingLogs, valid: Any) -> Any:
    """Looks for the best settings."""
    from tfrs_gru4rec.tuning import tune

    train = logs.train
    print(
        f"Tuning on {train.n_events} events of {train.n_sessions} sessions, {train.vocabulary.n_items} items;\n"
        f"validating on {valid.n_events} events of {valid.n_sessions} sessions, {logs.validation.source}."
    )
    is_bounded = study.budget_minutes or study.n_trials
    return tune(
        train,
        valid,
        study.output_dir,
        space,
        n_trials=study.n_trials or None,
        budget_minutes=study.budget_minutes or (None if is_bounded else _DEFAULT_MINUTES),
        n_epochs=study.n_epochs,
        early_stop_epochs=study.early_stop_epochs,
        tune_knn=study.tune_knn,
        fusion=study.fusion,
        seed=study.seed,
    )


def _test(found: Any, model: Any, log: Any, test_log: Any, evaluation: EvaluationConfig) -> dict[str, Any]:
    """Measures the model and the tuned kNN on the test log; returns the parts of a report."""
    from tfrs_gru4rec.evaluation.report import evaluate_parts
    from tfrs_gru4rec.neighbours.compare import describe_baseline, rank_by
    from tfrs_gru4rec.neighbours.session_knn import SessionKNN

    ranks, parts = evaluate_parts(model, test_log, evaluation)
    if not found.knn:
        return parts
    settings = {name: found.knn[0][name] for name in ("n_neighbours", "n_candidates", "idf")}
    knn = rank_by(SessionKNN(log, **settings), test_log, evaluation.tie)
    return parts | {"baselines": {"session_knn": describe_baseline(knn, evaluation.k, ranks)}}


def _refit(found: Any, log: Any, path: Path) -> Any:
    """Trains the best model on all sessions; one of other settings, from before the study went on, gives way."""
    from tfrs_gru4rec.models import GRU4Rec
    from tfrs_gru4rec.training import ModelFolder, fit
    from tfrs_gru4rec.training.checkpoints import train_or_begin_again
    from tfrs_gru4rec.upkeep.carried_rows import last_seen
    from tfrs_gru4rec.upkeep.warm_start import keep_last_seen

    folder = ModelFolder(path)

    def train() -> Any:
        model = GRU4Rec(log.vocabulary, found.model)
        fit(model, log, found.training, folder, verbose=2)
        return model

    model = train_or_begin_again(train, path)
    keep_last_seen(folder, log.vocabulary, last_seen(log))
    return model


def _trials_table(found: Any) -> str:
    """Formats the ten best trials, and the best of session kNN."""
    lines = [f"{'trial':>5}{'recall@20':>11}{'MRR@20':>9}{'epochs':>8}  settings"]
    for row in [*found.trials[:10], *found.knn[:1]]:
        settings = {name: value for name, value in row.items() if name not in _NOT_SETTINGS}
        words = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in settings.items()
        )
        figures = f"{row['recall']:11.4f}{row['mrr']:9.4f}{row['epochs'] or '':>8}"
        lines.append(f"{row['trial']:>5}{figures}  {words if row['epochs'] else 'session kNN, ' + words}")
    return "\n".join(lines)


COMMAND = Command(
    "gru4rec-tune", main, flag_names={"data": {"dwell_seconds": None}, "validation": _NOT_OF_A_STUDY}
)
run = COMMAND.run

if __name__ == "__main__":
    run()
