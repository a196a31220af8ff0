"""An export forbids Grappler to rewrite its functions; where it is rewritten all the same, it answers the same."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from export_support import tiny_model
from export_support.loaders import loaded_in_session, loaded_with_deadlines
from tensorflow.core.protobuf import config_pb2, saved_model_pb2

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.saved_model import export_saved_model
from tfrs_gru4rec.export.traced_graphs import without_rewriting
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

SESSIONS = [b"a", b"b", b"a", b"new"]
FILTERS = {
    "exclude_ids": [[b"item-0", b""]] * 4,
    "exclude_seen": [True, False, True, False],
    "allow_groups": [[b""]] * 4,
}


def requests(state_size):
    """Calls of every signature, in an order in which what is written is read."""
    histories = {"item_ids": [[b"item-1", b"item-2", b""], [b"", b"nonesuch", b""]] * 2}
    replayed = {"session_id": SESSIONS, "item_ids": [[b"item-1", b"item-2"]] * 4}
    click = {"session_id": SESSIONS, "item_id": [b"item-3", b"item-4", b"item-0", b"nonesuch"]}
    candidates = {"candidate_ids": [[b"item-0", b"item-2", b"nonesuch"]] * 4}
    state = {"state": np.full([4, state_size], 0.25, np.float32), "item_id": click["item_id"]}
    yield "set_availability", {"item_id": [b"item-2"], "available": [False]}
    for name, given in (
        ("recommend", histories),
        ("replay", replayed),
        ("step", {**click, "position": [3, 0, 4, 1]}),
        ("step_explicit", state),
    ):
        yield name, given
        yield name + signatures.FILTERED, {**given, **FILTERS}
    yield "serving_default", histories
    yield "score", {"session_id": SESSIONS, **candidates}
    yield "score_items", {**histories, **candidates}
    yield "end_session", {"session_id": SESSIONS}
    yield "stats", {"probe": [0]}


def calls_of(path):
    """Yields the settings that each saved call of a function runs it with."""
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                yield config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)


def test_every_saved_call_forbids_rewriting(tmp_path):
    # `make test` forbids it everywhere, which must not be what an export shows here.
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    try:
        model = GRU4Rec(Vocabulary.from_items([7, 8, 7]), GRU4RecConfig(layers=(2,)))
        folder = Path(export_saved_model(model, tmp_path, top_k=1, max_sessions=100))
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
    rewriting = [
        not settings.graph_options.rewrite_options.disable_meta_optimizer for settings in calls_of(folder)
    ]
    assert len(rewriting) > len(signatures.SIGNATURES)
    assert not any(rewriting)


def test_this_process_rewrites_as_before():
    before = tf.config.optimizer.get_experimental_options()
    with without_rewriting():
        assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
    assert tf.config.optimizer.get_experimental_options() == {"disable_meta_optimizer": False, **before}


@pytest.mark.slow
def test_answers_are_the_same_with_and_without(exported, tmp_path):
    asked = set()
    model = tiny_model.serving_model()
    tf.saved_model.save(model, str(tmp_path), signatures=model.concrete_functions())
    with loaded_with_deadlines(tmp_path) as rewritten, loaded_in_session(exported) as as_traced:
        for name, inputs in requests(tiny_model.serving_model().state_size):
            asked.add(name)
            there, here = rewritten(name, 0, **inputs), as_traced(name, **inputs)
            assert there.keys() == here.keys()
            for output, values in there.items():
                if values.dtype == np.float32:  # rewritten sums may round otherwise
                    np.testing.assert_allclose(here[output], values, rtol=1e-6, atol=1e-6, err_msg=name)
                else:
                    np.testing.assert_array_equal(here[output], values, err_msg=name)
    assert asked == set(signatures.SIGNATURES)
