"""Calls that are tried again: exponential back-off with full jitter, one deadline, and a circuit breaker."""

import copy
import dataclasses
import math
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from tfrs_gru4rec.checks import require_at_least, require_positive

Answer = TypeVar("Answer")
_NEVER_FITS = "message larger than max"  # in what gRPC says of a message that no server of this limit takes

# The server was not reached, was too busy, took too long, or was stopped before it had begun with the call:
# asking again may help.
_Code = grpc.StatusCode
RETRYABLE = frozenset({_Code.UNAVAILABLE, _Code.RESOURCE_EXHAUSTED, _Code.DEADLINE_EXCEEDED, _Code.CANCELLED})


class NotCalled(grpc.RpcError):
    """No call was made: there was no time left, or the server has failed too often of late."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code, self.details = lambda: code, lambda: message


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How long to try.

    Attributes:
      attempt_seconds: deadline of one attempt.
      total_seconds: deadline of all that a method of the client does: waiting, attempts and a replay. If it is
        less than `attempt_seconds`, a method has these, and makes each of its calls once.
      first_wait_seconds: upper end of the first wait; it doubles with every further one.
      longest_wait_seconds: bound of that upper end.
      breaker_failures: methods that fail one after another for a server not to be asked for a while.
      breaker_seconds: that while; after it one method tries, and the others wait for what becomes of it.
    """

    attempt_seconds: float = 1.0
    total_seconds: float = 5.0
    first_wait_seconds: float = 0.02
    longest_wait_seconds: float = 1.0
    breaker_failures: int = 5
    breaker_seconds: float = 1.0

    def __post_init__(self) -> None:
        require_positive(
            attempt_seconds=self.attempt_seconds,
            first_wait_seconds=self.first_wait_seconds,
            longest_wait_seconds=self.longest_wait_seconds,
            breaker_failures=self.breaker_failures,
            breaker_seconds=self.breaker_seconds,
        )
        require_at_least(0, total_seconds=self.total_seconds)

    def longest_wait(self, attempts: int) -> float:
        """Returns the upper end of the wait after so many attempts.

        >>> policy = RetryPolicy(first_wait_seconds=0.25, longest_wait_seconds=0.75)
        >>> [policy.longest_wait(attempts) for attempts in (1, 2, 3)]
        [0.25, 0.5, 0.75]
        """
        doublings = min(attempts - 1, 100)  # so that nothing overflows
        return min(self.first_wait_seconds * 2.0**doublings, self.longest_wait_seconds)


class Deadline:
    """The time that one method of the client has, whatever it does in it."""

    def __init__(self, policy: RetryPolicy, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._last_retry = now() + policy.total_seconds
        self._end = now() + max(policy.total_seconds, policy.attempt_seconds)

    def without_retries(self) -> "Deadline":
        """Returns the same deadline for a call that is to be made once."""
        once = copy.copy(self)
        once._last_retry = -math.inf
        return once

    def seconds_left(self) -> float:
        """Returns the time that is left; raises `NotCalled` if there is none."""
        left = self._end - self._now()
        if left <= 0.0:
            raise NotCalled(grpc.StatusCode.DEADLINE_EXCEEDED, "The time is up.")
        return left

    def allows_retry_after(self, wait: float) -> bool:
        """Returns whether another attempt may begin after so many seconds."""
        return self._now() + wait < self._last_retry


class CircuitBreaker:
    """Keeps calls from a server that fails again and again, so that its clients do not all wait for it."""

    def __init__(self, policy: RetryPolicy, now: Callable[[], float] = time.monotonic):
        self._policy, self._now = policy, now
        self._failures, self._closed_until = 0, 0.0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises NotCalled if calls are kept back now."""
        with self._lock:
            if self._failures < self._policy.breaker_failures:
                return
            if self._now() < self._closed_until:
                raise NotCalled(_Code.UNAVAILABLE, "The server has failed too often; not asked now.")
            # This call tries.
            self._closed_until = self._now() + self._policy.breaker_seconds

    def record(self, is_failure: bool) -> None:
        """Counts what became of a call: a failure is one that time may cure."""
        with self._lock:
            self._failures = self._failures + 1 if is_failure else 0
            if self._failures == self._policy.breaker_failures:
                self._closed_until = self._now() + self._policy.breaker_seconds


def is_retryable(error: grpc.RpcError) -> bool:
    """Returns whether asking again may help."""
    is_too_large = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and _NEVER_FITS in str(error)
    return error.code() in RETRYABLE and not is_too_large


def call(
    attempt: Callable[[float], Answer],
    policy: RetryPolicy,
    deadline: Deadline | None = None,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[float, float], float] = random.uniform,
) -> tuple[Answer, int]:
    """Makes a call, within so many seconds an attempt, until it succeeds or the time is up.

    Args:
      attempt: makes the call within so many seconds.
      policy: how long to try.
      deadline: of the method that calls; one that begins now if None.
      sleep: waits so many seconds.
      draw: draws a number between two.

    Returns:
      The answer, and how many attempts it took.

    Raises:
      grpc.RpcError: the call failed for a reason that trying again does not cure, or the time is up.

    >>> call(lambda seconds: f"within {seconds} s", RetryPolicy(attempt_seconds=0.5))
    ('within 0.5 s', 1)
    """
    deadline = deadline or Deadline(policy)
    attempts = 1
    while True:
        try:
            return attempt(min(policy.attempt_seconds, deadline.seconds_left())), attempts
        except grpc.RpcError as error:
            wait = draw(0.0, policy.longest_wait(attempts))
            if not is_retryable(error) or not deadline.allows_retry_after(wait):
                raise
        sleep(wait)
        attempts += 1
