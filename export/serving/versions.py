"""Which version of the model is served: the largest number in the export folder that loads.

The folder is polled. A new version is loaded and warmed up while the old one serves, then takes
over in one assignment; calls under way finish on the version they began on, which is unloaded
after the last of them. A version that does not load, or for which there is too little memory, is
reported and passed over; it is tried again when its files change, and else after waits that grow.
If the folder of the version in service goes away, the largest that is left takes over (a way to
roll back); if none is left, it goes on serving. A version that no longer takes steps is loaded
again.
"""

import contextlib
import dataclasses
import gc
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from absl import logging
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from tfrs_gru4rec.export.serving import errors, retry, servable, tensors
from tfrs_gru4rec.export.serving.availability import Availability
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.serving.memory import available_bytes, require_memory
from tfrs_gru4rec.export.signatures import SET_AVAILABILITY
from tfrs_gru4rec.export.stock_operations import require_stock_operations
from tfrs_gru4rec.export.version_folders import require_inside, version_folders


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """What is known of a version: its state, as `ModelVersionStatus` numbers it, and why it did not load."""

    version: int
    state: int
    code: grpc.StatusCode = grpc.StatusCode.OK
    message: str = ""


# Of a version that did not load. What failed for want of memory or files may pass in seconds.
_BACK_OFF = retry.RetryPolicy(first_wait_seconds=1.0, longest_wait_seconds=300.0)


@dataclasses.dataclass(frozen=True)
class _Failure:
    """How a version failed: with which files, how often, and until when it is left alone."""

    files: frozenset[Any]
    count: int
    until: float


class _Loaded:
    """A version in memory and the number of calls it has under way."""

    def __init__(self, model: servable.Servable):
        self.model = model
        self.calls = 0
        self.published = 0.0
        with contextlib.suppress(OSError):
            self.published = model.path.stat().st_mtime


