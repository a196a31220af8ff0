"""REST: TF Serving's paths and JSON over HTTP/1.1, and beside them the metrics and the health of the server.

    GET  /v1/models/NAME[/versions/N|/labels/L]            status of the versions
    GET  /v1/models/NAME[/versions/N|/labels/L]/metadata   signatures
    POST /v1/models/NAME[/versions/N|/labels/L]:predict    a call
    GET  /metrics                                          Prometheus' text format
    GET  /healthz                                          200 while a version is in service, else 503

A request goes through the same `Services` as over gRPC, and so under the same limits. Errors are {"error": message},
with the status that TF Serving gives the gRPC code.
"""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import prometheus_client
from absl import logging
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from tfrs_gru4rec.export.serving import errors, json_tensors, metrics, services, versions
from tfrs_gru4rec.export.serving.config import ServerConfig

if TYPE_CHECKING:
    from tfrs_gru4rec.export.serving.page import Page

_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?(/metadata|:predict)?")
_CODES = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}  # 500 for any other
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HANDSHAKE_SECONDS = 10.0
_SCRAPE_SECONDS = 0.1  # between two scrapes of the metrics
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")


class Rest:
    """Answers HTTP requests."""

    def __init__(
        self,
        served: services.Services,
        models: versions.Versions,
        observed: metrics.Metrics,
        config: ServerConfig,
    ):
        self._served, self._models, self._metrics, self._config = served, models, observed, config
        self._has_page = False
        self._scraping, self._next_scrape = asyncio.Lock(), 0.0

    def application(self, page: "Page | None" = None) -> web.Application:
        """Returns what an HTTP server is to be given; with a page it answers requests to this machine by name alone."""
        made = web.Application(client_max_size=self._config.max_message_bytes, middlewares=[self._guard])
        made.add_routes(
            [
                web.route("*", "/v1/{path:.*}", self._call),
                web.get("/metrics", self._scrape),
                web.get("/healthz", self._health),
                *(page.routes() if page else ()),
            ]
        )
        self._has_page = page is not None
        return made

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Tells errors, and refuses what a browser sends for a page from elsewhere, under whatever name."""
        try:
            origin = request.headers.get("Origin")
            is_foreign = origin is not None and origin.partition("://")[2] != request.host
            if is_foreign or (self._has_page and not _LOOPBACK.fullmatch(request.host)):
                raise web.HTTPForbidden(reason="Pages of other origins may not ask this server.")
            return await handler(request)
        except web.HTTPException as error:
            code, message = error.status, error.reason
        except Exception as error:
            status, message = await self._served.refuse(error)
            code = _CODES.get(status.name, 500)
        return _json({"error": message}, code)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        body = await asyncio.wait_for(request.read(), self._config.receive_seconds)
        found = _PATH.fullmatch(request.path)
        methods = {
            ("GET", None): self._status,
            ("GET", "/metadata"): self._metadata,
            ("POST", ":predict"): self._predict,
        }
        method = methods.get((request.method, found[4])) if found else None
        if not found or not method:
            raise errors.InvalidRequest(f"Malformed request: {request.method} {request.path}")
        spec = model_pb2.ModelSpec(name=found[1], version_label=found[3])
        if found[2]:
            spec.version.value = int(found[2])
        return await self._served.admit(lambda: method(spec, body))

    async def _status(self, spec: model_pb2.ModelSpec, _: bytes) -> web.Response:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return _json(_as_dict(await self._served.get_model_status(request)))

    async def _metadata(self, spec: model_pb2.ModelSpec, _: bytes) -> web.Response:
        field = services.METADATA_FIELD
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[field])
        response = await self._served.get_model_metadata(request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[field].Unpack(definitions)
        return _json(
            {"model_spec": _as_dict(response.model_spec), "metadata": {field: _as_dict(definitions)}}
        )

    async def _predict(self, spec: model_pb2.ModelSpec, data: bytes) -> web.Response:
        body = json_tensors.parse(data)
        spec.signature_name = body["signature_name"]
        answer = await self._served.answer(spec, lambda signature: json_tensors.read_inputs(body, signature))
        return web.Response(
            body=json_tensors.write_outputs(body, answer.outputs), content_type="application/json"
        )

    async def _scrape(self, _: web.Request) -> web.Response:
        """Answers scrapers in turn: to count the sessions takes the model some of the time that clicks need."""
        loop = asyncio.get_running_loop()
        async with self._scraping:
            await asyncio.sleep(self._next_scrape - loop.time())
            self._next_scrape = loop.time() + _SCRAPE_SECONDS
            text = await self._served.admit(
                lambda: asyncio.to_thread(prometheus_client.generate_latest, self._metrics.registry)
            )
        return web.Response(body=text, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    async def _health(self, _: web.Request) -> web.Response:
        version = self._models.serving_version()
        if version is None:
            raise errors.Overloaded("No version is in service.")
        return _json({"version": str(version)})


@contextlib.asynccontextmanager
async def listening(application: web.Application, config: ServerConfig, port: int) -> AsyncIterator[int]:
    """Serves an application inside; yields the port, any that is free for 0.

    A connection is closed if its first request's headers do not come in within `receive_seconds`, or no request for
    `connection_idle_seconds`; what is beyond `max_concurrent_requests` connections is closed at once.

    Raises:
      OSError: the address is taken, or a TLS file cannot be read.
    """
    loop = asyncio.get_running_loop()
    tls: dict[str, Any] = {}
    if config.tls_key:
        tls = {"ssl": _tls(config), "ssl_handshake_timeout": _HANDSHAKE_SECONDS}
    runner = web.AppRunner(
        application,
        access_log=None,
        auto_decompress=False,  # a small body might become a large one
        handler_cancellation=True,
        keepalive_timeout=config.connection_idle_seconds,
        lingering_time=config.receive_seconds,
        shutdown_timeout=config.drain_seconds,
    )
    await runner.setup()

    def close_if_silent(connection: Any) -> None:
        if not connection._request_count:
            connection.force_close()

    def connect() -> asyncio.BaseProtocol:
        if runner.server is None or len(runner.server.connections) >= config.max_concurrent_requests:
            return _Refusal()
        made = runner.server()
        loop.call_later(config.receive_seconds, close_if_silent, made)
        return made

    try:
        listener = await loop.create_server(connect, config.host, port, **tls)
        yield listener.sockets[0].getsockname()[1]
        listener.close()
    finally:
        await runner.cleanup()


class _Refusal(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _tls(config: ServerConfig) -> ssl.SSLContext:
    """Reads the TLS files, and again for every connection, so that renewed ones are taken up."""

    def read() -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=config.tls_client_ca)
        made.verify_mode = ssl.CERT_REQUIRED if config.tls_client_ca else ssl.CERT_NONE
        made.load_cert_chain(str(config.tls_certificate), config.tls_key)
        return made

    def take_up(connection: ssl.SSLObject, *_: Any) -> None:
        try:
            latest[0] = read()
        except OSError as error:  # and errors of ssl, which are such
            logging.error("Cannot read the TLS files, going on with those before: %s", error)
        connection.context = latest[0]

    first = read()
    latest = [first]
    first.sni_callback = take_up
    return first


def _as_dict(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(value: Any, code: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value), status=code, content_type="application/json")
