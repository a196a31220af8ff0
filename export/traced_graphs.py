"""Graphs that run as they were traced, wherever they are loaded."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_REWRITER = "disable_meta_optimizer"


@contextlib.contextmanager
def without_rewriting() -> Iterator[None]:
    """Has TensorFlow's graph rewriter, Grappler, leave the functions that are traced and saved within.

    A saved call of a function carries this setting, so it holds in every process that loads the export. Grappler would
    rewrite each function of each signature at its first call, which is a third of the time to load a version, and gains
    nothing: the graph is traced as it should run.

    >>> with without_rewriting():
    ...     tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
    True
    """
    options = tf.config.optimizer
    before = options.get_experimental_options().get(_REWRITER, False)
    options.set_experimental_options({_REWRITER: True})
    try:
        yield
    finally:
        options.set_experimental_options({_REWRITER: before})
