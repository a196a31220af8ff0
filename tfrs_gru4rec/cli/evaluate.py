"""gru4rec-evaluate: recall@k and MRR@k of a trained model on a test log, over the full catalogue.

    gru4rec-evaluate --model_dir models/shop --test_path test.tsv --k 1,5,10,20 --tie standard

Events of items that the model was not trained on are left out and counted.
"""

from absl import flags

from tfrs_gru4rec.cli import log_flags
from tfrs_gru4rec.cli.command import run_command
from tfrs_gru4rec.cli.tables import figures_table, position_table


def define_flags(values: flags.FlagValues) -> None:
    """Defines the command's flags in `values`."""
    flags.DEFINE_string("model_dir", None, "Folder of the trained model.", flag_values=values, required=True)
    log_flags.define_log_flags(values, train=False)
    log_flags.define_measure_flags(values)
    flags.DEFINE_integer("lanes", 512, "Sessions followed at a time.", flag_values=values)
    flags.DEFINE_string("report_path", None, "Write the figures to this JSON file.", flag_values=values)


def main(values: flags.FlagValues) -> int:
    """Evaluates, prints and writes the report; returns the exit code."""
    list_lengths = log_flags.list_lengths(values)

    from tfrs_gru4rec.atomic_files import write_json
    from tfrs_gru4rec.evaluation.evaluate import evaluate
    from tfrs_gru4rec.evaluation.report import describe_test
    from tfrs_gru4rec.training import load_model

    model = load_model(values["model_dir"].value)
    log = log_flags.read_test_log(values, model.vocabulary)
    if log is None:
        raise ValueError("Give --test_path or --dataset, the log to evaluate on.")
    evaluation = evaluate(model, log, values["tie"].value, values["lanes"].value)
    test = describe_test(evaluation, list_lengths)
    print(
        f"{test['events']} test events in {evaluation.seconds:.1f} s "
        f"({test['dropped_events']} of unknown items dropped), ties {values['tie'].value}:"
    )
    print(figures_table({"GRU4Rec": test}, list_lengths))
    print()
    print(position_table(test["by_position"], max(list_lengths)))
    if values["report_path"].value:
        write_json(values["report_path"].value, {"test": test, "tie": values["tie"].value})
    return 0


def run() -> None:
    """Runs the command."""
    run_command("gru4rec-evaluate", define_flags, main)


if __name__ == "__main__":
    run()
