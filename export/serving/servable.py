"""One version of a model, loaded and ready to be called.

Loaded as TF Serving does: the graph into a session, called by tensor names. It is also the
quickest way from Python: a prepared session call costs about 40 µs on top of the graph's own work,
a call of `tf.saved_model.load`'s function about 250 µs.
"""

import collections
import contextlib
import dataclasses
import functools
import inspect
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tfrs_gru4rec.export.serving import errors, tensors
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.signatures import (
    MAX_ROWS_OF_A_SESSION,
    SERVING_DEFAULT,
    STEP,
    STEPS,
    WARM_UP_SESSION_ID,
    max_shape,
)
from tfrs_gru4rec.export.version_folders import MAX_WARM_UP_RECORDS, WARM_UP_FILE, held

# The C++ code behind TF Serving has no other face in Python. TensorFlow logs that it is deprecated, for those who
# could as well load functions; unwrapped, it does not.
_load = inspect.unwrap(tf.compat.v1.saved_model.load)
# TensorFlow's own bookkeeping entry, no signature for clients.
_INIT_SIGNATURE = "__saved_model_init_op"


@dataclasses.dataclass(frozen=True, eq=False)
class ServedSignature:
    """One entry point of a version; no other version's is equal to it.

    Attributes:
      name: its key.
      inputs: sorted by alias.
      outputs: sorted by alias.
      run: takes the inputs' arrays in order, returns the outputs' in order.
    """

    name: str
    inputs: tensors.Specs
    outputs: tensors.Specs
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]]

    @functools.cached_property
    def is_batched(self) -> bool:
        """Whether requests may be merged along dimension 0."""
        return bool(self.inputs) and all(spec.is_batched for spec in self.inputs + self.outputs)

    def read_inputs(self, protos: Mapping[str, TensorProto], config: ServerConfig) -> tensors.Columns:
        """Reads a request's inputs by alias into the signature's order, of one number of rows if it is batched.

        Raises:
          InvalidRequest: they are not the signature's inputs.
        """
        wanted = {spec.alias for spec in self.inputs}
        if protos.keys() != wanted:
            raise errors.InvalidRequest(
                f"Signature {self.name} takes the inputs {_names(wanted)}. Received: {_names(protos)}."
            )
        if self.is_batched:
            # By the shapes as they are declared, before anything is made of them.
            rows = {dim.size for proto in protos.values() for dim in proto.tensor_shape.dim[:1]}
            if len(rows) > 1 or not 1 <= min(rows, default=1) <= config.max_batch_size:
                raise errors.InvalidRequest(
                    f"All inputs must have one number of rows, 1 to {config.max_batch_size}. "
                    f"Received: rows={sorted(rows)}."
                )
        columns = tuple(tensors.read(spec, protos[spec.alias], config) for spec in self.inputs)
        if max(self.count_sessions(columns).values(), default=0) > MAX_ROWS_OF_A_SESSION:
            raise errors.InvalidRequest(
                f"A request must have at most {MAX_ROWS_OF_A_SESSION} rows of one session; send them one by one."
            )
        return columns

    def count_sessions(self, columns: tensors.Columns) -> collections.Counter[Any]:
        """Returns the rows of each session in a `step`, which take turns; none for any other signature."""
        named = {spec.alias: column for spec, column in zip(self.inputs, columns, strict=True)}
        return collections.Counter(named["session_id"].values if self.name in STEPS else ())

    def run_one(self, columns: tensors.Columns) -> list[tensors.Column]:
        """Runs one request; takes its inputs as `read_inputs` gives them, returns its outputs in order."""
        pairs = zip(self.inputs, columns, strict=True)
        outputs = self.run([tensors.join(spec, [column]) for spec, column in pairs])
        return [tensors.Column(output.reshape(-1).tolist(), output.shape) for output in outputs]

    def select_outputs(self, output_filter: Sequence[str]) -> list[int]:
        """Returns the positions of the outputs asked for; all if none is named.

        Raises:
          InvalidRequest: a name is unknown or stands twice.
        """
        if not output_filter:
            return list(range(len(self.outputs)))
        aliases = [spec.alias for spec in self.outputs]
        if len(set(output_filter)) < len(output_filter) or not set(output_filter) <= set(aliases):
            raise errors.InvalidRequest(
                f"output_filter must name outputs of {self.name}, each once: {_names(aliases)}. "
                f"Received: {_names(output_filter)}."
            )
        return [aliases.index(alias) for alias in output_filter]


