"""The model servers of a client: a connection to each, how it fared of late, and which one a session lives in."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator

import grpc
from google.protobuf.message import Message

from tfrs_gru4rec.export.serving import retry
from tfrs_gru4rec.export.serving.predict_messages import predict_of

_CHANNEL_OPTIONS = (
    # A restarted server should be found again in a moment, not after gRPC's default of up to 2 minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class ModelServer:
    """One server.

    Attributes:
      target: "host:port".
      version: the version that answered last; None before the first answer.
    """

    def __init__(
        self, target: str, policy: retry.RetryPolicy, credentials: grpc.ChannelCredentials | None = None
    ):
        """Makes a channel, which connects at its first call."""
        self.target = target
        self.version: int | None = None
        self._policy, self._breaker = policy, retry.CircuitBreaker(policy)
        if credentials is None:
            self._channel = grpc.insecure_channel(target, _CHANNEL_OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, _CHANNEL_OPTIONS)
        self._call = predict_of(self._channel)

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Counts how what is done inside ends; raises `NotCalled` while the server is not to be asked."""
        self._breaker.check()
        try:
            yield
        except grpc.RpcError as error:
            if not isinstance(error, retry.NotCalled):
                self._breaker.record(retry.is_retryable(error))
            raise
        self._breaker.record(False)

    def predict(self, request: Message, deadline: retry.Deadline) -> tuple[Message, int]:
        """Returns the answer to a request, and how many attempts it took; raises grpc.RpcError."""
        return retry.call(lambda seconds: self._call(request, timeout=seconds), self._policy, deadline)

    def takes(self, request: Message, deadline: retry.Deadline) -> bool:
        """Tells whether the server answers a request at once."""
        try:
            self._call(request, timeout=min(self._policy.attempt_seconds, deadline.seconds_left()))
        except grpc.RpcError:
            return False
        return True


def ranked(targets: Iterable[str], session_id: str) -> list[str]:
    """Returns targets in the order in which a session looks for a server.

    Each target and session have a random number, and the largest comes first: "highest random weight" (Thaler and
    Ravishankar 1998, "Using name-based mappings to increase hit rates"). So the sessions are spread evenly, all clients
    agree, and when a server goes, none but its own sessions move.

    >>> ranked(["a:1", "b:1", "c:1"], "visit-17"), ranked(["c:1", "a:1"], "visit-17")
    (['a:1', 'c:1', 'b:1'], ['a:1', 'c:1'])
    """

    def weight(target: str) -> bytes:
        return hashlib.blake2b(f"{target}\0{session_id}".encode(), digest_size=8).digest()

    return sorted(targets, key=weight, reverse=True)
