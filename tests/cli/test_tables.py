"""The tables of results, character by character."""

from tfrs_gru4rec.cli.logs import DataConfig
from tfrs_gru4rec.cli.tables import (
    all_pairs_line,
    events_line,
    figures_table,
    further_figures_table,
)

INTERVALS = {"recall": {"1": [0.1, 0.3], "5": [0.4, 0.6]}, "mrr": {"1": [0.1, 0.3], "5": [0.1, 0.15]}}
ROWS = {
    "GRU4Rec": {"recall": {"1": 0.2, "5": 0.5}, "mrr": {"1": 0.2, "5": 0.125}, "intervals": INTERVALS},
    "best possible": {"recall": {"5": 0.75}},
}


def test_what_is_best_possible_is_known_of_the_test_alone():
    for split in ("valid", "test[:10%]"):
        assert DataConfig(dataset="synthetic_sessions", test_split=split).best_possible() == {}


def lines(table):
    return [line.rstrip() for line in table.splitlines()]


def test_figures_have_half_the_width_of_their_intervals_beside_them():
    assert lines(figures_table(ROWS, (1, 5))) == [
        "                recall@1          recall@5             MRR@5",
        "GRU4Rec           0.2000   0.5000 ± 0.1000   0.1250 ± 0.0250",
        "best possible              0.7500",
    ]


def test_how_far_ahead_a_model_is_stands_in_the_row_of_the_other():
    behind = {"recall": {"5": [-0.02, 0.01]}, "mrr": {"5": [0.01, 0.03]}}
    ahead = {"recall": {"5": -0.01}, "mrr": {"5": 0.02}, "intervals": behind}
    others = {
        name: {"recall": {"5": 0.51}, "mrr": {"5": 0.105}, "model_ahead": {**ahead, "pairs": pairs}}
        for name, pairs in (("popularity", 1234), ("session_knn", 1000))
    }
    assert lines(figures_table(ROWS | others, (5,))) == [
        "                       recall@5             MRR@5    ahead in recall       ahead in MRR",
        "GRU4Rec         0.5000 ± 0.1000   0.1250 ± 0.0250",
        "best possible   0.7500",
        "popularity      0.5100            0.1050            -0.0100 ± 0.0150   +0.0200 ± 0.0100",
        "session_knn     0.5100            0.1050            -0.0100 ± 0.0150   +0.0200 ± 0.0100  on 1000 pairs",
    ]


def test_what_recall_means_is_said():
    test = {"events": 90, "dropped_events": 12, "known_share": 0.9}
    test["all_pairs"] = {"recall": {"5": 0.45}, "mrr": {"5": 0.1125}, "intervals": INTERVALS}
    assert events_line(test) == "90 test events (12 of unknown items dropped)"
    assert all_pairs_line(test, 5) == (
        "Of all pairs, the 10.0% with an unknown item counted as misses: recall@5 0.4500 ± 0.1000, "
        "MRR@5 0.1125 ± 0.0250."
    )


def test_further_figures():
    clicked = {"items": 4, "coverage": 0.2, "novelty": 5.5, "popularity": 12.25}
    test = {"ndcg": {"5": 0.25}, "precision": {"5": 0.1}}
    test["lists"] = {"lists": 3, "by_k": {"5": {**clicked, "coverage": 0.125}}, "clicked": clicked}
    assert lines(further_figures_table(test)) == [
        "                   @5    clicked",
        "ndcg           0.2500",
        "precision      0.1000",
        "coverage       12.50%     20.00%",
        "novelty          5.50       5.50",
        "popularity       12.2       12.2",
    ]
