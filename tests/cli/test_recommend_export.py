"""gru4rec-recommend by an export, against the model that was exported."""

import functools

import numpy as np
import pandas as pd
import pytest
from cli_support import run

from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, Vocabulary, export_saved_model
from tfrs_gru4rec.cli import recommend
from tfrs_gru4rec.cli.flag_groups import UsageError
from tfrs_gru4rec.export.whole_sessions import ExportedModel
from tfrs_gru4rec.models import recommend as recommending

MANY = [f"item {number}" for number in range(60)]  # more than a session of the export remembers
MODELS = {
    "text": GRU4Rec(Vocabulary.from_items([*"aabbbcdefé", *MANY]), GRU4RecConfig(layers=(3,), n_sample=0)),
    "integers": GRU4Rec(
        Vocabulary.from_items([1, 2, 3, 4, -5, 6, 6]), GRU4RecConfig(layers=(3,), n_sample=0)
    ),
}
SESSIONS = {
    "text": {7: ["a", "é"], 3: ["x" * 300, "b"], 9: [], 4: ["unknown"], 8: MANY},
    "integers": {7: [1, 2], 3: np.array([99, 3]), 9: [], 4: ["6", "-5"]},
}
KINDS = ["text", pytest.param("integers", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Exports a model once, five items a recommendation; returns the folder."""

    @functools.cache
    def of(name):
        folder = tmp_path_factory.mktemp(name)
        export_saved_model(MODELS[name], folder, version=9, top_k=5, max_sessions=10)
        (folder / "10").mkdir()  # not whole
        return folder

    return of


@pytest.mark.parametrize("name", KINDS)
def test_an_export_answers_as_its_model(export, name):
    exported = ExportedModel(export(name))
    for k, exclude_seen in ((5, True), (2, False)):
        found = exported.recommend(SESSIONS[name], k, exclude_seen)
        expected = recommending.recommend(MODELS[name], SESSIONS[name], k, exclude_seen)
        pd.testing.assert_frame_equal(found.drop(columns="score"), expected.drop(columns="score"))
        # Sums of three products, rounded in another order where other sessions are multiplied at once.
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-5, atol=1e-6)
    assert len(exported.recommend({}, 2)) == 0


def test_of_a_long_session_the_latest_items_count(export):
    exported, items = ExportedModel(export("text")), [*"abc"] * 400
    found, same = (exported.recommend({1: part}, 5, exclude_seen=True) for part in (items, items[-1024:]))
    pd.testing.assert_frame_equal(found, same)
    assert not {*found["item"]} & {*"abc"}


@pytest.mark.slow
def test_integers_are_asked_for(export):
    with pytest.raises(ValueError, match="item ids are integers"):
        run(recommend, export_dir=export("integers"), items="a", top_k=5)


def test_a_version_folder_at_the_prompt_names_unknown_items(export, capsys):
    assert run(recommend, export_dir=export("text") / "9", items="zz,a", top_k=2) == 0
    said = capsys.readouterr().out
    assert "after zz, a:\n  (unknown, left out: zz)\n    1  " in said
    assert len(said.splitlines()) == 4


@pytest.mark.parametrize("engine", ["local", "spark"])
def test_what_cannot_recommend_is_said_before_spark_starts(export, tmp_path, engine):
    (tmp_path / "log.csv").write_text("SessionId,ItemId,Time\n1,a,1\n")
    asked = {"sessions_path": tmp_path / "log.csv", "output_path": tmp_path / "out.parquet", "engine": engine}
    (tmp_path / "empty").mkdir()
    for folder, error, said in (
        (tmp_path / "none", FileNotFoundError, "no such folder.*none"),
        (tmp_path / "empty", ValueError, "no version that gru4rec-export wrote.*empty"),
        (export("text") / "10", ValueError, "no version that gru4rec-export wrote.*10"),
    ):
        with pytest.raises(error, match=said):
            run(recommend, export_dir=folder, **asked)
    with pytest.raises(UsageError, match="at most that of the export.*top_k=6, exported=5"):
        run(recommend, export_dir=export("text"), top_k=6, **asked)
    for folders in ({}, {"model_dir": tmp_path, "export_dir": export("text")}):
        with pytest.raises(UsageError, match="Give either --model_dir or --export_dir"):
            run(recommend, **folders, **asked)
