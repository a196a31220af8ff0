"""How good are the defaults? Recall@20 on the test of each log: without a flag, by two published recipes, and tuned.

    python benchmarks/defaults.py --n_trials 20 --work_dir runs/defaults
    python benchmarks/defaults.py --logs noise,predictable --n_trials 8 --work_dir runs/defaults

Each log is trained on by the command that a user would give, in a folder of its own, so a run that was stopped goes on.
Diginetica and MovieLens are left out where their files are not found, see BUILD.md. Results: benchmarks/RESULTS.md.
"""

import json
from pathlib import Path

from absl import app, flags
from measuring import log_flags

from tfrs_gru4rec.cli import train, tune

_SYNTHETIC = ("default", "noise", "predictable")
_LOGS = flags.DEFINE_list("logs", ["diginetica", "movielens", *_SYNTHETIC], "which logs")
_TRIALS = flags.DEFINE_integer("n_trials", 20, "trials of each study; 0 leaves tuning out")
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/defaults", "folder of the models and studies")


def recall(path: Path, part: str = "test") -> str:
    """Reads recall@20 from a report."""
    report = json.loads(path.read_text())
    return f"{report[part]['recall']['20']:.4f}" if part in report else "-"


def main(argv: list[str]) -> None:
    """Trains everything and prints the table."""
    work_dir = Path(_WORK_DIR.value)
    print(f"{'log':14}{'defaults':>10}{'alone':>10}{'rsc15':>10}{'retailr.':>10}{'tuned':>10}")
    for name in _LOGS.value:
        try:
            data = log_flags(name, work_dir)
        except FileNotFoundError as error:
            print(f"{name:14} {error}")
            continue
        cells = []
        for kind, more in {
            "defaults": [],
            **{each: [f"--flagfile={each}"] for each in ("rsc15", "retailrocket")},
        }.items():
            folder = work_dir / name / kind
            train.COMMAND.work(
                ["train", *data, f"--model_dir={folder}", "--nobaselines", "--noprogress", *more]
            )
            cells.append(recall(folder / "report.json"))
            if kind == "defaults":  # the GRU without its neighbours
                cells.append(recall(folder / "report.json", "test_alone"))
        if _TRIALS.value:
            folder = work_dir / name / "tuned"
            study = [f"--output_dir={folder}", "--valid_share=0.1", f"--n_trials={_TRIALS.value}"]
            tune.COMMAND.work(["tune", *data, *study])
            cells.append(recall(folder / "report.json"))
        print(f"{name:14}" + "".join(f"{cell:>10}" for cell in cells), flush=True)


if __name__ == "__main__":
    app.run(main)
