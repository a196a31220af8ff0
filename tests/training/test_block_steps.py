"""How many steps a block holds, by hand arithmetic."""

import pytest

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.training.block_steps import block_steps, step_flop


def settings(lanes, layers, n_sample=2048, **model):
    return GRU4RecConfig(layers=layers, n_sample=n_sample, **model), TrainingConfig(batch_size=lanes)


def test_flop_of_a_step():
    # 6·32·100·(32 + 2048) + 36·32·100·100
    assert step_flop(*settings(32, (100,))) == 39_936_000 + 11_520_000
    # 6·2·5·(2 + 10) + 18·2·7·(5 + 7) + 18·2·5·(7 + 5): a shared embedding is as wide as the last layer
    assert step_flop(*settings(2, (7, 5), n_sample=10)) == 720 + 3_024 + 2_160
    # a separate embedding of 3, and one-hot input, which multiplies nothing
    apart = {"n_sample": 10, "constrained_embedding": False}
    assert step_flop(*settings(2, (5,), embedding=3, **apart)) == 720 + 18 * 2 * 5 * (3 + 5)
    assert step_flop(*settings(2, (5,), **apart)) == 720 + 18 * 2 * 5 * 5


@pytest.mark.parametrize(
    ("lanes", "units", "expected"),
    [
        (32, 100, 128),  # 50e9 / 51.5e6 = 972
        (80, 224, 128),  # 50e9 / (228.8e6 + 144.5e6) = 134
        (48, 480, 64),  # 50e9 / (289.8e6 + 398.1e6) = 73
        (128, 512, 16),  # 50e9 / (855.6e6 + 1208.0e6) = 24
        (240, 512, 16),  # 50e9 / (1686.9e6 + 2264.9e6) = 13
    ],
)
def test_a_block_takes_about_a_second(lanes, units, expected):
    assert block_steps(*settings(lanes, (units,))) == expected
