"""The best 20 of a million items by cells, exact and approximate, beside the plain product, in one run.

    python benchmarks/top_k.py --model_dir models/top-k [--noise 0.3] [--json top_k.json]

Vectors are those of a model trained on Diginetica (in model_dir; trained by the default recipe if there is none),
spread to a million: each further item lies between an item and one of its ten nearest (by angle), nearer the first,
plus noise of a share of its length in a random direction. Queries are the model's states in sessions of the test log,
cut at random places; bounds are calibrated with every other session of it, and the rest is asked. Exact cells are timed
with a fifth of the queries.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import required_folder

from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.cli import train
from tfrs_gru4rec.export.ranking import Ranking
from tfrs_gru4rec.export.search_choice import calibrate, choose_search, in_parts, measured_sessions, recall_of
from tfrs_gru4rec.export.session_record import SessionRecords
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.training.model_folder import load_model

TOP_K, NEAREST = 20, 10


def trained_model(folder: Path, data: Path) -> GRU4Rec:
    """Loads a model, or trains it first."""
    if not folder.exists():
        paths = [f"--train_path={data / 'train.tsv.gz'}", f"--model_dir={folder}", "--n_epochs=4"]
        train.COMMAND.work(["gru4rec-train", *paths, "--fusion=none", "--norefit"])
    return load_model(folder)


def spread(values: np.ndarray, n_items: int, noise: float, random: np.random.Generator) -> np.ndarray:
    """Adds rows to items [n, width], weights and bias together, until there are `n_items`."""
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    parts = [tf.math.top_k(part @ unit.T, NEAREST + 1).indices[:, 1:] for part in np.array_split(unit, 64)]
    first = random.integers(len(values), size=n_items - len(values))
    second = np.concatenate(parts)[first, random.integers(NEAREST, size=len(first))]
    share = random.uniform(0.5, 1.0, size=[len(first), 1]).astype(np.float32)
    mixed = share * values[first] + (1 - share) * values[second]
    away = random.normal(size=mixed[:, :-1].shape).astype(np.float32)
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in (mixed[:, :-1], away)]
    mixed[:, :-1] += away * (noise * lengths[0] / lengths[1])
    return np.concatenate([values, mixed])


def spread_model(model: GRU4Rec, n_items: int, noise: float) -> GRU4Rec:
    """Returns the model with more items, which have ids of their own and counts of 1."""
    ids = np.arange(n_items)
    counts = np.concatenate([model.vocabulary.counts, np.ones(n_items - model.vocabulary.n_items, np.int64)])
    larger = GRU4Rec(Vocabulary(ids, counts), model.config)
    items = np.concatenate(
        [model.embedding.output_table.numpy(), model.embedding.output_bias.numpy()[:, np.newaxis]], 1
    )
    items = spread(items, n_items, noise, np.random.default_rng(0))
    for new, old in zip(larger.trainable_variables, model.trainable_variables, strict=True):
        if new is larger.embedding.output_table:
            new.assign(items[:, :-1])
        elif new is larger.embedding.output_bias:
            new.assign(items[:, -1])
        else:
            new.assign(old)
    return larger


def sessions_of(path: Path, vocabulary: Vocabulary) -> list[np.ndarray]:
    """Returns the sessions of a log as rows."""
    log = SessionLog.from_file(path, vocabulary)
    return np.split(log.items, log.offsets[1:-1])


def answers(top: Callable[[tf.Tensor], Any], records: tf.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Asks for one session at a time; returns rows and scores [n, k], and the milliseconds [n]."""
    found, times = [], []
    for number in range(len(records)):
        started = time.perf_counter()
        found.append([part.numpy()[0] for part in top(records[number : number + 1])])
        times.append(1e3 * (time.perf_counter() - started))
    return *map(np.stack, zip(*found, strict=True)), np.array(times)


def quantiles(name: str, values: np.ndarray) -> dict[str, float]:
    """Returns the median, the ninetieth percentile and the mean by name."""
    found = {"p50": np.quantile(values, 0.5), "p90": np.quantile(values, 0.9), "mean": np.mean(values)}
    return {f"{name} {key}": float(value) for key, value in found.items()}


