"""First values of the items' vectors from what occurs together in sessions, for training that reaches its end sooner.

Trained with cross-entropy and a full logQ correction, the product of two items' vectors tends to their pointwise mutual
information (PMI), which can be counted. A factorisation of the positive PMI (Levy and Goldberg, "Neural word embedding
as implicit matrix factorization", 2014) therefore puts near items near one another before the first step:

    PMI[i, j] = log(count[i, j] · total / (count[i] · context[j])),   context[j] ∝ count[j] ** 0.75
    max(PMI, 0) ≈ U Σ Vᵀ,   vectors = U √Σ R

with R a random rotation, without which the first units would hold nearly all of it.
"""

import time

import numpy as np
from absl import logging
from scipy import sparse

from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog

WINDOW = 5  # events between which items are said to occur together
MOST_EVENTS = 20_000_000  # that are counted, the latest: more take memory and tell little
_DECAY = 0.8  # for each event further away
_CONTEXT_POWER = 0.75
_LENGTH = 1.0  # mean length of a vector: between that of an initial one and that of a trained one
_NOTHING = 1e-6  # shorter vectors are of rounding alone
_SPARE_COLUMNS, _PASSES = 10, 1


def co_occurrences(log: SessionLog, window: int = WINDOW, most_events: int = MOST_EVENTS) -> sparse.csr_array:
    """Counts how often two items occur within `window` events in a session, float32 [n_items, n_items], symmetric.

    A pair of neighbouring events counts 1, one with an event between them 0.8, and so on. Of a log of more than
    `most_events` the last whole sessions of so many are counted, and the one before them.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": 1, "ItemId": ["a", "b", "c"], "Time": range(3)})
    >>> co_occurrences(SessionLog.from_frame(frame)).toarray().astype(float).round(2).tolist()
    [[0.0, 1.0, 0.8], [1.0, 0.0, 1.0], [0.8, 1.0, 0.0]]
    """
    n_items = log.vocabulary.n_items
    first = max(0, np.searchsorted(log.offsets, log.n_events - most_events, side="right") - 1)
    offsets = log.offsets[first:]
    items, sessions = log.items[offsets[0] :], np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    total = sparse.csr_array((n_items, n_items), dtype=np.float32)
    for distance in range(1, window + 1):
        is_pair = sessions[distance:] == sessions[:-distance]
        places = items[:-distance][is_pair], items[distance:][is_pair]
        weights = np.full(len(places[0]), _DECAY ** (distance - 1), np.float32)
        total = total + sparse.coo_array((weights, places), shape=(n_items, n_items)).tocsr()
    return total + total.T


def positive_information(counts: sparse.csr_array) -> sparse.csr_array:
    """Returns max(PMI, 0) of pairs of items, float32 [n_items, n_items], from counts of that shape.

    >>> counts = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
    >>> positive_information(counts).toarray().astype(float).round(3).tolist()  # log(1 / (1 · 1/2))
    [[0.0, 0.693], [0.693, 0.0]]
    """
    of_items = counts.sum(axis=1)
    context = of_items**_CONTEXT_POWER
    context /= max(context.sum(), 1e-12)
    pairs = counts.tocoo()
    information = np.log(pairs.data / (of_items[pairs.row] * context[pairs.col]))
    is_positive = information > 0
    places = pairs.row[is_positive], pairs.col[is_positive]
    values = information[is_positive].astype(np.float32)
    return sparse.coo_array((values, places), shape=counts.shape).tocsr()


def factorise(matrix: sparse.csr_array, rank: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Approximates the largest singular values [rank] and their left vectors [n, rank] of a sparse square matrix.

    By powers of the matrix times a random one (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011,
    algorithm 4.4), in a tenth of the time that exact ones take. Where `rank` is above n, the rest is zeros.

    >>> matrix = sparse.csr_array(np.diag([3.0, 1.0, 2.0]).astype(np.float32))
    >>> vectors, values = factorise(matrix, 2, np.random.default_rng(0))
    >>> values.round(3).tolist(), np.abs(vectors[:, 0]).round(3).tolist()
    ([3.0, 2.0], [1.0, 0.0, 0.0])
    """
    n_rows = matrix.shape[0]
    width = min(rank + _SPARE_COLUMNS, n_rows)
    basis = np.linalg.qr(matrix @ rng.standard_normal((n_rows, width)).astype(np.float32))[0]
    for _ in range(_PASSES):
        basis = np.linalg.qr(matrix.T @ basis)[0]
        basis = np.linalg.qr(matrix @ basis)[0]
    # The singular values of a tall matrix from its small square: quick, and exact enough for the largest.
    reduced = matrix.T @ basis
    squares, left = np.linalg.eigh(reduced.T @ reduced)
    values = np.sqrt(np.maximum(squares[::-1], 0.0))
    vectors = (basis @ left[:, ::-1])[:, :rank]
    missing = rank - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, missing))), np.pad(values[:rank], (0, missing))


def first_vectors(log: SessionLog, width: int, seed: int = 0) -> np.ndarray:
    """Returns a vector of every item of a log, float32 [n_items, width], of length 1 on average.

    >>> import pandas as pd
    >>> sessions = {"SessionId": [1, 1, 1, 2, 2, 2], "ItemId": list("abcdef"), "Time": range(6)}
    >>> log = SessionLog.from_frame(pd.DataFrame(sessions))
    >>> a, b, c, d, e, f = first_vectors(log, 4)[log.vocabulary.rows(list("abcdef"))]
    >>> bool(a @ b > 0.2), bool(abs(a @ d) < 0.01)
    (True, True)
    """
    rng = np.random.default_rng(seed)
    vectors, values = factorise(positive_information(co_occurrences(log)), width, rng)
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    vectors = (vectors * np.sqrt(values)) @ rotation
    mean = np.linalg.norm(vectors, axis=1).mean()
    return (vectors * (_LENGTH / max(mean, 1e-12))).astype(np.float32)


def set_first_vectors(model: GRU4Rec, log: SessionLog, has_workers: bool = False) -> None:
    """Sets the tables of a new model's items to `first_vectors`; rows that a one-hot input looks up stay as they are.

    An item that occurs with no other more often than by chance keeps its random vector.

    Where several workers train, which must begin with the same numbers though their processors may round differently,
    all stays random.

    >>> import pandas as pd
    >>> from tfrs_gru4rec.config import GRU4RecConfig
    >>> log = SessionLog.from_frame(pd.DataFrame({"SessionId": 1, "ItemId": list("abca"), "Time": range(4)}))
    >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(3,)))
    >>> set_first_vectors(model, log)
    >>> np.array_equal(model.embedding.output_table, first_vectors(log, 3))
    True
    """
    if has_workers:
        logging.info("Items' first vectors are random: several workers must begin with the same numbers.")
        return
    started, embedding = time.monotonic(), model.embedding
    tables = [embedding.output_table]
    if not embedding.is_shared and not embedding.looks_up_gates:
        tables.append(embedding.input_table)
    for number, table in enumerate(tables):
        vectors = first_vectors(log, table.shape[1], model.config.seed + number)
        has_none = np.linalg.norm(vectors, axis=1, keepdims=True) < _NOTHING
        table.assign(np.where(has_none, table.numpy(), vectors))
    logging.info("Counted the items' first vectors in %.1f s.", time.monotonic() - started)
