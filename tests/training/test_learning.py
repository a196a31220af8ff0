"""Learning at both ends of the simulator's knob: nothing to gain at one, nearly the optimum at the other."""

import pytest

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.datasets.synthetic_sessions.optimum import optimal_recall
from tfrs_gru4rec.datasets.synthetic_sessions.simulator import simulate, split_by_time
from tfrs_gru4rec.datasets.synthetic_sessions.world import SimulatorConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours import evaluate_baselines
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit


def train(predictability, folder, loss):
    shop = SimulatorConfig(predictability=predictability, n_items=160, n_sessions=5000, drift=0.0)
    splits = split_by_time(shop, simulate(shop))
    log = SessionLog.from_frame(splits["train"])
    test_log = SessionLog.from_frame(splits["test"], vocabulary=log.vocabulary)
    config = GRU4RecConfig(layers=(48,), n_sample=128, sample_alpha=0.5, dropout_p_embed=0.1, **loss)
    model = GRU4Rec(log.vocabulary, config)
    fit(model, log, TrainingConfig(batch_size=32, n_epochs=6, learning_rate=0.1), ModelFolder(folder))
    found = evaluate(model, test_log).recall(20)
    return found, evaluate_baselines(log, test_log, (20,)), optimal_recall(shop, splits["test"], 20)


LOSSES = {
    "cross-entropy": {"loss": "cross-entropy", "logq": 1.0},
    "bpr-max": {"loss": "bpr-max", "final_act": "elu-1", "bpreg": 0.5},
}


@pytest.mark.parametrize("loss", ["cross-entropy", pytest.param("bpr-max", marks=pytest.mark.slow)])
def test_predictable_sessions_are_learned(loss, tmp_path):
    found, baselines, best = train(1.0, tmp_path / "m", LOSSES[loss])
    assert found > baselines["transitions"]["recall"]["20"] + 0.02
    assert found > 0.85 * best
    assert found < best + 0.03


@pytest.mark.slow
def test_noise_gives_nothing_beyond_popularity(tmp_path):
    found, baselines, best = train(0.0, tmp_path / "m", LOSSES["cross-entropy"])
    assert found < baselines["popularity"]["recall"]["20"] + 0.03
    assert found > 0.6 * best
