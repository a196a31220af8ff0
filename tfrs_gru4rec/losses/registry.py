"""Losses by their names in the papers and in published settings: cross-entropy, bpr-max, top1-max, bpr, top1."""

import functools
from collections.abc import Callable

import tensorflow as tf

from tfrs_gru4rec import checks
from tfrs_gru4rec.losses.bpr import bpr, bpr_max
from tfrs_gru4rec.losses.cross_entropy import cross_entropy
from tfrs_gru4rec.losses.top1 import top1, top1_max

_FUNCTIONS: dict[str, tuple[Callable[..., tf.Tensor], tuple[str, ...]]] = {
    "cross-entropy": (cross_entropy, ("smoothing",)),
    "bpr-max": (bpr_max, ("bpreg",)),
    "top1-max": (top1_max, ()),
    "bpr": (bpr, ()),
    "top1": (top1, ()),
}
NAMES = tuple(_FUNCTIONS)


def parameter_names(name: str) -> tuple[str, ...]:
    """Returns the hyperparameters that the loss `name` takes.

    Raises:
      ValueError: the name is none of `NAMES`.

    >>> parameter_names("bpr-max")
    ('bpreg',)
    """
    checks.require_one_of(NAMES, loss=name)
    return _FUNCTIONS[name][1]


def get(name: str, **parameters: float) -> Callable[..., tf.Tensor]:
    """Returns a loss as a function `(scores, mask=None) -> [batch_size]`, its parameters bound.

    Args:
      name: one of `NAMES`.
      **parameters: hyperparameters of that loss, see `parameter_names`.

    Raises:
      ValueError: the name is unknown, or the loss has no such parameter.

    >>> loss = get("bpr-max", bpreg=0.5)
    >>> loss([[2.0, 2.0]]).numpy().round(4)  # ln 2 for the tie, and half of 2^2 for the negative's score
    array([2.6931], dtype=float32)
    """
    allowed = parameter_names(name)
    for parameter in parameters:
        rule = f"The loss {name} takes {', '.join(allowed) or 'no parameters'}."
        checks.require(parameter in allowed, rule, parameter=parameter)
    return functools.partial(_FUNCTIONS[name][0], **parameters)
