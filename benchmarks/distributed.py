"""Training by one process, and by two workers on this machine that exchange at every step or after blocks of steps.

python benchmarks/distributed.py --train_path train.tsv.gz --test_path test.tsv.gz --exchange_steps 1,16 --n_epochs 4

All train with the default settings of gru4rec-train but for what validation chooses, and for first vectors, which
several workers draw at random; flags after -- go to the training, as in `-- --n_sample 512`. For each run: loss by
epoch, recall and MRR, steps a second, the largest deviation of a weight from the one process, and bytes that a worker
tells the other in a step: at most, from shapes, and as counted on the loopback device, whoever spoke there.

Two workers share the cores of one machine, so they show what exchanging costs, and no gain of speed. `exchanging` is
the share of a step in which a worker does not compute: its speed beside that of two processes side by side, which
compute as much a step (half the lanes, the same number of candidates) and tell each other nothing.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("train_path", None, "training log", required=True)
flags.DEFINE_string("test_path", None, "test log", required=True)
flags.DEFINE_list("exchange_steps", ["1", "16"], "settings of --exchange_steps to try")
flags.DEFINE_integer("n_epochs", 4, "epochs")
flags.DEFINE_bool("apart", True, "train two processes side by side too, two epochs")
_PLAIN = "--novalid_auto --norefit --early_stop_epochs=0 --fusion=none --first_vectors=random --nobaselines"
_TITLES = "workers exchange_steps loss recall@20 MRR@20 steps/s exchanging deviation bytes-a-step on-lo"


def train(folders: Sequence[Path], are_workers: bool, settings: Sequence[str]) -> list[dict[str, Any]]:
    """Trains to the end, in processes that are workers of each other or not; returns the report of each folder.

    Raises:
      RuntimeError: one of them failed.
    """
    sockets = [socket.create_server(("", 0)) for _ in folders]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    workers = []
    for number, folder in enumerate(folders):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_CONFIG": json.dumps(task) if are_workers else "",
        }
        command = [sys.executable, "-m", "tfrs_gru4rec.cli.train", f"--model_dir={folder}", *settings]
        workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
    try:
        if any(worker.wait() for worker in workers):
            raise RuntimeError(f"A worker failed, see above: {' '.join(settings)}")
    finally:
        for worker in workers:
            worker.kill()
    return [json.loads((folder / "report.json").read_text()) for folder in folders]


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Returns the trained weights by their names in the checkpoint."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [
        name
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("model/embedding", "model/tower"))
    ]
    return {name: reader.get_tensor(name) for name in names}


def bytes_a_step(folder: Path) -> int:
    """Bounds what a worker tells the other: rows, their numbers and biases; in blocks those and their slots."""
    settings = json.loads((folder / "config.json").read_text())
    (units,), lanes = settings["model"]["layers"], settings["training"]["batch_size"]
    steps, candidates = settings["training"]["exchange_steps"], lanes + settings["model"]["n_sample"]
    rows = candidates + lanes // 2
    gru, states = 4 * 6 * units * units, 4 * units * lanes // 2
    if steps == 1:
        return rows * (4 * units + 4) + candidates * 8 + gru + states
    return rows * (4 + 2 * 4 * (units + 1)) + (2 * gru + states) // steps


def loopback_bytes() -> int:
    """Returns how many bytes this machine has told itself."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[9]) for line in lines if line.split()[0] == "lo:")


def speed(report: dict[str, Any]) -> float:
    """Returns the steps a second of the last epoch; the first one's hold the time to compile."""
    return report["epochs"][-1]["steps_per_second"]


def main(argv: list[str]) -> None:
    """Prints a row for each run, as it ends."""
    paths = [f"--train_path={FLAGS.train_path}", f"--test_path={FLAGS.test_path}"]
    settings = [*paths, *_PLAIN.split(), f"--n_epochs={FLAGS.n_epochs}", *argv[1:]]
    print(f"| {' | '.join(_TITLES.split())} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as parent:
        one = Path(parent) / "one"
        (report,) = train([one], False, settings)
        show("1 |", report)
        base, apart = weights(one), 0.0
        if FLAGS.apart:
            made = json.loads((one / "config.json").read_text())
            half = made["training"]["batch_size"] // 2
            alike = ["--n_epochs=2", f"--batch_size={half}", f"--n_sample={made['model']['n_sample'] + half}"]
            reports = train([Path(parent) / f"apart-{n}" for n in (0, 1)], False, [*settings, *alike])
            apart = sum(map(speed, reports)) / 2
            print(f"| 2, apart | | | | | {apart:.0f} | | | | |", flush=True)
        for steps in FLAGS.exchange_steps:
            folder, before = Path(parent) / steps, loopback_bytes()
            report, _ = train([folder, folder], True, [*settings, f"--exchange_steps={steps}"])
            found = weights(folder)
            deviation = max(float(np.abs(base[name] - found[name]).max()) for name in base)
            said = (loopback_bytes() - before) / 2 / sum(epoch["steps"] for epoch in report["epochs"])
            share = f"{1 - speed(report) / apart:.0%}" if apart else ""
            show(
                f"2 | {steps}", report, f"{share} | {deviation:.3g} | {bytes_a_step(folder):,} | {said:,.0f}"
            )


def show(run: str, report: dict[str, Any], rest: str = "| | |") -> None:
    """Prints a row."""
    losses = " ".join(f"{epoch['loss']:.4f}" for epoch in report["epochs"])
    recall, mrr = (report["test"][name]["20"] for name in ("recall", "mrr"))
    print(f"| {run} | {losses} | {recall:.4f} | {mrr:.4f} | {speed(report):.0f} | {rest} |", flush=True)


if __name__ == "__main__":
    app.run(main)
