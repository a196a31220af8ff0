"""Retrained, from scratch, and stale models on the following block of time: recall and seconds, a table and a plot.

    python benchmarks/retraining.py --plot_path benchmarks/retraining.png
    python benchmarks/retraining.py --fusion

Diginetica's training log is cut by time into blocks of equal numbers of sessions. The first `--first_blocks` make the
first model. For each later block three models are compared on the block that follows it:

- stale: the first model;
- retrained: the model of the block before, warm-started on this block alone;
- scratch: a new model of all blocks so far.

With --fusion the first model is fused with both neighbours, by weights learned on the last tenth of its sessions, and
four are compared:

- stale: the first model with its neighbours;
- gru: the model of the block before, warm-started on this block, with the neighbours of the first model;
- neighbours: the first model's GRU, with neighbours that learn from each block;
- both: a warm-started GRU and neighbours that learn.

Recall counts every pair of the following block; a pair whose items a model does not know is a miss. Seconds are those
of training alone.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import required_folder

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.evaluation.fused import FusedModel, keep_fusion
from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog, log_of_events
from tfrs_gru4rec.training import ModelFolder, fit
from tfrs_gru4rec.upkeep.day_figures import measure_day
from tfrs_gru4rec.upkeep.warm_start import WarmStart

# The recipe of cross-entropy on this log, by Adagrad.
MODEL = GRU4RecConfig(layers=(100,), loss="cross-entropy", logq=1.0, sample_alpha=0.75, dropout_p_embed=0.1)
PLAIN, FUSED = ("stale", "retrained", "scratch"), ("stale", "gru", "neighbours", "both")
COLOURS = ("#e08214", "#2166ac", "#5aae61", "#762a83")


def part(log: SessionLog, first: int, last: int) -> SessionLog:
    """Returns the sessions first … last - 1 of a log, with a vocabulary of their own."""
    events = slice(log.offsets[first], log.offsets[last])
    sessions = np.repeat(np.arange(last - first, dtype=np.int32), log.lengths[first:last])
    return log_of_events(sessions, log.items[events], log.vocabulary.ids, log.times[events])


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model, where it is, and what it took."""

    model: GRU4Rec | FusedModel
    folder: ModelFolder
    seconds: float


def train(
    log: SessionLog,
    folder: Path,
    training: TrainingConfig,
    old: Trained | None = None,
    neighbours_learn: bool = True,
) -> Trained:
    """Trains from scratch, or from an old model on."""
    started = time.perf_counter()
    names = ("new_item_rows", "count_decay", "neighbour_decay")
    options = WarmStartConfig(**{name: getattr(flags.FLAGS, name) for name in names})
    start = WarmStart(old.folder.path, log, options) if old else None
    log = start.log if start else log
    model = GRU4Rec(log.vocabulary, MODEL)
    model_folder = ModelFolder(folder)
    fit(model, log, training, model_folder, prepare=start.apply if start else None)
    fusion = start.fusion() if start else None
    if fusion and not neighbours_learn:
        fusion = dataclasses.replace(fusion, sides=start.earlier_counts()["before"])
    fused = keep_fusion(model, fusion, folder)
    return Trained(fused, model_folder, time.perf_counter() - started)


def fuse(first: Trained, log: SessionLog, valid: SessionLog) -> Trained:
    """Adds neighbours to the first model."""
    fusion, report = learn_fusion(first.model, log, valid, "both")
    print(report)
    return dataclasses.replace(first, model=keep_fusion(first.model, fusion, first.folder.path))


