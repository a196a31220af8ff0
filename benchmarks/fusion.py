"""How much better is a GRU with its neighbours? Recall@20 and MRR@20 on a test, several seeds, paired intervals.

    python benchmarks/fusion.py --seeds 0,1,2 --work_dir runs/fusion
    python benchmarks/fusion.py --synthetic noise,default,predictable --seeds 0 --work_dir runs/fusion

For each seed the GRU is trained as `gru4rec-train --loss` does without another model flag: the number of epochs, and
the weights and networks of the fusions, are learned on the last tenth of the training sessions, then all of it is
trained on. The test is read once, by all. The log is Diginetica, or that of `--synthetic`, whose best figures are
known. A run that was stopped goes on. Results: benchmarks/RESULTS.md.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from absl import app, flags
from measuring import log_flags

import tfrs_gru4rec as g4r
from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.cli import train
from tfrs_gru4rec.config import ValidationConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion
from tfrs_gru4rec.metrics import RankedPairs
from tfrs_gru4rec.neighbours.compare import rank_by
from tfrs_gru4rec.neighbours.item_knn import ItemKNN
from tfrs_gru4rec.neighbours.sequential_rules import SequentialRules
from tfrs_gru4rec.neighbours.session_knn import SessionKNN
from tfrs_gru4rec.neighbours.vstan import VSTAN
from tfrs_gru4rec.training.model_folder import load_model

_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "seeds of the GRU")
_SYNTHETIC = flags.DEFINE_list("synthetic", [], "synthetic_sessions of these knobs instead of Diginetica")
_LOSS = flags.DEFINE_string(
    "loss", "cross-entropy", "loss of the GRU, with the default settings of that loss"
)
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/fusion", "folder of the models")
_BASELINES = {"session kNN": SessionKNN, "VSTAN": VSTAN, "item kNN": ItemKNN, "rules": SequentialRules}
_FUSIONS = {
    "rules": "GRU and rules",
    "knn": "GRU and item kNN",
    "both": "GRU and both",
    "neighbours": "neighbours",
}
_RERANKED = ("both", "neighbours")


def read_logs(name: str, work_dir: Path) -> tuple[g4r.SessionLog, g4r.SessionLog]:
    """Returns the training and the test log."""
    arguments = train.COMMAND.parse(["train", *log_flags(name, work_dir), "--model_dir=-"])
    data, columns = arguments["data"], arguments["columns"]
    log = data.read_training_logs(columns, ValidationConfig()).train
    return log, data.read_test_log(columns, log.vocabulary)


def rank_by_models(folder: Path, log: g4r.SessionLog, test: g4r.SessionLog) -> dict[str, RankedPairs]:
    """Ranks the test by what `gru4rec-train` has left in a folder, alone and with each choice of neighbours."""
    earlier, valid = log.split_by_time(share=0.1)
    whole, before = load_model(folder), load_model(folder / "validation")
    found = {"GRU": evaluate(whole, test)}
    for choice, label in _FUSIONS.items():
        fusion, _ = learn_fusion(before, earlier, valid, choice, rerank=choice in _RERANKED)
        fusion = fusion.recounted(log)
        found[label] = evaluate(FusedModel(whole, dataclasses.replace(fusion, network=None)), test)
        if choice in _RERANKED:
            found[f"{label}, reranked"] = evaluate(FusedModel(whole, fusion), test)
    return found


def differences(found: Mapping[str, RankedPairs], best: str, other: str) -> str:
    """Returns by how much one is ahead of another, with paired intervals."""
    ahead, parts = found[best].compare(found[other], (20,)), []
    for name in ("recall", "mrr"):
        gain, (low, high) = ahead[name]["20"], ahead["intervals"][name]["20"]
        share = gain / found[other].figures((20,))[name]["20"]
        parts.append(f"{name}@20 {gain:+.4f} [{low:.4f}, {high:.4f}] ({share:+.1%})")
    return f"{best} on {other}: {', '.join(parts)}"


def measure(name: str, work_dir: Path) -> None:
    """Trains and measures on one log, prints the tables and keeps their numbers."""
    folders = {seed: work_dir / name / f"seed-{seed}" for seed in _SEEDS.value}
    for seed, folder in folders.items():
        more = [
            f"--loss={_LOSS.value}",
            "--valid_share=0.1",
            "--fusion=none",
            f"--seed={seed}",
            "--nobaselines",
            "--noprogress",
            f"--model_dir={folder}",
        ]
        train.COMMAND.work(["train", *log_flags(name, work_dir), *more])
    log, test = read_logs(name, work_dir)
    counted = {label: rank_by(baseline(log), test) for label, baseline in _BASELINES.items()}
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed, folder in folders.items():
        found = {**counted, **rank_by_models(folder, log, test)}
        for label, ranks in found.items():
            rows.setdefault(label, []).append((ranks.recall(20), ranks.mrr(20)))
        best = "GRU and both, reranked"
        for other in ("GRU", "GRU and both", *counted):
            print(f"{name}, seed {seed}: {differences(found, best, other)}", flush=True)
    write_json(work_dir / f"{name}.json", rows)
    print(f"\n| {name} | recall@20, by seed | mean | MRR@20, by seed | mean |\n|---|---|---|---|---|")
    for label, figures in rows.items():
        recalls, reciprocals = np.array(figures).T
        cells = [" ".join(f"{value:.4f}" for value in each) for each in (recalls, reciprocals)]
        print(
            f"| {label} | {cells[0]} | {recalls.mean():.4f} | {cells[1]} | {reciprocals.mean():.4f} |",
            flush=True,
        )


def main(argv: list[str]) -> None:
    """Measures on every log asked for."""
    for name in _SYNTHETIC.value or ["diginetica"]:
        measure(name, Path(_WORK_DIR.value))


if __name__ == "__main__":
    app.run(main)
