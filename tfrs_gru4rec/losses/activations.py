"""Final activations by the names that published settings use: linear, elu-0.5, relu, leaky-0.2, selu, tanh."""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from tfrs_gru4rec.checks import require

ALLOWED = "linear, relu, selu, tanh, elu-<alpha>, leaky-<alpha> (alpha a number above 0, as in elu-0.5)"

_PLAIN: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "linear": tf.identity,
    "relu": tf.nn.relu,
    "selu": tf.nn.selu,
    "tanh": tf.tanh,
}


def elu(scores: tf.Tensor, alpha: float) -> tf.Tensor:
    """Exponential linear unit: x where x > 0, else alpha * (exp(x) - 1); shape and type of `scores`.

    >>> elu(tf.constant([-100.0, 2.0]), 0.5).numpy()
    array([-0.5,  2. ], dtype=float32)
    """
    return tf.where(scores > 0, scores, alpha * tf.nn.elu(scores))


_WITH_ALPHA = {"elu": elu, "leaky": tf.nn.leaky_relu}  # x where x > 0, else alpha * x


def get(final_act: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function of a final activation, one of `ALLOWED`; element by element, same shape and type.

    Raises:
      ValueError: the name is none of these; the message lists them.

    >>> get("leaky-0.5")(tf.constant([-1.0, 2.0])).numpy()
    array([-0.5,  2. ], dtype=float32)
    """
    rule = f"final_act must be one of {ALLOWED}."
    require(isinstance(final_act, str), rule, final_act=final_act)
    if final_act in _PLAIN:
        return _PLAIN[final_act]
    kind, separator, number = final_act.partition("-")
    require(kind in _WITH_ALPHA and bool(separator), rule, final_act=final_act)
    try:
        alpha = float(number)
    except ValueError:
        alpha = math.nan
    require(math.isfinite(alpha) and alpha > 0, rule, final_act=final_act)
    return functools.partial(_WITH_ALPHA[kind], alpha=alpha)
