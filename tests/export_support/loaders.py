"""The ways into a SavedModel: TensorFlow 2's functions, and the session that our server and TF Serving use."""

import contextlib
import pathlib

import tensorflow as tf

from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.serving.servable import Servable


@contextlib.contextmanager
def loaded_as_functions(path):
    """Loads by tf.saved_model.load; the same face as `loaded_in_session`."""
    loaded = tf.saved_model.load(str(path))

    def call(name, **inputs):
        function = loaded.signatures[name]
        specs = function.structured_input_signature[1]
        outputs = function(**{key: tf.constant(inputs[key], specs[key].dtype) for key in specs})
        return {key: value.numpy() for key, value in outputs.items()}

    yield call


@contextlib.contextmanager
def loaded_in_session(path):
    """Loads by our server's loader, which hands inputs to the graph as they are, like TF Serving's C++.

    Yields:
      A function of a signature's name and its inputs by keyword that returns its outputs by name.
    """
    folder = pathlib.Path(path)
    with contextlib.closing(Servable(folder, 1, ServerConfig(folder.parent))) as loaded:
        yield loaded.call


@contextlib.contextmanager
def loaded_with_deadlines(path):
    """Loads into a session; a call takes the milliseconds after which the session cancels it, 0 for none."""
    graph = tf.Graph()
    with contextlib.closing(tf.compat.v1.Session(graph=graph)) as session:
        with graph.as_default():
            definitions = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def

        def call(name, milliseconds, **inputs):
            definition = definitions[name]
            feeds = {definition.inputs[alias].name: value for alias, value in inputs.items()}
            fetches = {alias: tensor.name for alias, tensor in definition.outputs.items()}
            return session.run(fetches, feeds, tf.compat.v1.RunOptions(timeout_in_ms=milliseconds))

        yield call


LOADERS = {"functions": loaded_as_functions, "session": loaded_in_session}
