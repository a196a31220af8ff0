"""Input checks shared by all rooms, with one wording: the rule, then what was received."""

from collections.abc import Collection
from typing import Any

import numpy as np


def require(condition: bool, rule: str, **received: Any) -> None:
    """Raises ValueError unless a rule about user input holds; the message is "<rule> Received: name=value".

    The rule is a full sentence ending in a full stop; the offending values are given by name.

    >>> require(3 > 4, "lanes must be above 4.", lanes=3)
    Traceback (most recent call last):
    ValueError: lanes must be above 4. Received: lanes=3.
    """
    if not condition:
        with np.printoptions(legacy="1.25"):  # later ones write np.int64(3) for a plain 3, in a list as well
            values = ", ".join(f"{name}={value!r}" for name, value in received.items())
        raise ValueError(f"{rule} Received: {values}.")


def require_positive(**values: float) -> None:
    """Raises ValueError unless every value is above zero.

    >>> require_positive(learning_rate=0.0)
    Traceback (most recent call last):
    ValueError: learning_rate must be greater than 0. Received: learning_rate=0.0.
    """
    for name, value in values.items():
        require(value > 0, f"{name} must be greater than 0.", **{name: value})


def require_at_least(minimum: float, **values: float) -> None:
    """Raises ValueError unless every value is `minimum` or more.

    >>> require_at_least(1, lanes=0)
    Traceback (most recent call last):
    ValueError: lanes must be at least 1. Received: lanes=0.
    """
    for name, value in values.items():
        require(value >= minimum, f"{name} must be at least {minimum}.", **{name: value})


def require_fraction(**values: float) -> None:
    """Raises ValueError unless every value lies in [0, 1).

    >>> require_fraction(dropout_p_embed=1.0)
    Traceback (most recent call last):
    ValueError: dropout_p_embed must be at least 0 and below 1. Received: dropout_p_embed=1.0.
    """
    for name, value in values.items():
        require(0.0 <= value < 1.0, f"{name} must be at least 0 and below 1.", **{name: value})


def require_one_of(allowed: Collection[str], **values: str) -> None:
    """Raises ValueError unless every value is among the allowed ones, which the message lists.

    >>> require_one_of(["mean", "sum"], reduction="max")
    Traceback (most recent call last):
    ValueError: reduction must be one of mean, sum. Received: reduction='max'.
    """
    for name, value in values.items():
        require(value in allowed, f"{name} must be one of {', '.join(allowed)}.", **{name: value})
