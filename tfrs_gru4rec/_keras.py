"""The one file that knows which Keras is in use.

TensorFlow Recommenders 0.7 is written for Keras 2, which lives on as the package `tf_keras`. TensorFlow
binds `tf.keras` to Keras 3 unless `TF_USE_LEGACY_KERAS` is set when `tf.keras` is first touched. `import
tfrs_gru4rec` sets it, so it does not matter which of TensorFlow and this package is imported first, as long
as nothing has touched `tf.keras` in between.

Everything in this library that needs Keras or TFRS imports it from here::

    from tfrs_gru4rec._keras import keras, tfrs
"""

import os
from typing import Any

import tensorflow as tf
import tf_keras as keras

_REASON = (
    "tfrs_gru4rec needs Keras 2 (tf-keras), because TensorFlow Recommenders does, "
    "but tf.keras is Keras 3 in this process"
)


def _explain_wrong_keras() -> str:
    """Returns what went wrong and what to do about it."""
    value = os.environ.get("TF_USE_LEGACY_KERAS")
    if value not in ("1", "true", "True"):
        return (
            f"{_REASON}. Set TF_USE_LEGACY_KERAS=1, or leave it unset. "
            f"Received: TF_USE_LEGACY_KERAS={value!r}."
        )
    return (
        f"{_REASON}: it was used before tfrs_gru4rec was imported. Import tfrs_gru4rec first, or set the "
        "environment variable TF_USE_LEGACY_KERAS=1 before Python starts."
    )


if tf.keras.layers.Layer is not keras.layers.Layer:
    raise ImportError(_explain_wrong_keras())

import tensorflow_recommenders as tfrs  # noqa: E402 - fails obscurely under Keras 3


def require_keras_2(call: str, *values: Any) -> None:
    """Checks that no object of Keras 3 is among the values given to `compile` or `fit`.

    Raises:
      ValueError: one is; the message names what to use instead.

    >>> import keras as keras_3
    >>> require_keras_2("fit", keras.callbacks.History(), keras_3.callbacks.History())
    Traceback (most recent call last):
    ValueError: fit takes objects of Keras 2: use History of tf_keras (import tf_keras as keras), or of tf.keras.
    Received: keras.src.callbacks.history.History, of Keras 3.
    """
    for value in values:
        kind = next((kind for kind in type(value).__mro__ if kind.__module__.split(".")[0] == "keras"), None)
        if kind is not None:
            raise ValueError(
                f"{call} takes objects of Keras 2: use {type(value).__name__} of tf_keras (import tf_keras as "
                f"keras), or of tf.keras. Received: {type(value).__module__}.{type(value).__name__}, of Keras 3."
            )


__all__ = ["keras", "require_keras_2", "tfrs"]
