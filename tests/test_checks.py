import re

import numpy as np
import pytest

from tfrs_gru4rec import checks


def test_a_rule_that_holds_says_nothing():
    checks.require(True, "Never shown.", value=1)
    checks.require_positive(rate=0.1, steps=1)
    checks.require_at_least(0, n_sample=0)
    checks.require_fraction(dropout=0.0, smoothing=0.99)
    checks.require_one_of(("elu", "linear"), final_act="elu")


def test_the_message_is_the_rule_and_then_each_value_as_written_in_python():
    with pytest.raises(ValueError, match=re.escape("Ids must be unique. Received: id='7', row=3.")):
        checks.require(False, "Ids must be unique.", id="7", row=3)


def test_numbers_of_numpy_are_written_as_numbers():
    counts = [np.int64(3), (np.float32(0.5), np.str_("a"))]
    with pytest.raises(ValueError, match=re.escape("Received: row=7, counts=[3, (0.5, 'a')].")):
        checks.require(False, "Counts must rise.", row=np.int64(7), counts=counts)


@pytest.mark.parametrize("value", [0, -1, -1e-9, float("nan")])
def test_require_positive(value):
    with pytest.raises(
        ValueError, match=re.escape(f"rate must be greater than 0. Received: rate={value!r}.")
    ):
        checks.require_positive(fine=1, rate=value)


@pytest.mark.parametrize("value", [1, 1.999, float("nan")])
def test_require_at_least(value):
    with pytest.raises(ValueError, match=re.escape(f"lanes must be at least 2. Received: lanes={value!r}.")):
        checks.require_at_least(2, fine=2, lanes=value)


@pytest.mark.parametrize("value", [-0.1, 1.0, 50, float("nan")])
def test_require_fraction_takes_zero_but_not_one(value):
    rule = f"dropout must be at least 0 and below 1. Received: dropout={value!r}."
    with pytest.raises(ValueError, match=re.escape(rule)):
        checks.require_fraction(fine=0.5, dropout=value)


def test_require_one_of_lists_what_is_allowed_in_the_given_order():
    rule = "loss must be one of top1, bpr-max. Received: loss='bpr_max'."
    with pytest.raises(ValueError, match=re.escape(rule)):
        checks.require_one_of(("top1", "bpr-max"), loss="bpr_max")
