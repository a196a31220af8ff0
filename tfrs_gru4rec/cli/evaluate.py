"""gru4rec-evaluate: recall@k and MRR@k of a trained model on a test log, over the full catalogue.

    gru4rec-evaluate --model_dir models/shop --test_path test.tsv --k 1,5,10,20 --tie standard

Events of items that the model was not trained on are left out and counted.
"""

import dataclasses
from pathlib import Path

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import require_flags
from tfrs_gru4rec.cli.logs import DataConfig
from tfrs_gru4rec.cli.tables import (
    all_pairs_line,
    events_line,
    figures_table,
    further_figures_table,
    position_table,
)
from tfrs_gru4rec.config import ColumnConfig, EvaluationConfig
from tfrs_gru4rec.settings import Settings


@dataclasses.dataclass(frozen=True)
class ModelConfig(Settings):
    """Which model is evaluated, and where its figures go.

    Attributes:
      model_dir: folder of the trained model.
      report_path: write the figures to this JSON file, and a page and a picture of the same name beside it.
    """

    model_dir: Path
    report_path: Path | None = None

    def __post_init__(self) -> None:
        """Checks that the page and the picture do not take the place of the JSON file."""
        super().__post_init__()
        rule = "--report_path is the JSON file; the page and the picture get its name with .html and .png."
        is_json = self.report_path is None or self.report_path.suffix not in (".html", ".png")
        require_flags(is_json, rule, report_path=str(self.report_path))


def main(data: DataConfig, columns: ColumnConfig, evaluation: EvaluationConfig, output: ModelConfig) -> int:
    """Evaluates, prints and writes the report; returns the exit code."""
    require_flags(
        data.has_test,
        "Give --test_path or --dataset, the log to evaluate on.",
        test_path=data.test_path,
        dataset=data.dataset,
    )

    logging.info("Loading the model in %s.", output.model_dir)
    from tfrs_gru4rec.atomic_files import write_json
    from tfrs_gru4rec.evaluation.fused import with_fusion
    from tfrs_gru4rec.evaluation.html_report import show_report
    from tfrs_gru4rec.evaluation.report import describe_log, evaluate_test
    from tfrs_gru4rec.training import ModelFolder, load_model

    model = with_fusion(load_model(output.model_dir), output.model_dir)
    log = data.read_test_log(columns, model.vocabulary)
    found, test = evaluate_test(model, log, evaluation)
    print(f"{events_line(test)} in {found.seconds:.1f} s, ties {evaluation.tie}:")
    print(figures_table({test.get("recommender", "GRU4Rec"): test}, evaluation.k))
    if test["known_share"] < 1:
        print(all_pairs_line(test, max(evaluation.k)))
    print(f"\nWhat is recommended, in {test['lists']['lists']} lists:")
    print(further_figures_table(test))
    print()
    print(position_table(test["by_position"], max(evaluation.k)))
    if output.report_path:
        settings = ModelFolder(output.model_dir).settings()
        config = {**settings["model"], **settings["training"]}
        report = {"config": config, "data": describe_log(log), "test": test, "tie": evaluation.tie}
        write_json(output.report_path, report)
        show_report(report, output.report_path)
    return 0


COMMAND = Command(
    "gru4rec-evaluate",
    main,
    flag_names={
        "data": {"train_path": None, "train_split": None, "ticks_per_second": None, "dwell_seconds": None}
    },
)
run = COMMAND.run

if __name__ == "__main__":
    run()
