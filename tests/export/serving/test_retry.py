"""Back-off, on a clock that only moves when slept on."""

import grpc
import pytest

from tfrs_gru4rec.export.serving import retry


class Failure(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        super().__init__(details)
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


class Clock:
    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


POLICY = retry.RetryPolicy(
    attempt_seconds=2.0, total_seconds=10.0, first_wait_seconds=0.5, longest_wait_seconds=3.0
)


def attempt_failing(times: int, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE):
    left = [times]

    def attempt(seconds: float) -> float:
        if left[0]:
            left[0] -= 1
            raise Failure(code)
        return seconds

    return attempt


def test_waits_grow_to_the_bound():
    clock = Clock()
    answer = retry.call(attempt_failing(4), POLICY, retry.Deadline(POLICY, clock.now), clock.sleep, draw=max)
    assert answer == (2.0, 5)  # the attempt's deadline, the fifth attempt
    assert clock.slept == [0.5, 1.0, 2.0, 3.0]


def test_waits_are_drawn_from_zero_up():
    drawn = []
    clock = Clock()
    draw = lambda low, high: drawn.append((low, high)) or 0.0  # noqa: E731
    retry.call(attempt_failing(6), POLICY, retry.Deadline(POLICY, clock.now), clock.sleep, draw)
    assert drawn == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 3.0), (0, 3.0), (0, 3.0)]


def test_gives_up_when_the_time_is_up():
    clock = Clock()
    with pytest.raises(Failure):
        retry.call(attempt_failing(99), POLICY, retry.Deadline(POLICY, clock.now), clock.sleep, draw=max)
    assert clock.slept == [0.5, 1.0, 2.0, 3.0, 3.0]  # 9.5 s; the next would end at 12.5


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,  # what calls get that reach a server as it stops
    ],
)
def test_what_may_pass_is_tried_again(code):
    clock = Clock()
    assert retry.call(attempt_failing(1, code), POLICY, retry.Deadline(POLICY, clock.now), clock.sleep) == (
        2.0,
        2,
    )


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL],
)
def test_what_waiting_does_not_cure_is_raised_at_once(code):
    clock = Clock()
    with pytest.raises(Failure):
        retry.call(attempt_failing(1, code), POLICY, retry.Deadline(POLICY, clock.now), clock.sleep)
    assert clock.slept == []


def test_a_message_that_is_too_large_is_not_sent_again():
    clock = Clock()

    def attempt(seconds: float) -> None:
        raise Failure(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (9 vs. 4)"
        )

    with pytest.raises(Failure):
        retry.call(attempt, POLICY, retry.Deadline(POLICY, clock.now), clock.sleep)
    assert clock.slept == []


def test_several_calls_share_one_deadline():
    clock = Clock()
    deadline = retry.Deadline(POLICY, clock.now)
    clock.sleep(9.0)
    assert retry.call(attempt_failing(0), POLICY, deadline) == (1.0, 1)  # what is left of ten seconds
    clock.sleep(1.0)
    with pytest.raises(retry.NotCalled) as caught:
        retry.call(attempt_failing(0), POLICY, deadline)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_breaker_keeps_calls_back_after_failures_and_lets_one_try():
    clock = Clock()
    policy = retry.RetryPolicy(breaker_failures=2, breaker_seconds=3.0)
    breaker = retry.CircuitBreaker(policy, clock.now)
    for is_failure in (True, False, True, True):
        breaker.check()
        breaker.record(is_failure)
    clock.sleep(2.0)
    with pytest.raises(retry.NotCalled):
        breaker.check()
    clock.sleep(1.0)
    breaker.check()  # this one tries
    with pytest.raises(retry.NotCalled) as caught:
        breaker.check()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    breaker.record(False)
    breaker.check()


def test_policy_is_checked():
    with pytest.raises(ValueError, match="attempt_seconds must be greater than 0"):
        retry.RetryPolicy(attempt_seconds=0.0)
    with pytest.raises(ValueError, match="total_seconds must be at least 0"):
        retry.RetryPolicy(total_seconds=-1.0)
