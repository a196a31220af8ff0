"""The best 20 of a million items by cells, exact and approximate, beside the plain product, in one run.

    python benchmarks/top_k.py --model_dir models/top-k [--noise 0.3] [--json top_k.json]

Vectors are those of a model trained on Diginetica (in model_dir; trained by the default recipe if there is none),
spread to a million: each further item lies between an item and one of its ten nearest (by angle), nearer the first,
plus noise of a share of its length in a random direction. Queries are the model's states in sessions of the test log,
cut at random places; cells are made and calibrated with sessions of the training log. Each query is answered three ways
in turn.
"""

import functools
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags
from measuring import data_folder

from tfrs_gru4rec.atomic_files import write_json
from tfrs_gru4rec.cli import train
from tfrs_gru4rec.export.ranking import Ranking
from tfrs_gru4rec.export.search_choice import choose_search, measured_sessions
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
    near = [np.argsort(-(part @ unit.T), axis=1)[:, 1 : NEAREST + 1] for part in np.array_split(unit, 64)]
    first = random.integers(len(values), size=n_items - len(values))
    second = np.concatenate(near)[first, random.integers(NEAREST, size=len(first))]
    share = random.uniform(0.5, 1.0, size=[len(first), 1]).astype(np.float32)
    mixed = share * values[first] + (1 - share) * values[second]
    away = random.normal(size=mixed[:, :-1].shape).astype(np.float32)
    away *= (
        noise
        * np.linalg.norm(mixed[:, :-1], axis=1, keepdims=True)
        / np.linalg.norm(away, axis=1, keepdims=True)
    )
    mixed[:, :-1] += away
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
    larger.initial_state(1)
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


class Way:
    """One way to find the best items, and what it answered."""

    def __init__(self, ranking: Ranking, size: int) -> None:
        """Traces calls of one session as the ranking does them now."""
        self.search = ranking.search
        signature = [tf.TensorSpec([1, size])]
        self._call = tf.function(
            lambda record: ranking.top(record), input_signature=signature, autograph=False
        )
        self._call(tf.zeros([1, size]))
        self.milliseconds: list[float] = []
        self.answers: list[tuple[np.ndarray, np.ndarray]] = []

    def answer(self, record: tf.Tensor) -> None:
        """Answers one session, and notes how long it took."""
        started = time.perf_counter()
        rows, scores = self._call(record)
        answer = rows.numpy()[0], scores.numpy()[0]
        self.milliseconds.append(1e3 * (time.perf_counter() - started))
        self.answers.append(answer)

    def figures(self, ranking: Ranking, records: tf.Tensor, plain: "Way") -> dict[str, float]:
        """Returns times, and how the answers compare with those of the plain product."""
        (rows, scores), (right_rows, right_scores) = (zip(*way.answers, strict=True) for way in (self, plain))
        rows, right_rows = np.stack(rows), np.stack(right_rows)
        is_found = (right_rows[:, :, np.newaxis] == rows[:, np.newaxis]).any(axis=2)
        found = {
            "p50 ms": np.quantile(self.milliseconds, 0.5),
            "p90 ms": np.quantile(self.milliseconds, 0.9),
            "mean ms": np.mean(self.milliseconds),
            "same ids": np.mean((rows == right_rows).all(axis=1)),
            "largest difference of scores": np.abs(np.stack(scores) - np.stack(right_scores)).max(),
            "recall": np.mean(is_found),
        }
        if self.search is not None:
            search = tf.function(functools.partial(ranking.found, self.search), autograph=False)
            _, _, is_proven, n_read = (part.numpy() for part in search(records))
            share = np.where(is_proven, n_read / self.search.n_cells, 1.0)
            found |= {
                "read p50": np.quantile(share, 0.5),
                "read p90": np.quantile(share, 0.9),
                "read mean": share.mean(),
            }
            found["left to the product"] = 1.0 - is_proven.mean()
        return {name: float(value) for name, value in found.items()}


def measure(model: GRU4Rec, data: Path, options: flags.FlagValues) -> dict[str, dict[str, float]]:
    """Answers the queries each way in turn; returns figures by way."""
    larger = spread_model(model, options.n_items, options.noise)
    records = SessionRecords(larger, n_seen=0)
    ranking = Ranking(larger, records, larger.vocabulary, TOP_K)
    ranking.availability.initialize()

    @tf.function(autograph=False)
    def follow(item_rows: tf.Tensor) -> tf.Tensor:
        return records.fold(item_rows, tf.math.count_nonzero(item_rows >= 0, 1, dtype=tf.int32))

    known, asked = (sessions_of(data / f"{name}.tsv.gz", model.vocabulary) for name in ("train", "test"))
    parts = [measured_sessions(larger, asked, seed) for seed in range(1, 2 + options.queries // 512)]
    queries = follow(tf.constant(np.concatenate(parts)[: options.queries]))
    ways = {"plain": Way(ranking, records.size)}
    for name, recall in (("exact", 1.0), ("approximate", options.approximate_recall)):
        print(f"{name}: {choose_search(ranking, larger, follow, 'cells', recall, known)}", flush=True)
        ways[name] = Way(ranking, records.size)
    for number in range(options.queries):
        for way in ways.values():
            way.answer(queries[number : number + 1])
    return {name: way.figures(ranking, queries, ways["plain"]) for name, way in ways.items()}


def main(argv: list[str]) -> None:
    """Measures and prints a table."""
    del argv
    options = flags.FLAGS
    data = data_folder()
    if data is None:
        raise FileNotFoundError("No Diginetica: set GRU4REC_DATA to the folder that holds diginetica/.")
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
