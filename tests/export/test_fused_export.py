"""An export with a fusion inside, through both loaders, against slow loops: whole sessions, clicks, and candidates."""

import dataclasses

import numpy as np
import pytest
from export_support import tiny_model
from export_support.loaders import LOADERS
from export_support.tiny_model import INTEGER_IDS
from neighbours_support.logs import random_network, random_sessions

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.contract import read_contract
from tfrs_gru4rec.export.saved_model import export_saved_model
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import fusion as oracle
from oracle import tiny_tower

N_ITEMS, UNKNOWN, PAD = tiny_tower.N_ITEMS, 999, -1
TOLERANCE = 1e-5
# Longer than the twelve items, so that items repeat, and than the ten clicks that are looked at.
SESSION = [3, 5, 3, -1, 0, 0, 11, 7, 2, 8, 1, 4, 6, 5, 5]


SESSIONS = random_sessions(0, 60, N_ITEMS)


def make_fusion():
    offsets = np.cumsum([0, *map(len, SESSIONS)])
    items = np.concatenate(SESSIONS).astype(np.int32)
    log = SessionLog(items, offsets, np.arange(items.size), Vocabulary(INTEGER_IDS, tiny_tower.counts()))
    weights = np.random.default_rng(1).uniform(0.1, 0.5, [4, 5]) * [1, 1, -1, -2, 2]
    return Fusion.count(log, weights, ["rules", "knn"])


@pytest.fixture(scope="module")
def fusion():
    return make_fusion()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((False, False, True), id="all items, reranked"),
        pytest.param((False, False, False), id="all items", marks=pytest.mark.slow),
        pytest.param((True, False, True), id="unseen items, reranked", marks=pytest.mark.slow),
        pytest.param((False, True, False), id="neighbours alone", marks=pytest.mark.slow),
        pytest.param((False, True, True), id="neighbours alone, reranked", marks=pytest.mark.slow),
    ],
)
def saved(request, fusion, tmp_path_factory):
    is_unseen, is_alone, is_reranked = request.param
    network = random_network(2, n_sides=2) if is_reranked else None
    fusion = dataclasses.replace(fusion, is_alone=is_alone, network=network)
    model = tiny_model.serving_model(INTEGER_IDS, exclude_seen=is_unseen, fusion=fusion)
    return tiny_model.save(tmp_path_factory.mktemp("fused"), model), is_unseen, fusion


@pytest.fixture(scope="module", params=["session", pytest.param("functions", marks=pytest.mark.slow)])
def call(request, saved):
    with LOADERS[request.param](saved[0]) as function:
        yield function


def ids_of(rows):
    return [INTEGER_IDS[row] if row >= 0 else UNKNOWN for row in rows]


def expected_scores(fusion, rows):
    known = [row for row in rows if row >= 0]
    scores = tiny_tower.scores(tiny_tower.fold(known))
    if not known:
        return np.asarray(scores)
    seen = np.bincount(np.concatenate(SESSIONS), minlength=N_ITEMS)
    if fusion.is_alone:
        scores = np.log(1 + seen)
    tables = [table.toarray().tolist() for table in fusion.tables.values()]
    fused = oracle.fused_scores(scores, tables, seen, fusion.weights.tolist(), known)
    if fusion.network is None:
        return np.array(fused)
    network = {name: part.tolist() for name, part in fusion.network._asdict().items()}
    return np.array(oracle.reranked_scores(fused, scores, tables, seen, network, known))


def assert_top(outputs, index, fusion, rows, is_unseen):
    scores = expected_scores(fusion, rows)
    if is_unseen:
        # As many of the latest items as leave three to recommend.
        scores[[row for row in rows if row >= 0][-(N_ITEMS - 3) :]] = -np.inf
    best = np.argsort(-scores, kind="stable")[:3]
    assert outputs["item_ids"][index].tolist() == INTEGER_IDS[best].tolist()
    np.testing.assert_allclose(outputs["scores"][index], scores[best], TOLERANCE, TOLERANCE)


