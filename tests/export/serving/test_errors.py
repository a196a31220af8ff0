"""Errors to gRPC statuses."""

import grpc
import pytest
import tensorflow as tf

from tfrs_gru4rec.export.serving import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest("m"), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.NotServed("m"), grpc.StatusCode.NOT_FOUND),
        (errors.UnknownSignature("m"), grpc.StatusCode.FAILED_PRECONDITION),
        (errors.Overloaded("m"), grpc.StatusCode.UNAVAILABLE),
        (errors.NotSupported("m"), grpc.StatusCode.UNIMPLEMENTED),
        (errors.ServingError("m"), grpc.StatusCode.INTERNAL),
        (tf.errors.InvalidArgumentError(None, None, "m"), grpc.StatusCode.INVALID_ARGUMENT),
        (tf.errors.ResourceExhaustedError(None, None, "m"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (tf.errors.DataLossError(None, None, "m"), grpc.StatusCode.DATA_LOSS),
        (tf.errors.UnauthenticatedError(None, None, "m"), grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_code_and_message(error, code):
    assert errors.to_status(error) == (code, "m")
    assert errors.code_of(error) is code


def test_message_fits_a_header():
    _, message = errors.to_status(errors.InvalidRequest("x" * 100_000))
    assert message == "x" * 1024


def test_unforeseen_errors_are_logged_and_not_told(caplog):
    code, message = errors.to_status(KeyError("the secret"))
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in message
    assert "the secret" in caplog.text
    assert errors.code_of(KeyError()) is grpc.StatusCode.INTERNAL
    assert errors.to_status(MemoryError())[0] is errors.code_of(MemoryError())
