"""A fused model: evaluated as the model alone is, asked for recommendations, and learned on validation sessions."""

import numpy as np
import pytest
import tensorflow as tf
from neighbours_support.logs import log_of, random_sessions

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.evaluation.fused import FusedModel
from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.models.recommend import recommend
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import fusion as oracle

N_ITEMS = 30


@pytest.fixture(scope="module")
def logs():
    """Sessions that walk up the catalogue in steps of one, which a model without training knows nothing of."""
    random = np.random.default_rng(0)
    walks = [(start + np.arange(4)) % N_ITEMS for start in random.integers(N_ITEMS, size=120)]
    return log_of(walks[:80], N_ITEMS), log_of(walks[80:], N_ITEMS)


@pytest.fixture(scope="module")
def model(logs):
    return GRU4Rec(logs[0].vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))


def test_with_weights_of_zero_it_is_the_model_alone(model, logs):
    fused = FusedModel(model, Fusion.count(logs[0], np.zeros([4, 5]), ["rules", "knn"]))
    test = log_of(random_sessions(1, 20, N_ITEMS), N_ITEMS)
    for tie in ("standard", "conservative"):
        found, alone = evaluate(fused, test, tie), evaluate(model, test, tie)
        for name in ("recall", "mrr"):
            assert getattr(found, name)(5) == pytest.approx(getattr(alone, name)(5))


def test_ranks_and_recommendations_are_those_of_slow_loops(model, logs):
    fusion = Fusion.count(logs[0], np.tile([0.5, 0.25, -0.3, -1.0, 1.0], [4, 1]), ["rules", "knn"])
    fused = FusedModel(model, fusion)
    tables = [table.toarray().tolist() for table in fusion.tables.values()]

    def scores(prefix):
        alone = model.predict_step(tf.constant([prefix], tf.int32)).numpy()[0]
        seen = np.bincount(logs[0].items, minlength=N_ITEMS)
        return np.array(oracle.fused_scores(alone, tables, seen, fusion.weights.tolist(), prefix))

    sessions = random_sessions(2, 10, N_ITEMS)
    # Few lanes, and scores of few queries at a time: neither changes a rank.
    found = evaluate(fused, log_of(sessions, N_ITEMS), lanes=3, score_bytes=4 * N_ITEMS * 5)
    asked = [(session[:seen], session[seen]) for session in sessions for seen in range(1, len(session))]
    expected = [1 + int((scores(prefix) > scores(prefix)[target]).sum()) for prefix, target in asked]
    np.testing.assert_array_equal(found.ranks, expected)
    # An item that is not known, which -1 stands for, is passed over wherever it is.
    best = recommend(fused, [[4, 99, 7], [99]], k=5)
    wanted = np.argsort(-scores([4, 7]), kind="stable")[:5]
    assert best["item"][best["session"] == 0].tolist() == wanted.tolist()
    popular = np.argsort(-model.vocabulary.counts, kind="stable")[:5]
    assert best["item"][best["session"] == 1].tolist() == popular.tolist()


def test_what_helps_on_other_sessions_is_taken(model, logs):
    fusion, report = learn_fusion(model, *logs)
    assert report.pop("reranking") == {"kept": False}  # there is too little to learn from
    assert set(report) == {"chosen", "none", "rules", "knn", "both", "neighbours"}
    alone = report["none"]
    gains = {
        name: row["recall"] / alone["recall"] + row["mrr"] / alone["mrr"]
        for name, row in report.items()
        if name != "chosen"
    }
    assert gains[report["chosen"]] == max(gains.values()) > 2
    found, alone = evaluate(FusedModel(model, fusion), logs[1]), evaluate(model, logs[1])
    assert found.mrr(5) > 2 * alone.mrr(5)
    only, report = learn_fusion(model, *logs, choice="rules", max_questions=50)
    assert (list(only.tables), report["chosen"]) == (["rules"], "rules")
    assert learn_fusion(model, *logs, choice="none") == (None, {"chosen": "none"})


def test_neighbours_alone_ask_nothing_of_the_model(model, logs):
    fusion, report = learn_fusion(model, *logs, choice="neighbours", rerank=False)
    assert (list(report), fusion.is_alone, list(fusion.sides)) == (
        ["chosen", "neighbours"],
        True,
        ["rules", "knn"],
    )
    tables = [table.toarray().tolist() for table in fusion.tables.values()]
    seen = np.bincount(logs[0].items, minlength=N_ITEMS)
    popularity = np.log(1 + seen)
    sessions = random_sessions(4, 10, N_ITEMS)
    other = GRU4Rec(model.vocabulary, GRU4RecConfig(layers=(1,), seed=7))
    for gru in (model, other):
        found = evaluate(FusedModel(gru, fusion), log_of(sessions, N_ITEMS))
        expected = []
        for session in sessions:
            for length in range(1, len(session)):
                scores = np.array(
                    oracle.fused_scores(popularity, tables, seen, fusion.weights.tolist(), session[:length])
                )
                # Of equal scores, as those of equally popular items, rounding may part some.
                above = np.count_nonzero(scores > scores[session[length]] + 1e-5)
                expected.append((1 + above, 1 + np.count_nonzero(scores > scores[session[length]] - 1e-5)))
        low, high = np.transpose(expected)
        assert ((low <= found.ranks) & (found.ranks <= high)).all()


def test_nothing_is_taken_where_nothing_helps(model, logs):
    # The model has every next click first, so that others can but level with it.
    best = tf.argmax(model.predict_step(tf.range(N_ITEMS)[:, tf.newaxis]), axis=1).numpy()
    valid = log_of(list(enumerate(best)), N_ITEMS)
    fusion, report = learn_fusion(model, logs[0], valid)
    assert (fusion, report["chosen"], report["none"]["mrr"]) == (None, "none", 1.0)


def test_logs_that_cannot_be_learned_from_are_refused(model, logs):
    with pytest.raises(ValueError, match="fusion needs at least two validation sessions"):
        learn_fusion(model, logs[0], log_of([[0, 1]], N_ITEMS))
    with pytest.raises(ValueError, match="choice must be one of none, rules, knn, both, neighbours, auto"):
        learn_fusion(model, *logs, choice="all")
    with pytest.raises(ValueError, match="with the model's vocabulary"):
        learn_fusion(model, log_of([[0, 1]], 2), logs[1])
    other = GRU4Rec(Vocabulary.from_items([5, 6]), GRU4RecConfig(layers=(2,)))
    with pytest.raises(ValueError, match="of the model's vocabulary"):
        FusedModel(other, Fusion.count(logs[0], np.zeros([4, 4]), ["rules"]))