def measure(model: GRU4Rec, data: Path, options: flags.FlagValues) -> dict[str, dict[str, float]]:
    """Answers the queries each way; returns figures by way."""
    larger = spread_model(model, options.n_items, options.noise)
    records = SessionRecords(larger, n_seen=1)
    ranking = Ranking(larger, records, larger.vocabulary, TOP_K)

    @tf.function(autograph=False)
    def follow(item_rows: tf.Tensor) -> tf.Tensor:
        return records.fold(item_rows, tf.math.count_nonzero(item_rows >= 0, 1, dtype=tf.int32))

    held_out = sessions_of(data / "test.tsv.gz", model.vocabulary)
    known, asked = held_out[::2], held_out[1::2]
    parts = [measured_sessions(larger, asked, seed) for seed in range(1, 2 + options.queries // 512)]
    queries = follow(tf.constant(np.concatenate(parts)[: options.queries]))
    signature = [tf.TensorSpec([1, records.size])]

    def traced() -> Callable[[tf.Tensor], Any]:
        made = tf.function(lambda record: ranking.top(record), input_signature=signature, autograph=False)
        made(queries[:1])
        return made

    plain = traced()
    right_rows, right_scores, times = answers(plain, queries)
    found: dict[str, dict[str, float]] = {"plain": quantiles("ms", times)}
    print(f"cells: {choose_search(ranking, larger, follow, 'cells', 1.0, known)}", flush=True)
    search = ranking.search
    top = traced()
    reading = tf.function(functools.partial(ranking.found, search), autograph=False)
    held = follow(tf.constant(measured_sessions(larger, known)))
    expected = in_parts(tf.function(ranking.top_of_product, autograph=False), held)
    for name, wanted in (("exact", 1.0), ("approximate", options.approximate_recall)):
        calibrated = calibrate(search, lambda: recall_of(in_parts(reading, held), expected), wanted)
        n_timed = options.queries // 5 if wanted == 1 else options.queries
        rows, scores, times = answers(top, queries[:n_timed])
        _, again = answers(plain, queries[: options.queries // 10])[1:]
        _, _, is_proven, n_read = in_parts(reading, queries)
        found[name] = {
            **quantiles("ms", times),
            "plain ms p50 beside it": float(np.median(again)),
            **quantiles("read", np.where(is_proven, n_read / search.n_cells, 1.0)),
            "left to the product": float(1 - is_proven.mean()),
            "same ids": float((rows == right_rows[:n_timed]).all(axis=1).mean()),
            "same scores": float((scores == right_scores[:n_timed]).all(axis=1).mean()),
            "recall": float((right_rows[:n_timed, :, np.newaxis] == rows[:, np.newaxis]).any(axis=2).mean()),
            "calibrated recall": calibrated,
            "radius share": float(search.radius_share.numpy()),
        }
    return found


def main(argv: list[str]) -> None:
    """Measures and prints a table."""
    del argv
    options = flags.FLAGS
    data = required_folder()
    model = trained_model(Path(options.model_dir), data)
    found = measure(model, data, options)
    names = list(found["exact"])
    width = model.config.layers[-1]
    print(f"{options.n_items:,} items of width {width}, noise {options.noise}, {options.queries} queries")
    print("| " + " | ".join(["", *names]) + " |\n|" + "---|" * (len(names) + 1))
    for way, figures in found.items():
        print(
            "| "
            + " | ".join([way, *(f"{figures[name]:.4g}" if name in figures else "" for name in names)])
            + " |"
        )
    if options.json:
        settings = {"items": options.n_items, "noise": options.noise, "queries": options.queries}
        write_json(Path(options.json), {**settings, **found})


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", None, "Folder of the model; trained if there is none.", required=True)
    flags.DEFINE_integer("n_items", 1_000_000, "Items to spread the model's to.")
    flags.DEFINE_float("noise", 0.3, "Length of the noise, as a share of the item's.")
    flags.DEFINE_integer("queries", 2000, "Queries.")
    flags.DEFINE_float("approximate_recall", 0.99, "Recall of the approximate mode.")
    flags.DEFINE_string("json", None, "File for the figures.")
    app.run(main)