class Versions:
    """The versions of one model. `poll` is for one thread, everything else for any."""

    def __init__(
        self,
        config: ServerConfig,
        on_load: Callable[[int, float | None], None] = lambda version, published: None,
        on_change: Callable[[bool], object] = lambda is_serving: None,
        max_ended: int = 16,
        load: Callable[[pathlib.Path, int, ServerConfig], servable.Servable] = servable.Servable,
        now: Callable[[], float] = time.monotonic,
        available_bytes: Callable[[], float] = available_bytes,
    ):
        """Makes a manager that serves nothing before its first `poll`.

        It tells `on_load` the number of every version that takes over, and when its folder was written, seconds since
        1970, None of one that did not load; and `on_change` whether a version is in service, whenever another or none
        is. Of versions that are no longer served `statuses` tells about `max_ended`.
        """
        self._config, self._max_ended = config, max_ended
        self._on_load, self._on_change = on_load, on_change
        self._load_folder, self._now, self._available_bytes = load, now, available_bytes
        self._current: _Loaded | None = None
        self._is_reloading = False
        self._statuses: dict[int, VersionStatus] = {}
        self._failed: dict[int, _Failure] = {}
        self._availability = Availability(config.unavailable_path)
        self._idle = threading.Condition()  # guards everything above

    def poll(self) -> None:
        """Looks at the folder once, and takes the version over that should be served."""
        try:
            numbers = version_folders(self._config.export_dir)
        except OSError as error:
            logging.error("Cannot read the export folder %s: %s", self._config.export_dir, error)
            numbers = {}
        with self._idle:
            for gone in [version for version in self._failed if version not in numbers]:
                del self._failed[gone], self._statuses[gone]
            serving = self._current.model.version if self._current else None
        for version in sorted(numbers, reverse=True):
            if version == serving:
                return
            loaded = self._load(version, numbers[version])
            if loaded is not None:
                self._replace(_Loaded(loaded))
                gc.collect()  # a graph refers to itself, and keeps its memory until then
                return

    def watch(self) -> None:
        """Has the version in service take a step, and loads it again if it does not in time.

        Its sessions are lost, and clients replay them. It is unloaded before, as it may hang for lack of memory.
        """
        hanging = self._current
        if hanging is None or hanging.model.is_alive():
            return
        logging.error("Version %d hangs: loading it again. Its sessions are lost.", hanging.model.version)
        self._is_reloading = True  # until a version is in service
        self._replace(None, wait_seconds=0.0)
        self.poll()

    @contextlib.contextmanager
    def lease(self, spec: model_pb2.ModelSpec) -> Iterator[servable.Servable]:
        """Holds the version a request asks for, so that it is not unloaded before the answer.

        Raises:
          InvalidRequest: the spec names no model or an unknown label.
          NotServed: the model or version is not served.
        """
        wanted = self._wanted_version(spec)
        with self._idle:
            loaded = self._current
            if loaded is None and self._is_reloading:
                raise errors.Overloaded("The model is being loaded again; try again later.")
            if loaded is None or wanted not in (None, loaded.model.version):
                raise errors.NotServed(f"Servable not found for request: {_describe(spec, wanted)}.")
            loaded.calls += 1
        try:
            yield loaded.model
        finally:
            with self._idle:
                loaded.calls -= 1
                if loaded.calls == 0 and loaded is not self._current:
                    self._idle.notify_all()

    def set_availability(self, columns: tensors.Columns) -> list[tensors.Column]:
        """Runs `set_availability` on the version in service, and tells the versions after it.

        Raises:
          ServingError, tf.errors.OpError: no version is in service, or the call failed.
        """
        with self._availability.lock:
            loaded = self._current
            if loaded is None:
                raise errors.Overloaded("No version is in service; try again later.")
            signature = loaded.model.signature(SET_AVAILABILITY.name)
            outputs = signature.run_one(columns)
            named = {spec.alias: column for spec, column in zip(signature.inputs, columns, strict=True)}
            self._availability.remember(named["item_id"].values, named["available"].values)
        return outputs

    def statuses(self, spec: model_pb2.ModelSpec) -> list[VersionStatus]:
        """Returns the status of the version asked for, or of all, largest first.

        Raises:
          InvalidRequest: the spec names no model or an unknown label.
          NotServed: there is no such model or version.
        """
        wanted = self._wanted_version(spec)
        with self._idle:
            known = sorted(self._statuses.items(), reverse=True)
        found = [status for version, status in known if wanted in (None, version)]
        if not found:
            raise errors.NotServed(f"Could not find any versions of model {_describe(spec, wanted)}.")
        return found

    def serving_version(self) -> int | None:
        """Returns the number of the version in service."""
        with self._idle:
            return self._current.model.version if self._current else None

    def close(self) -> None:
        """Unloads, after the calls under way."""
        self._replace(None)

    def _wanted_version(self, spec: model_pb2.ModelSpec) -> int | None:
        if not spec.name:
            raise errors.InvalidRequest("ModelSpec has no name specified.")
        if spec.name != self._config.model_name:
            raise errors.NotServed(f"Servable not found for request: {_describe(spec, None)}.")
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            if spec.version_label not in self._config.version_labels:
                raise errors.InvalidRequest(f"Unrecognized servable version label: {spec.version_label}")
            return self._config.version_labels[spec.version_label]
        return spec.version.value if choice == "version" else None

    def _load(self, version: int, path: pathlib.Path) -> servable.Servable | None:
        """Loads and warms up a version; None, and a status that says why, if it cannot be served."""
        files, failed = _fingerprint(path), self._failed.get(version)
        count = failed.count if failed and failed.files == files else 0
        if failed and count and self._now() < failed.until:
            return None
        self._set_status(VersionStatus(version, ModelVersionStatus.LOADING))
        try:
            require_inside(path)
            require_stock_operations(path)
            require_memory(path, self._available_bytes())
            model = self._load_folder(path, version, self._config)
            try:
                n_requests = model.warm_up()
            except BaseException:
                model.close()
                raise
        # Whatever a damaged folder makes the loader raise, the version in service goes on.
        except Exception as error:
            logging.error("Version %d cannot be served: %s", version, error)
            with self._idle:
                until = self._now() + _BACK_OFF.longest_wait(count + 1)
                self._failed[version] = _Failure(files, count + 1, until)
            self._on_load(version, None)
            # Where it stands is nobody's business.
            message = str(error).replace(str(path), f"version {version}")
            self._set_status(VersionStatus(version, ModelVersionStatus.END, errors.code_of(error), message))
            return None
        logging.info("Loaded version %d from %s, %d warm-up requests.", version, path, n_requests)
        self._failed.pop(version, None)
        return model

    def _replace(self, new: _Loaded | None, wait_seconds: float | None = None) -> None:
        """Puts a version in service and unloads the one before, after the last call on it or `drain_seconds`."""
        # What is set from now on is set in the new version.
        with self._availability.lock:
            if new is not None:
                self._availability.tell(new.model)
            with self._idle:
                old, self._current = self._current, new
                self._is_reloading &= new is None
        self._on_change(new is not None)
        if new is not None:
            self._set_status(VersionStatus(new.model.version, ModelVersionStatus.AVAILABLE))
            self._on_load(new.model.version, new.published)
        if old is None:
            return
        self._set_status(VersionStatus(old.model.version, ModelVersionStatus.UNLOADING))
        with self._idle:
            seconds = self._config.drain_seconds if wait_seconds is None else wait_seconds
            self._idle.wait_for(lambda: old.calls == 0, seconds)
        old.model.close()
        self._set_status(VersionStatus(old.model.version, ModelVersionStatus.END))
        logging.info("Unloaded version %d.", old.model.version)

    def _set_status(self, status: VersionStatus) -> None:
        with self._idle:
            self._statuses[status.version] = status
            known = sorted(self._statuses.items())
            ended = [
                number
                for number, each in known
                if each.state == ModelVersionStatus.END and number not in self._failed
            ]
            for number in ended[: -self._max_ended]:
                del self._statuses[number]


def _fingerprint(path: pathlib.Path) -> frozenset[Any]:
    """Names, sizes and times of a version's files: equal while nothing in the folder changes."""
    found = set()
    for file in path.rglob("*"):
        # A file may go between listing and asking.
        with contextlib.suppress(OSError):
            stat = file.stat()
            found.add((str(file.relative_to(path)), stat.st_size, stat.st_mtime_ns))
    return frozenset(found)


def _describe(spec: model_pb2.ModelSpec, version: int | None) -> str:
    return f"{spec.name}, {'latest version' if version is None else f'version {version}'}"
