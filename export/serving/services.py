"""The services: PredictionService and ModelService of TF Serving's API, as gRPC calls and for `rest.py`.

Methods find the version, read the request, wait for the batcher and write the response. What fails
raises; every error leaves by one door, `Services._endpoint` or that of `rest.py`, which maps it to a status. Methods
of the API that are not here (Classify, Regress, MultiInference, HandleReloadConfigRequest) are UNIMPLEMENTED.
"""

import asyncio
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from tfrs_gru4rec.export.serving import batching, errors, metrics, servable, tensors, versions
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.signatures import SET_AVAILABILITY

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
METADATA_FIELD = "signature_def"
_Method = Callable[[Any], Awaitable[Message]]
_Made = TypeVar("_Made")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a signature answered.

    Attributes:
      version: number of the version that did.
      signature: its name.
      outputs: those asked for.
    """

    version: int
    signature: str
    outputs: Sequence[tuple[tensors.TensorSpec, tensors.Column]]


class Services:
    """Predict and GetModelMetadata, and GetModelStatus of the other service.

    They let so many requests in at a time, none before it has come in whole, and each for so long.
    """

    def __init__(
        self,
        models: versions.Versions,
        batcher: batching.Batcher,
        config: ServerConfig,
        observed: metrics.Metrics,
    ):
        """Makes the services of what is served; the batcher runs the calls, and the metrics count them."""
        self._models, self._batcher = models, batcher
        self._config, self._metrics = config, observed
        self._inside = 0

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Returns what a server is to be given."""
        metadata_request = get_model_metadata_pb2.GetModelMetadataRequest
        prediction = {
            "Predict": self._endpoint(self.predict, predict_pb2.PredictRequest),
            "GetModelMetadata": self._endpoint(self.get_model_metadata, metadata_request),
        }
        status_request = get_model_status_pb2.GetModelStatusRequest
        status = {"GetModelStatus": self._endpoint(self.get_model_status, status_request)}
        services = {PREDICTION_SERVICE: prediction, MODEL_SERVICE: status}
        return [grpc.method_handlers_generic_handler(*each) for each in services.items()]

    async def admit(self, handle: Callable[[], Awaitable[_Made]]) -> _Made:
        """Handles a request that has come in whole, if there is room, in the time it may take.

        Raises:
          Overloaded: too many are in hand.
          asyncio.TimeoutError: it took too long.
        """
        if self._inside >= self._config.max_concurrent_requests:
            raise errors.Overloaded("Too many requests are in hand; try again later.")
        self._inside += 1
        try:
            return await asyncio.wait_for(handle(), self._config.handle_seconds)
        finally:
            self._inside -= 1

    async def refuse(self, error: Exception) -> tuple[grpc.StatusCode, str]:
        """Returns what to tell of an error, that of a wrong request after a wait."""
        status = errors.to_status(error)
        if status[0] == errors.InvalidRequest.code:
            await asyncio.sleep(self._config.refusal_seconds)
        return status

    async def answer(
        self,
        spec: model_pb2.ModelSpec,
        read: Callable[[servable.ServedSignature], Mapping[str, TensorProto]],
        output_filter: Sequence[str] = (),
    ) -> Answer:
        """Runs a signature on inputs, by alias, that `read` gives once it is known which one.

        Raises:
          ServingError, tf.errors.OpError: it failed.
        """
        started, label, code = time.perf_counter(), "unknown", grpc.StatusCode.OK
        try:
            with self._models.lease(spec) as model:
                signature = model.signature(spec.signature_name)
                label = signature.name
                selected = signature.select_outputs(output_filter)
                columns = signature.read_inputs(read(signature), self._config)
                outputs = await self._run(signature, columns)
                named = [(signature.outputs[index], outputs[index]) for index in selected]
                return Answer(model.version, signature.name, named)
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            code = errors.code_of(error)
            raise
        finally:
            self._metrics.observe_request(label, code.name, time.perf_counter() - started)

    async def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answers one request; errors as `answer` raises them."""
        answer = await self.answer(request.model_spec, lambda _: request.inputs, request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = answer.version
        response.model_spec.signature_name = answer.signature
        for spec, column in answer.outputs:
            tensors.write(spec, column, response.outputs[spec.alias])
        return response

    async def _run(
        self, signature: servable.ServedSignature, columns: tensors.Columns
    ) -> list[tensors.Column]:
        if signature.name != SET_AVAILABILITY.name:
            return await self._batcher.submit(signature, columns)
        set_availability = self._models.set_availability
        return await asyncio.get_running_loop().run_in_executor(None, set_availability, columns)

    async def get_model_metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Answers the signatures of a version.

        Raises:
          ServingError: there is no such version, or something else than signatures is asked for.
        """
        if not request.metadata_field or set(request.metadata_field) != {METADATA_FIELD}:
            raise errors.InvalidRequest(
                f'metadata_field must be "{METADATA_FIELD}". Received: {list(request.metadata_field)}.'
            )
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._models.lease(request.model_spec) as model:
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = model.version
            for name, definition in model.signature_defs.items():
                definitions.signature_def[name].CopyFrom(definition)
        response.metadata[METADATA_FIELD].Pack(definitions)
        return response

    async def get_model_status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Answers the state of one version or of all.

        Raises:
          ServingError: there is no such model or version.
        """
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self._models.statuses(request.model_spec):
            entry = response.model_version_status.add(version=status.version, state=status.state)
            entry.status.error_code = status.code.value[0]
            entry.status.error_message = status.message
        return response

    def _endpoint(self, method: _Method, request_class: type[Message]) -> grpc.RpcMethodHandler:
        """Wraps a method so that its errors become statuses.

        On the wire a stream of one request is the same as one request. Read as a stream, it can be waited for with
        a deadline; gRPC itself would hold a place for a call that sends its headers and then nothing.
        """

        async def answer(_: Any, context: grpc.aio.ServicerContext) -> Message:
            try:
                # Not all at once: the end of a thousand silent calls would hold up every other.
                seconds = self._config.receive_seconds * random.uniform(0.5, 1.0)
                data = await asyncio.wait_for(context.read(), seconds)
                if data is grpc.aio.EOF:
                    raise errors.InvalidRequest("The call has no request.")
                return await self.admit(lambda: self._parsed(method, request_class, data))
            except Exception as error:
                status = await self.refuse(error)
            return await context.abort(*status)

        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=lambda response: response.SerializeToString()
        )

    async def _parsed(self, method: _Method, request_class: type[Message], data: bytes) -> Message:
        try:
            request = request_class.FromString(data)
        except DecodeError as error:
            name = request_class.DESCRIPTOR.full_name
            raise errors.ServingError(f"The request's bytes are no {name}.") from error
        return await method(request)
