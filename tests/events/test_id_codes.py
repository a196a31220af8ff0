"""Codes of ids."""

import numpy as np
import pyarrow as pa
import pytest

from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.id_codes import WrongIdType, id_codes, rising_codes


@pytest.mark.parametrize("values", [[30, 10, 30, 20], ["c", "a", "c", "b"]])
def test_rising_codes_sort_as_the_ids_do(values):
    codes, ids = rising_codes(*id_codes(LogColumn(pa.chunked_array([values[:2], values[2:]]), {})))
    assert codes.dtype == np.int32
    assert codes.tolist() == [2, 0, 2, 1]
    assert ids[codes].tolist() == values


def test_codes_of_ids_in_any_order_are_renumbered():
    codes, ids = rising_codes(np.array([0, 1, 2, 0]), np.array([7, 9, 8]))
    assert ids.tolist() == [7, 8, 9]
    assert codes.tolist() == [0, 2, 1, 0]


def test_a_bad_row_of_some_rows_keeps_its_number_in_the_column():
    column = LogColumn(pa.chunked_array([["a", None, "b", None]]), {"column": "item"})
    with pytest.raises(ValueError, match="column='item', row=4, value=None"):
        id_codes(column.take(np.array([0, 2, 3])))


def of_text(*values, is_text=True):
    return LogColumn(pa.chunked_array([list(values)]), {"file": "day.tsv"}, is_text=is_text)


@pytest.mark.parametrize("is_text", [True, False])
def test_ids_become_what_they_are_to_be(is_text):
    column = of_text("12", "7", is_text=is_text)
    assert id_codes(column, "integer")[1].tolist() == [12, 7]
    assert id_codes(column, "string")[1].tolist() == ["12", "7"]
    numbers = LogColumn(pa.chunked_array([[12, 7]]), {})
    assert id_codes(numbers, "integer")[1].tolist() == [12, 7]
    assert id_codes(numbers, "string")[1].tolist() == ["12", "7"]


@pytest.mark.parametrize("bad", ["A12", "007", "9223372036854775808"])
def test_an_id_that_is_no_integer_is_named_with_its_row(bad):
    with pytest.raises(WrongIdType, match=f"file='day.tsv', row=3, value='{bad}'"):
        id_codes(of_text("12", "7", bad), "integer")
    assert id_codes(of_text("12", "7", bad))[1].tolist() == ["12", "7", bad]
