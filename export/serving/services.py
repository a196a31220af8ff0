"""The gRPC services: PredictionService and ModelService of TF Serving's API.

Methods find the version, read the request, wait for the batcher and write the response. What fails
raises; every error leaves by one door, `_endpoint`, which maps it to a status. Methods of the API that
are not here (Classify, Regress, MultiInference, HandleReloadConfigRequest) are UNIMPLEMENTED.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tfrs_gru4rec.export.serving import batching, errors, metrics, servable, tensors, versions
from tfrs_gru4rec.export.serving.config import ServerConfig

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
_METADATA_FIELD = "signature_def"


class PredictionService:
    """Predict and GetModelMetadata."""

    def __init__(
        self,
        models: versions.Versions,
        batcher: batching.Batcher,
        config: ServerConfig,
        observed: metrics.Metrics,
    ):
        """Makes the service.

        Args:
          models: what is served.
          batcher: runs the calls.
          config: settings of the server, which bound a request.
          observed: counts the calls.
        """
        self._models, self._batcher = models, batcher
        self._config, self._metrics = config, observed

    def handlers(self, gate: "Gate") -> grpc.GenericRpcHandler:
        """Returns what a server is to be given; the gate lets requests in."""
        methods = {
            "Predict": _endpoint(self.predict, predict_pb2.PredictRequest, gate),
            "GetModelMetadata": _endpoint(
                self.get_model_metadata, get_model_metadata_pb2.GetModelMetadataRequest, gate
            ),
        }
        return grpc.method_handlers_generic_handler(PREDICTION_SERVICE, methods)

    async def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answers one request.

        Raises:
          ServingError, tf.errors.OpError: it failed.
        """
        started, label, code = time.perf_counter(), "unknown", grpc.StatusCode.OK
        try:
            _require_spec(request)
            with self._models.lease(request.model_spec) as model:
                signature = model.signature(request.model_spec.signature_name)
                label = signature.name
                selected = signature.select_outputs(request.output_filter)
                columns = signature.read_inputs(request.inputs, self._config)
                outputs = await self._batcher.submit(signature, columns)
                return _response(request, model, signature, selected, outputs)
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            code = errors.code_of(error)
            raise
        finally:
            self._metrics.observe_request(label, code.name, time.perf_counter() - started)

    async def get_model_metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers the signatures of a version.

        Raises:
          ServingError: there is no such version, or something else than signatures is asked for.
        """
        _require_spec(request)
        if not request.metadata_field or set(request.metadata_field) != {_METADATA_FIELD}:
            raise errors.InvalidRequest(
                f'metadata_field must be "{_METADATA_FIELD}". Received: {list(request.metadata_field)}.'
            )
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._models.lease(request.model_spec) as model:
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = model.version
            for name, definition in model.signature_defs.items():
                definitions.signature_def[name].CopyFrom(definition)
        response.metadata[_METADATA_FIELD].Pack(definitions)
        return response


class ModelService:
    """GetModelStatus."""

    def __init__(self, models: versions.Versions):
        """Makes the service over what is served."""
        self._models = models

    def handlers(self, gate: "Gate") -> grpc.GenericRpcHandler:
        """Returns what a server is to be given; the gate lets requests in."""
        request_class = get_model_status_pb2.GetModelStatusRequest
        methods = {"GetModelStatus": _endpoint(self.get_model_status, request_class, gate)}
        return grpc.method_handlers_generic_handler(MODEL_SERVICE, methods)

    async def get_model_status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers the state of one version or of all.

        Raises:
          ServingError: there is no such model or version.
        """
        _require_spec(request)
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self._models.statuses(request.model_spec):
            entry = response.model_version_status.add(version=status.version, state=int(status.state))
            entry.status.error_code = status.code.value[0]
            entry.status.error_message = status.message
        return response


class Gate:
    """Lets so many requests in at a time, none before it has come in whole, and each for so long."""

    def __init__(self, config: ServerConfig):
        """Makes an open gate of the server's settings."""
        self._config, self._inside = config, 0

    async def answer(
        self, method: Callable[[Any], Awaitable[message.Message]], context: grpc.aio.ServicerContext
    ) -> message.Message:
        """Waits for the request, as it was parsed, and returns the answer; raises `ServingError`."""
        try:
            request = await asyncio.wait_for(context.read(), self._config.receive_seconds)
            if request is grpc.aio.EOF:
                raise errors.InvalidRequest("The call has no request.")
            if self._inside >= self._config.max_concurrent_requests:
                raise errors.Overloaded("Too many requests are in hand; try again later.")
            self._inside += 1
            try:
                return await asyncio.wait_for(method(request), self._config.handle_seconds)
            finally:
                self._inside -= 1
        except asyncio.TimeoutError as error:
            raise errors.TooLate("The request did not come in, or was not answered, in time.") from error


def _endpoint(
    method: Callable[[Any], Awaitable[message.Message]], request_class: type[message.Message], gate: Gate
) -> grpc.RpcMethodHandler:
    """Wraps a method so that its errors become statuses.

    On the wire a stream of one request is the same as one request. Read as a stream, it can be waited for with a
    deadline; gRPC itself would hold a place for a call that sends its headers and then nothing.
    """

    def parse(data: bytes) -> message.Message | None:
        try:
            return request_class.FromString(data)
        except message.DecodeError:
            # Raised from here, it would become UNKNOWN.
            return None

    async def require(request: message.Message | None) -> message.Message:
        if request is None:
            raise errors.Unreadable(f"The request's bytes are no {request_class.DESCRIPTOR.full_name}.")
        return await method(request)

    async def answer(_: Any, context: grpc.aio.ServicerContext) -> message.Message:
        try:
            return await gate.answer(require, context)
        except Exception as error:
            status = errors.to_status(error)
        return await context.abort(*status)

    return grpc.stream_unary_rpc_method_handler(
        answer,
        request_deserializer=parse,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _require_spec(request: message.Message) -> None:
    if not request.HasField("model_spec"):
        raise errors.InvalidRequest("Missing ModelSpec")


def _response(
    request: predict_pb2.PredictRequest,
    model: servable.Servable,
    signature: servable.ServedSignature,
    selected: list[int],
    outputs: list[tensors.Column],
) -> predict_pb2.PredictResponse:
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = model.version
    response.model_spec.signature_name = signature.name
    for index in selected:
        spec = signature.outputs[index]
        tensors.write(spec, outputs[index], response.outputs[spec.alias])
    return response
