"""Back-off, on a clock that only moves when slept on."""

import grpc
import pytest

from tfrs_gru4rec.export.serving import retry


class Failure(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
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
    answer = retry.call(attempt_failing(4), POLICY, clock.sleep, clock.now, draw=max)
    assert answer == (2.0, 5)  # the attempt's deadline, the fifth attempt
    assert clock.slept == [0.5, 1.0, 2.0, 3.0]


def test_waits_are_drawn_from_zero_up():
    drawn = []
    clock = Clock()
    draw = lambda low, high: drawn.append((low, high)) or 0.0  # noqa: E731
    retry.call(attempt_failing(6), POLICY, clock.sleep, clock.now, draw)
    assert drawn == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 3.0), (0, 3.0), (0, 3.0)]


def test_gives_up_when_the_time_is_up():
    clock = Clock()
    with pytest.raises(Failure):
        retry.call(attempt_failing(99), POLICY, clock.sleep, clock.now, draw=max)
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
    assert retry.call(attempt_failing(1, code), POLICY, clock.sleep, clock.now) == (2.0, 2)


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL],
)
def test_what_waiting_does_not_cure_is_raised_at_once(code):
    clock = Clock()
    with pytest.raises(Failure):
        retry.call(attempt_failing(1, code), POLICY, clock.sleep, clock.now)
    assert clock.slept == []


def test_policy_is_checked():
    with pytest.raises(ValueError, match="attempt_seconds must be greater than 0"):
        retry.RetryPolicy(attempt_seconds=0.0)
    with pytest.raises(ValueError, match="total_seconds must be at least 0"):
        retry.RetryPolicy(total_seconds=-1.0)
