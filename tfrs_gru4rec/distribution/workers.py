"""The workers of a `MultiWorkerMirroredStrategy`: how they find each other, agree on what they do, and who writes.

TF_CONFIG names them, as everywhere in TensorFlow: `{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker",
"index": 0}}`. The chief, or else worker 0, alone writes and evaluates.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from tfrs_gru4rec.checks import require

START_SECONDS = 120.0
_TRY_SECONDS = 0.2
# What a collective operation ends with when a worker is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
)


def strategy_of_environment(start_seconds: float = START_SECONDS) -> tf.distribute.Strategy:
    """Returns a `MultiWorkerMirroredStrategy` if TF_CONFIG names several workers, the default strategy otherwise.

    Must be called before TensorFlow computes anything.

    Args:
      start_seconds: how long to wait for the other workers.

    Raises:
      TimeoutError: a worker did not come up in time.
      ValueError: TF_CONFIG is no such JSON, or names a task that is no worker.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        addresses = {
            f"{job} {n}": each for job in ("chief", "worker") for n, each in enumerate(cluster.get(job, []))
        }
        own = f"{task.get('type')} {task.get('index')}"
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"TF_CONFIG must be JSON with a cluster and a task: {error}. Received: {text}."
        ) from error
    if len(addresses) < 2:
        return tf.distribute.get_strategy()
    require(own in addresses, "The task of TF_CONFIG must be one of its chief and workers.", task=own)
    _wait_for_others(addresses, own, start_seconds)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _wait_for_others(addresses: Mapping[str, str], own: str, seconds: float) -> None:
    """Listens where TensorFlow will, until everybody does: TensorFlow itself would wait an hour, and then abort."""
    until = time.monotonic() + seconds
    with socket.create_server(("", int(addresses[own].rpartition(":")[2]))):
        missing = [name for name in addresses if name != own]
        while missing := [name for name in missing if not _listens(addresses[name])]:
            if time.monotonic() > until:
                silent = ", ".join(f"{name} at {addresses[name]}" for name in missing)
                raise TimeoutError(
                    f"No answer within {seconds:.0f} s from {silent}: start all workers of TF_CONFIG."
                )
            time.sleep(_TRY_SECONDS)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


class Workers:
    """The workers of a strategy; of any other strategy than `MultiWorkerMirroredStrategy` one, who is the chief.

    >>> workers = Workers(tf.distribute.get_strategy())
    >>> workers.is_chief, workers.of_chief(lambda: [0.5, 2])
    (True, [0.5, 2])
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        """Names them."""
        resolver = strategy.cluster_resolver
        jobs = resolver.cluster_spec().as_dict() if resolver else {}
        self._names = [f"{job} {n}" for job in ("chief", "worker") for n in range(len(jobs.get(job, [])))]
        self._strategy = strategy
        self.is_several = len(self._names) > 1
        self.is_chief = not self.is_several or self._names[0] == f"{resolver.task_type} {resolver.task_id}"

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Says in one line that another worker is gone, if that ends what is done in a `with` block.

        Raises:
          ConnectionError: one is.
        """
        try:
            yield
        except _LOST as error:
            if not self.is_several:
                raise
            raise ConnectionError(
                "Another worker has ended, see what it said last. Start all of them again: the run goes on from the "
                "last checkpoint."
            ) from error

    def of_chief(self, act: Callable[[], Any]) -> Any:
        """Returns on all workers what a function, which is called on the chief alone, returns: values of JSON.

        Raises:
          ValueError: it failed; on the chief it raises what it raises.
        """
        if not self.is_several:
            return act()
        found, error = None, None
        if self.is_chief:
            try:
                found = act()
            except Exception as raised:
                error = raised
        found, message = json.loads(self._texts_of_all(json.dumps([found, error and str(error)]))[0])
        if error is not None:
            raise error
        require(message is None, f"The chief cannot go on: {message}", chief=self._names[0])
        return found

    def require_same(self, **mine: Any) -> None:
        """Checks that all workers hold the same named values of JSON.

        Raises:
          ValueError: they do not; the message, the same on all of them, says who differs from the chief, and in what.
        """
        if not self.is_several:
            return
        first, *others = [json.loads(text) for text in self._texts_of_all(json.dumps(mine))]
        different = {
            name: {
                key: (first.get(key), values.get(key))
                for key in {**first, **values}
                if first.get(key) != values.get(key)
            }
            for name, values in zip(self._names[1:], others, strict=True)
        }
        different = {name: values for name, values in different.items() if values}
        rule = f"All workers must train the same: give each the settings, data and model_dir of {self._names[0]}."
        require(not different, rule, different=different)

    def _texts_of_all(self, text: str) -> list[str]:
        codes = tf.constant(list(text.encode()), tf.int32)

        @tf.function
        def told() -> Any:
            def tell() -> Any:
                return tf.distribute.get_replica_context().all_gather([tf.shape(codes), codes], axis=0)

            return self._strategy.run(tell)

        sizes, everything = (self._strategy.experimental_local_results(part)[0] for part in told())
        each = len(sizes) // len(self._names)  # a worker may have several replicas
        return [bytes(part.numpy().tolist()).decode() for part in tf.split(everything, sizes)][::each]
