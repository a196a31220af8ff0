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

BLOCK = 512


def test_log(log: SessionLog) -> SessionLog:
    """Returns about 20 thousand pairs in the vocabulary of `log`."""
    folder = data_folder()
    whole = SessionLog.from_file(folder / "test.tsv.gz", vocabulary=log.vocabulary) if folder else log
    return whole.first_sessions(26_000)


def bare_products(n_rows: int, units: int, n_items: int) -> float:
    """Returns the seconds that the products of the GRU and of the scores take for n_rows events."""
    table, weights = tf.random.normal([n_items, units]), tf.random.normal([units, 6 * units])

    @tf.function
    def products(blocks: tf.Tensor) -> tf.Tensor:
        query, total = tf.random.normal([BLOCK, units]), tf.zeros([])
        for _ in tf.range(blocks):
            gates = tf.matmul(query, weights)
            scores = tf.matmul(query, table, transpose_b=True)
            total += gates[0, 0] + scores[0, 0]
        return total

    products(tf.constant(1))
    started = time.perf_counter()
    products(tf.constant(-(-n_rows // BLOCK))).numpy()
    return time.perf_counter() - started


def main(argv: list[str]) -> None:
    """Prints the comparison, the best of three rounds."""
    del argv
    units = flags.FLAGS.units
    log = load_log() if data_folder() else random_log(50_000, 37_000)
    test = test_log(log)
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(units,)))
    evaluate(model, test)
    rounds = [
        (evaluate(model, test).seconds, bare_products(test.n_pairs, units, log.vocabulary.n_items))
        for _ in range(3)
    ]
    ours, bare = min(seconds for seconds, _ in rounds), min(seconds for _, seconds in rounds)
    print(f"{test.n_pairs} events, {log.vocabulary.n_items} items, {units} units")
    print(f"evaluate {ours:.2f} s, bare products {bare:.2f} s: {bare / ours:.0%} of their speed")


if __name__ == "__main__":
    flags.DEFINE_integer("units", 224, "Units of the GRU layer.")
    app.run(main)
