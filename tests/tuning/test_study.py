"""Studies: the best is found and kept, a cut study ends like a whole one, and bad input is refused."""

import shlex

import numpy as np
import optuna
import pandas as pd
import pytest
import tensorflow as tf
from training_support import ring_log

from tfrs_gru4rec.cli import train
from tfrs_gru4rec.evaluation.learn_fusion import learn_fusion
from tfrs_gru4rec.training import load_model
from tfrs_gru4rec.training.callbacks import DivergedError
from tfrs_gru4rec.tuning import SearchSpace, trial, tune

SPACE = SearchSpace(
    {
        "cross-entropy": {
            "layers": [[4], [8]],
            "batch_size": 8,
            "n_sample": 8,
            "learning_rate": {"low": 0.0001, "high": 0.5, "log": True},
        }
    }
)
SETTINGS = {"space": SPACE, "n_trials": 5, "n_epochs": 3, "seed": 3}


@pytest.fixture(scope="module", autouse=True)
def eagerly():
    """Without compilation, which would take most of the time of so small a training."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def logs():
    return ring_log(80, n_items=50, below_length=5, below_noise=3, seed=5).split_by_time(share=0.3)


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "whole"
    return folder, tune(*logs, folder, **SETTINGS)


def without_times(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_the_best_trial_is_what_is_found(whole):
    folder, found = whole
    recalls = [row["recall"] for row in found.trials]
    assert len(recalls) == 5
    assert recalls == sorted(recalls, reverse=True)
    best = found.trials[0]
    assert found.model.layers == (int(best["layers"]),)
    assert found.training.learning_rate == best["learning_rate"]
    assert 1 <= found.training.n_epochs <= best["epochs"] <= 3
    assert len(found.knn) == 2  # one for every two others
    assert {"n_neighbours", "n_candidates", "idf"} < found.knn[0].keys()
    table = pd.read_csv(folder / "trials.csv")
    np.testing.assert_allclose(table["recall"], recalls)
    assert (folder / "study.png").read_bytes().startswith(b"\x89PNG")
    kept = [path.name for path in (folder / "trials").glob("[0-9]*")]
    assert kept == [str(best["trial"] - 1)], "the checkpoints of the others have had their day"


def test_the_neighbours_weights_are_those_of_the_best_trial(logs, whole):
    folder, found = whole
    model = load_model(folder / "trials" / str(found.trials[0]["trial"] - 1) / "model")
    fusion, report = learn_fusion(model, *logs, seed=SETTINGS["seed"])
    assert found.fusion_report == report
    assert report["none"]["recall"] > 0
    assert found.fusion is not None, "the ring's sessions repeat, so that neighbours help"
    np.testing.assert_array_equal(found.fusion.weights, fusion.weights)


def test_the_best_flags_are_those_of_gru4rec_train(whole):
    folder, found = whole
    words = shlex.split((folder / "best.flags").read_text(), comments=True)
    arguments = train.COMMAND.parse(["train", "--train_path=x", "--model_dir=y", *words])
    assert (arguments["model"], arguments["training"]) == (found.model, found.training)
    assert arguments["validation"].fusion == found.fusion_report["chosen"]


@pytest.mark.slow
@pytest.mark.parametrize("cuts", [(1, 3, 2), (4, 5)])
def test_a_study_that_was_killed_ends_like_one_that_was_not(logs, whole, tmp_path, monkeypatch, cuts):
    def dying_after(n_epochs):
        left = [None] * n_epochs
        real = trial._Report.on_epoch_end

        def on_epoch_end(self, epoch, logs=None):
            if not left:
                raise KeyboardInterrupt
            left.pop()
            real(self, epoch, logs)

        return on_epoch_end

    for n_epochs in cuts:
        with monkeypatch.context() as patch:
            patch.setattr(trial._Report, "on_epoch_end", dying_after(n_epochs))
            with pytest.raises(KeyboardInterrupt):
                tune(*logs, tmp_path / "cut", **SETTINGS)
    found = tune(*logs, tmp_path / "cut", **SETTINGS)
    assert without_times(found.trials) == without_times(whole[1].trials)
    assert without_times(found.knn) == without_times(whole[1].knn)
    assert (found.model, found.training) == (whole[1].model, whole[1].training)


@pytest.mark.slow
def test_more_trials_go_on_with_the_study(logs, whole, tmp_path):
    short = tune(*logs, tmp_path / "s", **{**SETTINGS, "n_trials": 2})
    assert len(short.trials) == 2
    assert without_times(tune(*logs, tmp_path / "s", **SETTINGS).trials) == without_times(whole[1].trials)


def test_a_study_of_other_logs_or_another_space_is_refused(logs, whole):
    folder, found = whole
    other = SearchSpace({"bpr-max": {}})
    for changed in ({"space": other}, {"seed": 4}, {"n_epochs": 4}):
        with pytest.raises(ValueError, match=f"another space.*{next(iter(changed))}="):
            tune(*logs, folder, **{**SETTINGS, **changed})
    with pytest.raises(ValueError, match="another space.*data="):
        tune(logs[1], logs[1], folder, **SETTINGS)
    assert tune(*logs, folder, **SETTINGS).trials == found.trials


def test_a_budget_too_small_for_an_epoch_is_refused_and_nothing_is_lost(logs, tmp_path):
    with pytest.raises(ValueError, match="enough for an epoch.*budget_minutes=1e-06"):
        tune(*logs, tmp_path / "s", **{**SETTINGS, "budget_minutes": 1e-6})
    with pytest.raises(ValueError, match="n_trials, budget_minutes or both"):
        tune(*logs, tmp_path / "s", **{**SETTINGS, "n_trials": None})
    assert len(tune(*logs, tmp_path / "s", **{**SETTINGS, "n_trials": 1}).trials) == 1


def test_a_trial_that_diverges_is_given_up_with_its_reason(logs, tmp_path, monkeypatch):
    real, calls = trial.fit, []

    def fit(*arguments, **settings):
        calls.append(None)
        if len(calls) == 2:
            raise DivergedError("The loss became nan at step 7.")
        return real(*arguments, **settings)

    monkeypatch.setattr(trial, "fit", fit)
    found = tune(*logs, tmp_path / "s", **{**SETTINGS, "n_trials": 3, "n_epochs": 1, "tune_knn": False})
    assert len(calls) == 3
    assert len(found.trials) == 2  # the other reached no figure
    study = optuna.load_study(study_name="gru4rec", storage=f"sqlite:///{tmp_path}/s/study.db")
    assert study.trials[1].user_attrs["reason"] == "diverged: The loss became nan at step 7."


def test_a_damaged_study_is_named(logs, tmp_path):
    (tmp_path / "study.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ValueError, match=r"study\.db is damaged"):
        tune(*logs, tmp_path, **SETTINGS)