def compare(log: SessionLog, work: Path) -> list[dict[str, Any]]:
    """Works the blocks and prints each as it is done."""
    values = flags.FLAGS
    edges = np.linspace(0, log.n_sessions, values.blocks + 1).astype(int)
    whole = TrainingConfig(batch_size=64, learning_rate=0.1, n_epochs=values.scratch_epochs)
    short = dataclasses.replace(whole, n_epochs=values.retrain_epochs)
    first_log = part(log, 0, edges[values.first_blocks])
    if values.fusion:
        earlier, valid = first_log.split_by_time(share=0.1)
        first = fuse(train(earlier, work / "first", whole), earlier, valid)
    else:
        first = train(first_log, work / "first", whole)
    names = FUSED if values.fusion else PLAIN
    models, rows = dict.fromkeys(names, first), []
    print(f"{'block':>5}{'pairs':>8}" + "".join(f"{name:>11}{'s':>8}" for name in names), flush=True)
    for block in range(values.first_blocks, values.blocks - 1):
        day = part(log, edges[block], edges[block + 1])
        for name in names[1:]:
            folder = work / f"{name}{block}"
            if name == "scratch":
                models[name] = train(part(log, 0, edges[block + 1]), folder, whole)
            else:
                how = dataclasses.replace(short, n_epochs=0) if name == "neighbours" else short
                models[name] = train(day, folder, how, models[name], neighbours_learn=name != "gru")
        following = part(log, edges[block + 1], edges[block + 2])
        row: dict[str, Any] = {"block": block + 1, "pairs": following.n_pairs}
        for name, trained in models.items():
            seconds = 0.0 if name == "stale" else trained.seconds
            figures, _ = measure_day(trained.model, following, values.k)
            recall = figures["recall"]
            row[name] = {"recall": recall, "seconds": seconds}
        cells = "".join(f"{row[name]['recall']:11.4f}{row[name]['seconds']:8.1f}" for name in names)
        print(f"{row['block']:5}{row['pairs']:8}{cells}", flush=True)
        rows.append(row)
    return rows


def plot(rows: list[dict[str, Any]], path: str, k: int) -> None:
    """Draws recall and seconds by block."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    quality, cost = figure.subplots(1, 2)
    blocks = [row["block"] for row in rows]
    names = FUSED if flags.FLAGS.fusion else PLAIN
    for name, colour in zip(names, COLOURS, strict=False):
        quality.plot(blocks, [row[name]["recall"] for row in rows], marker="o", color=colour, label=name)
        if name != "stale":
            cost.plot(blocks, [row[name]["seconds"] for row in rows], marker="o", color=colour, label=name)
    quality.set(title=f"Recall@{k} on the following block", ylabel=f"recall@{k}, all pairs", ylim=(0, None))
    cost.set(title="Training", ylabel="seconds", ylim=(0, None))
    for axis in (quality, cost):
        axis.set_xlabel("block of time trained last")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main(argv: list[str]) -> None:
    """Prints the table, writes the plot and the figures."""
    del argv
    values = flags.FLAGS
    require(
        0 < values.first_blocks < values.blocks - 1,
        "Of the blocks some must be left to retrain and to test on.",
        blocks=values.blocks,
        first_blocks=values.first_blocks,
    )
    folder = required_folder()
    tf.get_logger().setLevel("ERROR")  # it would warn that each model is traced anew
    log = SessionLog.from_file(folder / "train.tsv.gz")
    if values.max_events:
        log = part(log, 0, int(np.searchsorted(log.offsets, values.max_events, side="right")) - 1)
    with tempfile.TemporaryDirectory() as work:
        rows = compare(log, Path(work))
    means = {
        name: (
            np.mean([row[name]["recall"] for row in rows]),
            np.mean([row[name]["seconds"] for row in rows]),
        )
        for name in (FUSED if values.fusion else PLAIN)
    }
    for name, (mean, seconds) in means.items():
        print(f"{name:10} recall@{values.k} {mean:.4f}, {seconds:.1f} s a block")
    if not values.fusion:
        share = means["retrained"][1] / means["scratch"][1]
        print(f"retrained in {share:.2f} of the time of training from scratch")
    if values.report_path:
        Path(values.report_path).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if values.plot_path:
        plot(rows, values.plot_path, values.k)


if __name__ == "__main__":
    flags.DEFINE_integer("blocks", 12, "Blocks of time.")
    flags.DEFINE_integer("first_blocks", 6, "Blocks of the first model.")
    flags.DEFINE_integer("max_events", 0, "Use only so many of the first events; 0: all.")
    flags.DEFINE_integer("scratch_epochs", 5, "Epochs of the models from scratch, the first included.")
    flags.DEFINE_integer("retrain_epochs", 2, "Epochs of a retrained block.")
    flags.DEFINE_bool("fusion", False, "Fuse with neighbours, and compare what is refreshed.")
    flags.DEFINE_enum("new_item_rows", "initial", ["initial", "neighbours"], "First values of new items.")
    flags.DEFINE_float("count_decay", 0.5, "Weight of old counts in a retrained block.")
    flags.DEFINE_float(
        "neighbour_decay", 0.98, "Weight of what neighbours have counted before, in each block."
    )
    flags.DEFINE_integer("k", 20, "List length of the recall.")
    flags.DEFINE_string("plot_path", None, "Write the plot here.")
    flags.DEFINE_string("report_path", None, "Write the figures here, as JSON.")
    app.run(main)