def test_every_way_to_the_answer_gives_the_scores_of_slow_loops(call, saved):
    (_, is_unseen, fusion), name = saved, [b"click by click"]
    state = np.zeros([1, 1 + sum(tiny_tower.UNITS) + tiny_tower.N_ITEMS], np.float32)
    candidates = [[*INTEGER_IDS, UNKNOWN]]
    for seen, item in enumerate(ids_of(SESSION), 1):
        rows = SESSION[:seen]
        stepped = call("step", session_id=name, item_id=[item], position=[seen])
        explicit = call("step_explicit", item_id=[item], state=state)
        state = explicit["state"]
        whole = [[*ids_of(rows), PAD, PAD]]
        replayed = call("replay", session_id=[b"sent whole"], item_ids=whole)
        for outputs in (stepped, explicit, replayed, call("recommend", item_ids=whole)):
            assert_top(outputs, 0, fusion, rows, is_unseen)
        for outputs in (
            call("score", session_id=name, candidate_ids=candidates),
            call("score_items", item_ids=whole, candidate_ids=candidates),
        ):
            expected = [*expected_scores(fusion, rows), -np.inf]
            np.testing.assert_allclose(outputs["scores"][0], expected, TOLERANCE, TOLERANCE)


def test_sessions_of_a_batch_do_not_touch_each_other(call, saved):
    _, is_unseen, fusion = saved
    sessions = [SESSION[:2], [-1, -1], SESSION, [9], SESSION[5:8]]
    length = max(map(len, sessions))
    item_ids = [ids_of(rows) + [PAD] * (length - len(rows)) for rows in sessions]
    outputs = call("recommend", item_ids=item_ids)
    for index, rows in enumerate(sessions):
        assert_top(outputs, index, fusion, rows, is_unseen and index != 1)


def test_the_gru_without_neighbours_is_recommended_by_beside_them(call, saved):
    (folder, is_unseen, fusion), name = saved, signatures.RECOMMEND_GRU.name
    # It comes and goes with the neighbours, so it is nothing that later versions must keep.
    assert read_contract(folder).signatures == set(signatures.SIGNATURES)
    if fusion.is_alone:
        with pytest.raises(Exception, match=name):
            call(name, item_ids=[[PAD]])
        return
    sessions = [SESSION, [-1], [9]]
    length = max(map(len, sessions))
    item_ids = [ids_of(rows) + [PAD] * (length - len(rows)) for rows in sessions]
    outputs = call(name, item_ids=item_ids)
    for index, rows in enumerate(sessions):
        known = [row for row in rows if row >= 0]
        left_out = set(known[-(N_ITEMS - 3) :]) if is_unseen else ()
        best, scores = tiny_tower.top(tiny_tower.fold(known), 3, left_out)
        assert outputs["item_ids"][index].tolist() == INTEGER_IDS[best].tolist()
        np.testing.assert_allclose(outputs["scores"][index], scores, TOLERANCE, TOLERANCE)


@pytest.fixture(scope="module")
def model():
    return GRU4Rec(Vocabulary(INTEGER_IDS, tiny_tower.counts()), GRU4RecConfig(layers=(4,)))


@pytest.mark.slow
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_a_real_model_is_published_with_its_fusion(model, fusion, tmp_path, exclude_seen):
    fusion = dataclasses.replace(fusion, network=random_network(2, n_sides=2))
    settings = {"top_k": 3, "max_sessions": 100, "exclude_seen": exclude_seen}
    folder = export_saved_model(model, tmp_path, fusion=fusion, **settings)
    assert folder == str(tmp_path / "1")


def test_a_fusion_of_another_vocabulary_is_refused(model, fusion, tmp_path):
    other = dataclasses.replace(fusion, checksum=fusion.checksum + 1)
    with pytest.raises(ValueError, match="of the model's vocabulary"):
        export_saved_model(model, tmp_path, fusion=other, top_k=3, max_sessions=100)
    assert list(tmp_path.iterdir()) == []
