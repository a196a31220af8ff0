"""The card of an export: filled from the model and from what is known of its training."""

import numpy as np
import pytest

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.export.model_card import model_card
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

ABOUT = {
    "training": {"batch_size": 32, "optimizer": "adagrad"},
    "data": {"events": 60, "sessions": 12, "items": 3, "checksum": 99},
    "test": {
        "recall": {"5": 0.25, "20": 0.5},
        "mrr": {"5": 0.125, "20": 0.2},
        "intervals": {"recall": {"20": [0.4, 0.6]}},
    },
    "baselines": {"popularity": {"recall": {"5": 0.1, "20": 0.3}, "mrr": {"5": 0.05, "20": 0.07}}},
}


@pytest.fixture(scope="module")
def model():
    vocabulary = Vocabulary(np.array(["a", "b", "c"], object), np.array([5, 3, 1]))
    return GRU4Rec(vocabulary, GRU4RecConfig(layers=(2,), loss="bpr-max", final_act="elu-0.5"))


def test_what_is_known_of_training_is_in_the_card(model):
    lines = model_card(model, {"top_k": 2, "idle_seconds": 60.0}, ABOUT).splitlines()
    assert {"| events | 60 |", "| sessions | 12 |", "| items | 3 |"} <= set(lines)
    assert {"| loss | bpr-max |", "| batch_size | 32 |", "| top_k | 2 |"} <= set(lines)
    # The longest list, which is the largest number and not the last word.
    assert "|  | recall@20 | MRR@20 |" in lines
    assert "| GRU4Rec | 0.5000 (0.4000 to 0.6000) | 0.2000 |" in lines
    assert "| popularity | 0.3000 | 0.0700 |" in lines
    assert not any("checksum" in line for line in lines)


def test_a_fused_model_has_its_figures_with_and_without_neighbours(model):
    alone = {"recall": {"20": 0.375}, "mrr": {"20": 0.15}}
    card = model_card(model, {"top_k": 2}, {**ABOUT, "test_alone": alone})
    assert "| GRU4Rec, fused with neighbours | 0.5000 (0.4000 to 0.6000) | 0.2000 |" in card
    assert "| GRU4Rec alone | 0.3750 | 0.1500 |" in card


def test_figures_over_all_pairs_and_the_log_they_are_of(model):
    of_all = {"recall": {"20": 0.4}, "mrr": {"20": 0.16}, "intervals": {"recall": {"20": [0.3, 0.5]}}}
    test = {**ABOUT["test"], "all_pairs": of_all, "known_share": 0.8, "log": "the following day, 2.csv"}
    lines = model_card(model, {"top_k": 2}, {**ABOUT, "test": test}).splitlines()
    assert any(line.startswith("On the following day, 2.csv: ") and "the 20.0%" in line for line in lines)
    assert "| GRU4Rec, all pairs | 0.4000 (0.3000 to 0.5000) | 0.1600 |" in lines


def test_a_model_of_which_nothing_is_known_has_a_card_that_says_so(model):
    card = model_card(model, {"top_k": 2}, {})
    assert "| events | 9 |" in card  # 5 + 3 + 1
    assert "None are known" in card
    assert "| training |" not in card


def test_every_table_has_cells_as_its_head(model):
    for block in model_card(model, {"top_k": 2}, ABOUT).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, block
