"""gru4rec-export on a folder that gru4rec-train wrote."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from cli_support import run

from tfrs_gru4rec.cli import export, train
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training.model_folder import load_model

LOG = """SessionId\tItemId\tTime
1\tred\t1
1\tgreen\t2
1\tblue\t3
2\tgreen\t4
2\tblue\t5
3\tred\t6
3\tblue\t7
3\tgreen\t8
"""
SMALL = {"top_k": 2, "max_sessions": 10}


@pytest.fixture(scope="module")
def model_dir(uncompiled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "log.tsv").write_text(LOG)
    small = {"layers": 4, "batch_size": 2, "n_sample": 2, "n_epochs": 1}
    assert run(train, train_path=folder / "log.tsv", model_dir=folder / "model", **small) == 0
    return folder / "model"


def test_exports_what_was_trained(model_dir, tmp_path, capsys):
    export_dir = tmp_path / "shop"
    assert run(export, **SMALL, model_dir=model_dir, export_dir=export_dir, exclude_seen=True) == 0
    assert capsys.readouterr().out == f"{export_dir / '1'}\n"
    # Three sessions of eight events; the run's settings and the export's.
    card = (export_dir / "1" / "assets.extra" / "model_card.md").read_text().splitlines()
    assert {
        "| sessions | 3 |",
        "| events | 8 |",
        "| batch_size | 2 |",
        "| top_k | 2 |",
        "| neighbours | none |",
    } <= set(card)
    loaded = tf.saved_model.load(str(export_dir / "1"))  # kept, and with it what the signatures read
    recommend = loaded.signatures["serving_default"]
    outputs = recommend(item_ids=tf.constant([["green"]]))
    model = load_model(model_dir)
    rows = model.vocabulary.rows([item.decode() for item in outputs["item_ids"][0].numpy()])
    query, _ = model(tf.constant([model.vocabulary.rows(["green"])]))
    scores = model.scores(query)[0]
    assert sorted(model.vocabulary.ids[rows]) == ["blue", "red"]
    tf.debugging.assert_near(outputs["scores"][0], tf.gather(scores, rows))


@pytest.mark.slow
def test_cells_are_measured_with_sessions_of_a_log(model_dir, tmp_path):
    by_cells = {"top_k_search": "cells", "sessions_path": model_dir.parent / "log.tsv"}
    assert run(export, **SMALL, **by_cells, model_dir=model_dir, export_dir=tmp_path) == 0
    card = (tmp_path / "1" / "assets.extra" / "model_card.md").read_text().splitlines()
    assert [line for line in card if line.startswith("| top_k_search | cells, exact: ")]


@pytest.mark.slow
def test_a_fusion_in_the_models_folder_is_exported_with_it(model_dir, tmp_path):
    model = load_model(model_dir)
    fusion = Fusion.count(SessionLog.from_file(model_dir.parent / "log.tsv"), np.ones([4, 4]), ["rules"])
    fused_dir = shutil.copytree(model_dir, tmp_path / "fused")
    fusion.save(fused_dir)
    assert run(export, **SMALL, model_dir=fused_dir, export_dir=tmp_path / "shop") == 0
    version = tmp_path / "shop" / "1"
    assert "| neighbours | rules |" in (version / "assets.extra" / "model_card.md").read_text()
    score = tf.saved_model.load(str(version)).signatures["score_items"]
    names = ["red", "green", "blue"]
    outputs = score(item_ids=tf.constant([["green", "red"]]), candidate_ids=tf.constant([names]))
    session = tf.constant([model.vocabulary.rows(["green", "red"])])
    expected = FusedModel(model, fusion).predict_step(session)[0]
    tf.debugging.assert_near(outputs["scores"][0], tf.gather(expected, model.vocabulary.rows(names)))


def test_more_sessions_than_memory_are_refused_before_anything_is_written(model_dir, tmp_path):
    settings = {"model_dir": model_dir, "export_dir": tmp_path / "shop", "top_k": 2}
    # 10^11 sessions of 24 bytes and 9 floats: two counts, 4 units, and all 3 items of the catalogue seen
    with pytest.raises(ValueError, match=r"must fit into this machine.*gigabytes=6000\.0"):
        run(export, **settings, max_sessions=100_000_000_000)
    assert not (tmp_path / "shop").exists()