class Servable:
    """A loaded version. `run`s of its signatures may come from several threads."""

    def __init__(self, path: pathlib.Path, version: int, config: ServerConfig):
        """Loads a version from the folder with its `saved_model.pb`.

        Raises:
          tf.errors.OpError, OSError, ValueError: the folder holds no whole SavedModel.
        """
        self.path, self.version, self._config = path, version, config
        self._held = contextlib.ExitStack()
        self._held.enter_context(held(path))
        # Negative: operations follow each other in the caller's thread. A step is some 500 small ones, and
        # handing them to a pool costs a quarter of its processor time.
        settings = config_pb2.ConfigProto(
            intra_op_parallelism_threads=config.model_threads, inter_op_parallelism_threads=-1
        )
        # Grappler rewrites the whole graph for each signature, which is nine tenths of the time to load, and gains
        # nothing: the graph is traced as it should run.
        settings.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=settings)
        try:
            with self._session.graph.as_default():
                meta_graph = _load(self._session, [tf.saved_model.SERVING], str(path))
            self.signature_defs: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
            self._signatures = {
                name: self._prepare(name, definition)
                for name, definition in self.signature_defs.items()
                if name != _INIT_SIGNATURE
            }
            self._probe = self._prepare_probe()
        except BaseException:
            self.close()
            raise

    def signature(self, name: str) -> ServedSignature:
        """Returns a signature by name, the default one for an empty name.

        Raises:
          UnknownSignature: there is none of that name.
        """
        found = self._signatures.get(name or SERVING_DEFAULT.name)
        if found is None:
            raise errors.UnknownSignature(
                f'Serving signature key "{name or SERVING_DEFAULT.name}" not found. '
                f"Version {self.version} has {_names(self._signatures)}."
            )
        return found

    def call(self, name: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Runs a signature on arrays or nested lists, with nothing between them and the graph; outputs by name.

        Raises:
          ServingError, tf.errors.OpError: there is no such signature, or it failed.
        """
        signature = self.signature(name)
        arrays = [tensors.to_array(spec, inputs[spec.alias]) for spec in signature.inputs]
        names = [spec.alias for spec in signature.outputs]
        return dict(zip(names, signature.run(arrays), strict=True))

    def is_alive(self) -> bool:
        """Returns whether a step that leaves no trace comes through within `probe_seconds`.

        Not to be asked again after a no: TensorFlow does not cancel a second call that waits from the same thread.
        """
        try:
            self._probe()
        except tf.errors.OpError:
            return False
        return True

    def warm_up(self) -> int:
        """Runs the version's warm-up requests, if it has any, and returns how many.

        Raises:
          ValueError: a record is no Predict request, or there are more than 1,000.
          ServingError, tf.errors.OpError: a request failed.
        """
        path = self.path / WARM_UP_FILE
        if not path.exists():
            return 0
        count = 0
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if count == MAX_WARM_UP_RECORDS or not log.HasField("predict_log"):
                raise ValueError(f"Warm-up must be at most {MAX_WARM_UP_RECORDS} Predict requests: {path}.")
            request = log.predict_log.request
            signature = self.signature(request.model_spec.signature_name)
            signature.run_one(signature.read_inputs(request.inputs, self._config))
            count += 1
        return count

    def close(self) -> None:
        """Frees the model; calls under way are cancelled, those too that wait for a lock that nobody gives back."""
        self._session.close()
        self._held.close()

    def _prepare_probe(self) -> Callable[[], Any]:
        """Returns a step of the session that is never stored, with a deadline; nothing without such a signature."""
        definition = self.signature_defs.get(STEP.name)
        if definition is None or set(definition.inputs) != {tensor.name for tensor in STEP.inputs}:
            return lambda: None
        is_text = definition.inputs["item_id"].dtype == tf.string.as_datatype_enum
        values = {"session_id": [WARM_UP_SESSION_ID], "item_id": [b"\0" if is_text else 0], "position": [0]}
        arrays = [tensors.to_array(spec, values[spec.alias]) for spec in _specs(definition.inputs)]
        step = self._prepare(STEP.name, definition, self._config.probe_seconds)
        return lambda: step.run(arrays)

    def _prepare(
        self, name: str, definition: meta_graph_pb2.SignatureDef, seconds: float = 0.0
    ) -> ServedSignature:
        inputs, outputs = _specs(definition.inputs, name), _specs(definition.outputs)
        options = config_pb2.CallableOptions(
            feed=[spec.tensor_name for spec in inputs], fetch=[spec.tensor_name for spec in outputs]
        )
        options.run_options.timeout_in_ms = round(1000 * seconds)  # 0: none
        # Ten times cheaper than the public Session.make_callable, and what Keras runs its own
        # session functions through.
        call = self._session._make_callable_from_options(options)
        return ServedSignature(name, inputs, outputs, lambda arrays: call(*arrays))


def _specs(infos: Mapping[str, meta_graph_pb2.TensorInfo], signature: str = "") -> tensors.Specs:
    made = tensors.TensorSpec.from_info
    return tuple(made(alias, infos[alias], max_shape(signature, alias)) for alias in sorted(infos))


def _names(names: Iterable[str]) -> str:
    return "{" + ", ".join(sorted(names)) + "}"
