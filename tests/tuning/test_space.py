"""What a study may try, and what is refused."""

import dataclasses

import optuna
import pytest

from tfrs_gru4rec.cli import train
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.tuning import SearchSpace


def test_what_is_suggested_lies_in_the_space():
    space = SearchSpace(
        {
            "cross-entropy": {
                "layers": [[8], [4, 4]],
                "n_sample": {"low": 2, "high": 5},
                "learning_rate": {"low": 0.01, "high": 0.1, "log": True},
                "constrained_embedding": False,
            },
            "bpr-max": {"final_act": ["linear", "elu-1"], "bpreg": 2},
        }
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    found = [space.suggest(study.ask()) for _ in range(60)]
    by_loss = {loss: [pair for pair in found if pair[0].loss == loss] for loss in space.losses}
    assert {model.layers for model, _ in by_loss["cross-entropy"]} == {(8,), (4, 4)}
    assert {model.n_sample for model, _ in by_loss["cross-entropy"]} == {2, 3, 4, 5}
    assert all(0.01 <= training.learning_rate <= 0.1 for _, training in by_loss["cross-entropy"])
    assert not any(model.constrained_embedding for model, _ in by_loss["cross-entropy"])
    assert {model.final_act for model, _ in by_loss["bpr-max"]} == {"linear", "elu-1"}
    # What the space does not name has its default.
    assert {(model.bpreg, model.layers, training.batch_size) for model, training in by_loss["bpr-max"]} == {
        (2.0, GRU4RecConfig().layers, TrainingConfig().batch_size)
    }


def test_the_first_trials_are_the_default_settings():
    space = SearchSpace()
    study = optuna.create_study()
    for parameters in space.first_trials():
        study.enqueue_trial(parameters)
    for loss in space.losses:
        default = train.COMMAND.parse(["train", "--model_dir=x", f"--loss={loss}"])
        model, training = space.suggest(study.ask())
        assert model == default["model"]
        assert training == dataclasses.replace(default["training"], n_epochs=TrainingConfig().n_epochs)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({}, "must have a loss"),
        ({"mse": {}}, "loss must be one of cross-entropy"),
        ({"bpr-max": 3}, "needs a table of settings.*bpr-max=3"),
        ({"bpr-max": {"rate": 0.1}}, "a setting to vary must be one of layers.*'rate'"),
        ({"bpr-max": {"seed": [1, 2]}}, "a setting to vary must be one of"),
        ({"bpr-max": {"layers": []}}, "layers needs a value to choose"),
        ({"bpr-max": {"layers": {"low": 1, "high": 9}}}, "layers needs numbers with low below high"),
        ({"bpr-max": {"learning_rate": {"low": 0.2, "high": 0.2}}}, "low below high"),
        ({"bpr-max": {"learning_rate": {"low": 0, "high": 0.2, "log": True}}}, "above 0 where log"),
        ({"bpr-max": {"learning_rate": {"min": 0.1, "max": 0.2}}}, "needs low and high"),
        ({"bpr-max": {"dropout_p_embed": {"low": 0.5, "high": 1.0}}}, "below 1.*dropout_p_embed=1.0"),
        ({"bpr-max": {"n_sample": ["many"]}}, "n_sample must be a whole number"),
        ({"bpr-max": {"constrained_embedding": "false"}}, "true or false.*'false'"),
    ],
)
def test_a_space_that_cannot_be_is_refused(losses, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(losses)


def test_a_file_that_is_no_space_is_named(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text("[bpr-max]\nrate = 0.1\n")
    with pytest.raises(ValueError, match=r"space\.toml: a setting to vary"):
        SearchSpace.from_file(path)
    path.write_text("[bpr-max\n")
    with pytest.raises(ValueError, match=r"space\.toml"):
        SearchSpace.from_file(path)
