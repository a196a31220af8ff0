"""What a sampler of extra negatives has to be."""

from typing import Protocol, runtime_checkable

import tensorflow as tf

from tfrs_gru4rec.checks import require

_PROBE = 3


@runtime_checkable
class Sampler(Protocol):
    """Draws the extra negatives of training steps: `NegativeSampler`, or any object with this method.

    The method is called while a training step is traced, so it must be made of TensorFlow operations; with
    `jit_compile` of such that XLA compiles. Make the draw a pure function of the seed (`tf.random.stateless_…`): then a
    run that goes on from a checkpoint draws what the uninterrupted one would have drawn.

    >>> class Uniform:
    ...     def sample(self, n_sample, seed):
    ...         return tf.random.stateless_uniform([n_sample], seed, 0, 10, tf.int32)
    >>> isinstance(Uniform(), Sampler)
    True
    """

    def sample(self, n_sample: int, seed: tf.Tensor) -> tf.Tensor:
        """Draws the negatives of one step.

        Args:
          n_sample: how many.
          seed: int64 [2], the seed of the run and the number of the step.

        Returns:
          int32 [n_sample], rows of the vocabulary, each from 0 to n_items - 1.
        """


def require_sampler(sampler: Sampler, n_items: int) -> None:
    """Draws a few negatives and checks them.

    Args:
      sampler: of a user.
      n_items: rows of the vocabulary.

    Raises:
      ValueError: there is no method `sample`, or it returns something else than int32 rows of the vocabulary.

    >>> require_sampler("popular", n_items=10)
    Traceback (most recent call last):
    ValueError: A sampler must have a method sample(n_sample, seed). Received: sampler='popular'.
    """
    rule = "A sampler must have a method sample(n_sample, seed)."
    require(isinstance(sampler, Sampler), rule, sampler=sampler)
    rows = tf.convert_to_tensor(sampler.sample(_PROBE, tf.constant([0, 0], tf.int64)))
    require(
        rows.dtype == tf.int32 and rows.shape.as_list() == [_PROBE],
        "A sampler must return int32 [n_sample].",
        dtype=rows.dtype.name,
        shape=tuple(rows.shape),
        n_sample=_PROBE,
    )
    rule = "A sampler must return rows from 0 to n_items - 1."
    is_row = bool(tf.reduce_all((rows >= 0) & (rows < n_items)))
    require(is_row, rule, rows=rows.numpy().tolist(), n_items=n_items)
