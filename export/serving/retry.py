"""Calls that are tried again: exponential back-off with full jitter, within a total time."""

import dataclasses
import random
import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from tfrs_gru4rec.checks import require, require_positive

Answer = TypeVar("Answer")

# The server was not reached, was too busy, took too long, or was stopped before it had begun with the call:
# asking again may help.
RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How long to try.

    Attributes:
      attempt_seconds: deadline of one attempt.
      total_seconds: time after which no further attempt is begun.
      first_wait_seconds: upper end of the first wait; it doubles with every further one.
      longest_wait_seconds: bound of that upper end.
    """

    attempt_seconds: float = 1.0
    total_seconds: float = 5.0
    first_wait_seconds: float = 0.02
    longest_wait_seconds: float = 1.0

    def __post_init__(self) -> None:
        require_positive(
            attempt_seconds=self.attempt_seconds,
            first_wait_seconds=self.first_wait_seconds,
            longest_wait_seconds=self.longest_wait_seconds,
        )
        require(
            self.total_seconds >= 0, "total_seconds must be at least 0.", total_seconds=self.total_seconds
        )

    def longest_wait(self, attempts: int) -> float:
        """Returns the upper end of the wait after so many attempts.

        >>> policy = RetryPolicy(first_wait_seconds=0.25, longest_wait_seconds=0.75)
        >>> [policy.longest_wait(attempts) for attempts in (1, 2, 3)]
        [0.25, 0.5, 0.75]
        """
        doublings = min(attempts - 1, 100)  # so that nothing overflows
        return min(self.first_wait_seconds * 2.0**doublings, self.longest_wait_seconds)


def call(
    attempt: Callable[[float], Answer],
    policy: RetryPolicy,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
    draw: Callable[[float, float], float] = random.uniform,
) -> tuple[Answer, int]:
    """Makes a call until it succeeds or the time is up.

    Args:
      attempt: makes the call within so many seconds.
      policy: how long to try.
      sleep: waits so many seconds.
      now: a clock in seconds.
      draw: a number between two.

    Returns:
      The answer, and how many attempts it took.

    Raises:
      grpc.RpcError: the call failed for a reason that trying again does not cure, or the time is up.

    >>> call(lambda seconds: f"within {seconds} s", RetryPolicy(attempt_seconds=0.5))
    ('within 0.5 s', 1)
    """
    end = now() + policy.total_seconds
    attempts = 1
    while True:
        try:
            return attempt(policy.attempt_seconds), attempts
        except grpc.RpcError as error:
            wait = draw(0.0, policy.longest_wait(attempts))
            if error.code() not in RETRYABLE or now() + wait >= end:
                raise
        sleep(wait)
        attempts += 1
