"""What can go wrong in a call, and the one place that turns it into a gRPC status.

The codes are TF Serving's: an unknown model or version is NOT_FOUND, an unknown signature
FAILED_PRECONDITION, a request that does not fit its signature INVALID_ARGUMENT, a full queue
UNAVAILABLE. An error TensorFlow raises keeps its own code, which is numbered as gRPC's are.
"""

import asyncio

import grpc
import tensorflow as tf
from absl import logging

# A status message travels in an HTTP/2 header, of which clients accept 8 KB in all.
_MAX_MESSAGE = 1024
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A call failed for a reason to be told to the client; `code` is its gRPC status."""

    code = grpc.StatusCode.INTERNAL


class InvalidRequest(ServingError):
    """The request does not fit the model spec's or the signature's form."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotServed(ServingError):
    """No such model, or no such version of it, is being served."""

    code = grpc.StatusCode.NOT_FOUND


class UnknownSignature(ServingError):
    """The version has no signature of that name."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Overloaded(ServingError):
    """Too much is waiting already; the request has not been looked at and may be sent again."""

    code = grpc.StatusCode.UNAVAILABLE


class NotSupported(ServingError):
    """TF Serving's API has this, the embedded server does not."""

    code = grpc.StatusCode.UNIMPLEMENTED


def code_of(error: BaseException) -> grpc.StatusCode:
    """Returns the gRPC code of an error: INTERNAL if it is neither a `ServingError` nor TensorFlow's."""
    if isinstance(error, ServingError):
        return error.code
    if isinstance(error, tf.errors.OpError):
        return _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN)
    if isinstance(error, MemoryError):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    if isinstance(error, asyncio.TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.INTERNAL


def to_status(error: BaseException) -> tuple[grpc.StatusCode, str]:
    """Maps an error to what the client is told.

    Args:
      error: a `ServingError`, an error raised by a TensorFlow graph, or anything unforeseen, which
        is logged with its traceback and told without details.

    Returns:
      The status code, and a message of at most 1,024 characters.

    >>> to_status(NotServed("There is no version 7."))
    (<StatusCode.NOT_FOUND: (5, 'not found')>, 'There is no version 7.')
    """
    if isinstance(error, (ServingError, tf.errors.OpError)):
        message = error.message if isinstance(error, tf.errors.OpError) else str(error)
        return code_of(error), message[:_MAX_MESSAGE]
    if isinstance(error, asyncio.TimeoutError):
        return code_of(error), "The request did not come in, or was not answered, in time."
    logging.error("Unforeseen error in a call.", exc_info=error)
    return code_of(error), "Internal error; the server's log has the details."
