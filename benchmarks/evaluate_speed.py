"""Speed of evaluation over the full catalogue beside the bare matrix products that it must do.

    python benchmarks/evaluate_speed.py [--units 224]

Evaluates an untrained model on a third of Diginetica's test sessions (or random ones), then runs the GRU's and the
scores' products alone on as many rows, and prints both times and their ratio.
"""

import time

import tensorflow as tf
from absl import app, flags
from measuring import data_folder, load_log, random_log

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog

WAYS = [(rows, items_first) for rows in (128, 512) for items_first in (False, True)]


def test_log(log: SessionLog) -> SessionLog:
    """Returns about 20 thousand pairs in the vocabulary of `log`."""
    folder = data_folder()
    whole = SessionLog.from_file(folder / "test.tsv.gz", vocabulary=log.vocabulary) if folder else log
    return whole.first_sessions(26_000)


def bare_products(n_rows: int, units: int, n_items: int, rows: int, items_first: bool) -> float:
    """Returns the seconds that the products of the GRU and of the scores take for n_rows events, `rows` at a time."""
    table, weights = tf.random.normal([n_items, units]), tf.random.normal([units, 6 * units])

    @tf.function
    def products(blocks: tf.Tensor) -> tf.Tensor:
        query, total = tf.random.normal([rows, units]), tf.zeros([])
        for _ in tf.range(blocks):
            gates = tf.matmul(query, weights)
            factors = (table, query) if items_first else (query, table)
            scores = tf.matmul(*factors, transpose_b=True)
            total += gates[0, 0] + scores[0, 0]
        return total

    products(tf.constant(1))
    started = time.perf_counter()
    products(tf.constant(-(-n_rows // rows))).numpy()
    return time.perf_counter() - started


def main(argv: list[str]) -> None:
    """Prints the comparison with the quickest of the ways to multiply, the best of three rounds."""
    del argv
    units = flags.FLAGS.units
    log = load_log() if data_folder() else random_log(50_000, 37_000)
    test = test_log(log)
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(units,)))
    evaluate(model, test)
    size = (test.n_pairs, units, log.vocabulary.n_items)
    ours, bare = float("inf"), dict.fromkeys(WAYS, float("inf"))
    for _ in range(3):
        ours = min(ours, evaluate(model, test).seconds)
        bare = {way: min(seconds, bare_products(*size, *way)) for way, seconds in bare.items()}
    print(f"{test.n_pairs} events, {log.vocabulary.n_items} items, {units} units")
    for (rows, items_first), seconds in bare.items():
        order = "items first" if items_first else "queries first"
        print(f"bare products, {rows} queries at a time, {order}: {seconds:.2f} s")
    print(f"evaluate {ours:.2f} s: {min(bare.values()) / ours:.0%} of the speed of the quickest")


if __name__ == "__main__":
    flags.DEFINE_integer("units", 224, "Units of the GRU layer.")
    app.run(main)
