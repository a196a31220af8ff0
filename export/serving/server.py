"""The embedded model server: wires versions, batcher, services, health and metrics together.

One event loop reads requests and writes answers; a few threads wait for the model; one thread
polls the export folder. It listens on loopback unless told otherwise.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import grpc
from absl import logging
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from tensorflow_serving.apis import model_pb2

from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.serving import batching, metrics, services, versions
from tfrs_gru4rec.export.serving.config import ServerConfig

if TYPE_CHECKING:
    from tfrs_gru4rec.export.serving.page import Page

# Peers that fall silent, or never get past the handshake, give their connection back in half a minute.
_LIVELINESS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


@dataclasses.dataclass(frozen=True)
class Listening:
    """Where a server can be reached.

    Attributes:
      address: "host:port" of the gRPC services.
      rest_address: "host:port" of REST; None = not served.
      version: the version in service; None = none yet.
    """

    address: str
    rest_address: str | None
    version: int | None


def run(
    config: ServerConfig,
    on_listening: Callable[[Listening], None] = lambda listening: None,
    page: "Page | None" = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets the calls under way finish.

    Args:
      config: settings.
      on_listening: called once, when requests are taken.
      page: shown over REST, to those that call the server by a name of this machine alone.

    Raises:
      OSError: a TLS file cannot be read, or an address cannot be listened on.
    """

    async def until_signal() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await serve(config, stopping, on_listening, page)

    # Every connection is an open file.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # The event loop waits for the interpreter's lock as long as this whenever another thread computes in Python.
    sys.setswitchinterval(0.0005)
    gc.freeze()  # what is there now stays, and costs later collections no time
    asyncio.run(until_signal())


async def serve(
    config: ServerConfig,
    stopping: asyncio.Event,
    on_listening: Callable[[Listening], None],
    page: "Page | None" = None,
) -> None:
    """Serves until an event is set, in any thread's event loop; arguments and errors otherwise as for `run`."""
    loop = asyncio.get_running_loop()
    observed, healthy = metrics.Metrics(), health.HealthServicer()

    async def report_health(is_serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        for service in ("", services.PREDICTION_SERVICE):
            await healthy.set(service, states.SERVING if is_serving else states.NOT_SERVING)

    models = versions.Versions(
        config,
        on_load=observed.observe_load,
        on_change=lambda is_serving: asyncio.run_coroutine_threadsafe(report_health(is_serving), loop),
    )
    observed.watch_sessions(lambda: session_figures(models, config.model_name))
    with (
        concurrent.futures.ThreadPoolExecutor(config.batch_threads, "model", _give_way) as executor,
        concurrent.futures.ThreadPoolExecutor(1, "step") as step_executor,
    ):
        batcher = batching.Batcher(executor, config, observed.observe_batch, step_executor)
        served = services.Services(models, batcher, config, observed)
        server = _make_server(config, served, healthy)
        port = _bind(server, config)
        await report_health(False)
        async with contextlib.AsyncExitStack() as stack:
            rest_address = None
            if config.rest_port is not None:
                from tfrs_gru4rec.export.serving import rest  # its libraries take a quarter of a second

                application = rest.Rest(served, models, observed, config).application(page)
                listening = rest.listening(application, config, config.rest_port)
                rest_address = _join_address(config.host, await stack.enter_async_context(listening))
            await loop.run_in_executor(None, models.poll)
            await server.start()
            await stack.enter_async_context(_polling(config, models))
            _warn_of_open_door(config)
            address = _join_address(config.host, port)
            on_listening(Listening(address, rest_address, models.serving_version()))
            await stopping.wait()
            logging.info("Stopping; calls under way have %g s to finish.", config.drain_seconds)
            await healthy.enter_graceful_shutdown()
            await asyncio.gather(server.stop(config.drain_seconds), stack.aclose())
        # Before the threads are waited for: unloading frees those that a hanging model holds.
        await loop.run_in_executor(None, models.close)


def session_figures(models: versions.Versions, model_name: str) -> dict[str, int]:
    """Returns the `stats` of the version in service by name; empty if there is none or it has no such signature."""
    try:
        with models.lease(model_pb2.ModelSpec(name=model_name)) as model:
            figures = model.call(signatures.STATS.name, probe=[0])
    except Exception as error:
        logging.warning("No session figures: %s", error)
        return {}
    return {name: int(value[0]) for name, value in figures.items()}


def _give_way() -> None:
    """Lets steps go first where the processor is short: on Linux niceness is a thread's own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, 10)


def _make_server(
    config: ServerConfig, served: services.Services, healthy: health.HealthServicer
) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.max_concurrent_streams", config.max_streams),
            ("grpc.max_connection_idle_ms", 1000 * config.connection_idle_seconds),
            ("grpc.max_connection_age_ms", 1000 * config.connection_age_seconds),
            ("grpc.max_connection_age_grace_ms", round(1000 * config.handle_seconds)),
            *_LIVELINESS,
            # Otherwise a second server on the same port would take half of the requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    server.add_generic_rpc_handlers(served.handlers())
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    return server


def _bind(server: grpc.aio.Server, config: ServerConfig) -> int:
    """Takes the address; returns the port."""
    address = _join_address(config.host, config.port)
    try:
        if config.tls_key is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(config))
    except RuntimeError as error:
        raise OSError(f"Cannot listen on {address}: another process may do so already. {error}") from error


def _credentials(config: ServerConfig) -> grpc.ServerCredentials:
    """Reads the TLS files, and reads them again for every connection, so that renewed ones are taken up."""

    def read() -> grpc.ServerCertificateConfiguration:
        chain, key, authorities = (
            path and path.read_bytes()
            for path in (config.tls_certificate, config.tls_key, config.tls_client_ca)
        )
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    def read_again() -> grpc.ServerCertificateConfiguration | None:
        try:
            return read()
        except OSError as error:
            logging.error("Cannot read the TLS files, going on with those before: %s", error)
            return None

    return grpc.dynamic_ssl_server_credentials(read(), read_again, config.tls_client_ca is not None)


@contextlib.asynccontextmanager
async def _polling(config: ServerConfig, models: versions.Versions) -> AsyncIterator[None]:
    """Looks for new versions inside, and whether the one in service takes steps."""
    stopped = threading.Event()

    def poll() -> None:
        next_probe = time.monotonic() + config.probe_seconds
        while not stopped.wait(min(config.poll_seconds, config.probe_seconds)):
            try:
                models.poll()
                if time.monotonic() >= next_probe:
                    models.watch()
                    next_probe = time.monotonic() + config.probe_seconds
            except Exception:
                logging.exception("Looking for versions failed; trying again.")

    thread = threading.Thread(target=poll, name="versions")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        await asyncio.to_thread(thread.join)


def _warn_of_open_door(config: ServerConfig) -> None:
    if config.tls_client_ca is None and not config.is_local:
        logging.warning("Anyone who can reach %s can read and write sessions: no tls_client_ca.", config.host)


def _join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
