"""Training by one process, and by two workers on this machine that exchange at every step or after blocks of steps.

python benchmarks/distributed.py --train_path train.tsv.gz --test_path test.tsv.gz --exchange_steps 1,16

Two workers share the cores of one machine, so they show what exchanging costs, and no gain of speed. For each run: loss
by epoch, recall@20, steps a second, the largest deviation of a weight from the one process, and bytes: what a worker
tells the other in a step, at most, from shapes.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("train_path", None, "training log", required=True)
flags.DEFINE_string("test_path", None, "test log", required=True)
flags.DEFINE_list("exchange_steps", ["1", "16"], "settings of --exchange_steps to try")
flags.DEFINE_integer("n_epochs", 2, "epochs")
flags.DEFINE_integer("n_sample", 2048, "extra negatives of each worker")
flags.DEFINE_integer("batch_size", 64, "lanes of all workers together")

UNITS = 100


def train(folder: Path, n_workers: int, exchange_steps: int) -> dict[str, object]:
    """Trains to the end; returns the report."""
    sockets = [socket.create_server(("", 0)) for _ in range(n_workers)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    settings = (
        f"--train_path={FLAGS.train_path} --test_path={FLAGS.test_path} --model_dir={folder} --layers={UNITS} "
        f"--loss=cross-entropy --logq=1 --learning_rate=0.1 --sample_alpha=0.75 --dropout_p_embed=0.1 --novalid_auto "
        f"--dropout_p_hidden=0 --momentum=0 --norefit --early_stop_epochs=0 --fusion=none "
        f"--nobaselines --n_epochs={FLAGS.n_epochs} "
        f"--batch_size={FLAGS.batch_size} --n_sample={FLAGS.n_sample} --exchange_steps={exchange_steps}"
    )
    workers = []
    for number in range(n_workers):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "tfrs_gru4rec.cli.train", *settings.split()]
        workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
    try:
        codes = [worker.wait() for worker in workers]
        if any(codes):
            raise RuntimeError(f"A worker failed, see above: {settings}")
    finally:
        for worker in workers:
            worker.kill()
    return json.loads((folder / "report.json").read_text())


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Returns the trained weights by their names in the checkpoint."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [
        name
        for name in reader.get_variable_to_shape_map()
        if name.startswith(("model/embedding", "model/tower"))
    ]
    return {name: reader.get_tensor(name) for name in names}


def bytes_a_step(exchange_steps: int) -> int:
    """Bounds what a worker tells the other: rows, their numbers and biases; in blocks those and their slots."""
    candidates = FLAGS.batch_size + FLAGS.n_sample
    rows = candidates + FLAGS.batch_size // 2
    gru, lanes = 4 * 6 * UNITS * UNITS, 4 * UNITS * FLAGS.batch_size // 2
    if exchange_steps == 1:
        return rows * (4 * UNITS + 4) + candidates * 8 + gru + lanes
    return rows * (4 + 2 * 4 * (UNITS + 1)) + (2 * gru + lanes) // exchange_steps


def main(_: list[str]) -> None:
    """Prints a row for each run, as it ends."""
    print("| workers | exchange_steps | loss | recall@20 | steps/s | deviation | bytes a step |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as parent:
        one = Path(parent) / "one"
        for n_workers, steps in [(1, 0), *[(2, int(each)) for each in FLAGS.exchange_steps]]:
            folder = Path(parent) / f"{n_workers}-{steps}" if n_workers > 1 else one
            report = train(folder, n_workers, max(steps, 1))
            base, found = weights(one), weights(folder)
            deviation = max(float(np.abs(base[name] - found[name]).max()) for name in base)
            losses = " ".join(f"{epoch['loss']:.4f}" for epoch in report["epochs"])
            speed = report["epochs"][-1]["steps_per_second"]
            told = f"{bytes_a_step(steps):,}" if steps else ""
            recall = report["test"]["recall"]["20"]
            print(
                f"| {n_workers} | {steps or ''} | {losses} | {recall:.4f} | {speed:.0f} | {deviation:.3g} | {told} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
