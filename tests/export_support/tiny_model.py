"""The tiny tower of the oracle as a TensorFlow model, and its export."""

import types
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.export.cell_search import CellSearch
from tfrs_gru4rec.export.cells import make_cells
from tfrs_gru4rec.export.serving_model import ServingModel
from tfrs_gru4rec.export.traced_graphs import without_rewriting
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import tiny_tower

STRING_IDS = np.array([f"item-{row}" for row in range(tiny_tower.N_ITEMS)], object)
# Negative ids and 0 are items like any other.
INTEGER_IDS = np.array([0, 7, -2, 1_000_000_007, -(2**62), *range(20, 27)], np.int64)


class TinyModel(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inputs, table, bias = (tf.Variable(values) for values in tiny_tower.weights())
        self.embedding = types.SimpleNamespace(output_table=table, output_bias=bias)
        # Stands for what a model has besides: it must not be exported.
        self.unused = tf.Variable(tf.zeros([1000]), name="unused")

    def initial_state(self, batch_size):
        return tuple(tf.zeros([batch_size, units]) for units in tiny_tower.UNITS)

    def step(self, rows, state):
        first = tf.tanh(0.5 * state[0] + tf.gather(self.inputs, rows))
        second = 0.9 * state[1] + first[:, :2]
        return second, (first, second)


def serving_model(
    ids=STRING_IDS, top_k=3, max_sessions=4096, idle_seconds=3600.0, exclude_seen=False, **settings
):
    vocabulary = Vocabulary(ids, tiny_tower.counts())
    return ServingModel(TinyModel(), vocabulary, top_k, max_sessions, idle_seconds, exclude_seen, **settings)


def search_cells(model: ServingModel) -> None:
    """Has the model's answers found in six cells of two items, of which four are read at most."""
    _, table, bias = tiny_tower.weights()
    cells = make_cells(table, bias, size=2)
    search = CellSearch(cells, model.top_k, cells_a_visit=1, most_read=0.7)
    model._ranking.search_cells(search, most_searched=1024)


@without_rewriting()
def save(path: Path, model: ServingModel) -> Path:
    tf.saved_model.save(model, str(path), signatures=model.concrete_functions())
    return path
