"""Nearest items and largest weights, against cosines worked out by hand."""

import numpy as np
import pytest

from tfrs_gru4rec.evaluation.item_weights import largest_rows, nearest_rows

# Directions of 0, 90, 53.13 (3, 4), 180 degrees, and an item that has learned nothing.
WEIGHTS = np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 4.0], [-1.0, 0.0], [0.0, 0.0]], np.float32)


def test_nearest_items_by_the_angle_whatever_the_length():
    rows, cosines = nearest_rows(WEIGHTS, row=0, k=3)
    assert rows.tolist() == [2, 1, 4]  # of equal cosines the first row comes first
    assert cosines.tolist() == pytest.approx([0.6, 0.0, 0.0], abs=1e-7)
    rows, cosines = nearest_rows(WEIGHTS, row=2, k=9)
    assert rows.tolist() == [1, 0, 4, 3]
    assert cosines.tolist() == pytest.approx([0.8, 0.6, 0.0, -0.6], abs=1e-7)


def test_an_item_without_weights_is_as_near_to_all():
    assert nearest_rows(WEIGHTS, row=4, k=2)[1].tolist() == [0.0, 0.0]


def test_largest_rows():
    assert largest_rows(np.array([0.5, -3.0, 2.0, 2.0]), k=3).tolist() == [2, 3, 0]
