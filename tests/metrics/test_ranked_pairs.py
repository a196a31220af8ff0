"""Figures of ranks, worked by hand."""

import numpy as np
import pytest

from tfrs_gru4rec.metrics import RankedPairs

COUNTS = np.arange(20, 0, -1)


def six_pairs():
    ranks = np.array([1.0, 30.0, 2.0, 40.0, 5.0, 50.0])
    return RankedPairs(ranks, np.array([1, 2, 3, 1, 2, 12]), targets=np.array([0, 1, 0, 9, 19, 19]))


def test_figures_by_hand():
    # Ranks 1, 2, 4, 20: recall@2 = 2/4, MRR@2 = (1 + 1/2) / 4, recall@20 = 1, MRR@20 = (1 + .5 + .25 + .05) / 4.
    found = RankedPairs(np.array([1.0, 2.0, 4.0, 20.0]), np.array([1, 1, 2, 12]))
    figures = found.figures((2, 20))
    assert figures["recall"] == {"2": 0.5, "20": 1.0}
    assert figures["mrr"] == pytest.approx({"2": 0.375, "20": 0.45})
    # NDCG: 1 / log2 of 2, 3, 5 and 21.
    assert figures["ndcg"] == pytest.approx({"2": 1.63093 / 4, "20": 2.28927 / 4}, rel=1e-5)
    assert figures["precision"] == {"2": 0.25, "20": 0.05}
    by_position = found.by_position(2)
    assert by_position["1"] == {"recall": 1.0, "mrr": 0.75, "events": 2.0}
    assert set(by_position) == {"1", "2", "10+"}


def test_recall_by_popularity_by_hand():
    table = six_pairs().by_popularity(COUNTS, 20)
    # Twenty items, two a tenth: rows 0 and 1 are the first, row 9 lies in the fifth, row 19 in the last.
    assert {name: (row["recall"], row["events"]) for name, row in table.items()} == {
        "1": (pytest.approx(2 / 3), 3),
        "5": (0.0, 1),
        "10": (0.5, 2),
    }
    # The order of the rows does not matter, only the counts: turned round, row 19 is the most popular.
    assert six_pairs().by_popularity(COUNTS[::-1], 20)["1"]["events"] == 2
    with pytest.raises(ValueError, match="needs the targets"):
        RankedPairs(np.ones(1), np.ones(1)).by_popularity(COUNTS)


def test_pairs_of_unknown_items_are_misses():
    # Five pairs of ten have known items.
    found = RankedPairs(np.array([1.0, 2.0, 4.0, 20.0, 50.0]), np.ones(5, int), missed=np.full(5, -1))
    figures = found.of_all_pairs().figures((2, 20))
    assert figures["recall"] == {"2": 0.2, "20": 0.4}
    assert figures["mrr"]["2"] == pytest.approx(1.5 / 10)
    assert figures["ndcg"]["2"] == pytest.approx((1 + 1 / np.log2(3)) / 10)
    assert found.of_all_pairs().by_position(2)["1"]["events"] == 5  # misses have no position
    with pytest.raises(ValueError, match="All pairs of the log"):
        found.at_position(1).of_all_pairs()


def test_a_part_by_position_keeps_its_own_targets():
    part = six_pairs().at_position(2, 2)
    assert list(part.targets) == [1, 19]
