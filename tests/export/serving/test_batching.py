"""Merging of requests: who goes with whom, in which order, and what happens to the others when one is bad."""

import asyncio
import concurrent.futures
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from tfrs_gru4rec.export.serving import batching, errors, servable, tensors
from tfrs_gru4rec.export.serving.config import ServerConfig


class Doubler:
    """A model in plain Python that answers twice its input and remembers its batches.

    It refuses negative numbers as a graph would, changing nothing; 13 breaks it after the change.
    """

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.refused = 0
        self.may_run = threading.Event()
        self.may_run.set()

    def run(self, arrays):
        self.may_run.wait(10.0)
        (values,) = arrays
        if np.any(values < 0):
            self.refused += 1
            raise tf.errors.InvalidArgumentError(None, None, "negative")
        self.batches.append(values.reshape(-1).tolist())
        if np.any(values == 13):
            raise tf.errors.InternalError(None, None, "broken")
        return [values * 2]

    def signature(self, *shape: int | None) -> servable.ServedSignature:
        spec = tensors.TensorSpec("x", "x:0", types_pb2.DT_INT64, shape or (None,))
        return servable.ServedSignature("double", (spec,), (spec,), self.run)


def columns(*values: int, width: int | None = None) -> tuple[tensors.Column, ...]:
    array = np.array(values, np.int64)
    shape = (len(values),) if width is None else (len(values) // width, width)
    return (tensors.Column(array, shape),)


def settings(**changes) -> ServerConfig:
    return ServerConfig(pathlib.Path(), **changes)


@pytest.fixture
def executor():
    with concurrent.futures.ThreadPoolExecutor(2) as made:
        yield made


def run_all(executor, model: Doubler, requests, config=None, signature=None, hold_first=True):
    """Sends requests in order, the rest while the first is running; returns answers or errors."""
    signature = signature or model.signature()

    async def main():
        batcher = batching.Batcher(executor, config or settings())
        if hold_first:
            model.may_run.clear()
        calls = []
        for request in requests:
            calls.append(asyncio.ensure_future(batcher.submit(signature, request)))
            if len(calls) == 1:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        model.may_run.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(main())


def values(result) -> list[int]:
    return list(result[0].values)


def test_what_arrives_while_the_model_is_busy_goes_together_in_order(executor):
    model = Doubler()
    results = run_all(executor, model, [columns(1), columns(2), columns(3, 4), columns(5)])
    assert [values(result) for result in results] == [[2], [4], [6, 8], [10]]
    assert model.batches == [[1], [2, 3, 4, 5]]


def test_a_lone_request_goes_alone(executor):
    model = Doubler()
    assert values(run_all(executor, model, [columns(7)], hold_first=False)[0]) == [14]


def test_requests_that_arrive_together_go_together(executor):
    model = Doubler()
    seen = []

    async def main():
        batcher = batching.Batcher(executor, settings(), lambda name, rows: seen.append((name, rows)))
        await asyncio.gather(*[batcher.submit(model.signature_, columns(value)) for value in range(5)])

    model.signature_ = model.signature()
    asyncio.run(main())
    assert model.batches == [[0, 1, 2, 3, 4]]
    assert seen == [("double", 5)]


def test_batches_keep_to_the_bound_and_requests_stay_whole(executor):
    model = Doubler()
    requests = [columns(0), columns(1, 2), columns(3, 4), columns(5, 6, 7), columns(8)]
    run_all(executor, model, requests, settings(max_batch_size=4))
    assert model.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]


def test_only_equal_widths_are_stacked(executor):
    model = Doubler()
    requests = [columns(0, 0, width=2), columns(1, 2, width=2), columns(3, width=1), columns(4, 5, width=2)]
    results = run_all(executor, model, requests, signature=model.signature(None, None))
    assert [values(result) for result in results] == [[0, 0], [2, 4], [6], [8, 10]]
    assert model.batches == [[0, 0], [1, 2, 4, 5], [3]]
    assert [result[0].shape for result in results] == [(1, 2), (1, 2), (1, 1), (1, 2)]


def test_a_refused_request_does_not_fail_its_neighbours_and_nothing_happens_twice(executor):
    model = Doubler()
    results = run_all(executor, model, [columns(0), columns(1), columns(-1), columns(2)])
    assert [values(results[index]) for index in (0, 1, 3)] == [[0], [2], [4]]
    assert isinstance(results[2], tf.errors.InvalidArgumentError)
    assert sorted(value for batch in model.batches for value in batch) == [0, 1, 2]
    assert model.refused == 2  # once with its neighbours, once alone


def test_an_error_that_may_have_struck_after_a_change_is_told_to_all_and_not_tried_again(executor):
    model = Doubler()
    results = run_all(executor, model, [columns(0), columns(1), columns(13), columns(2)])
    assert values(results[0]) == [0]
    assert all(isinstance(result, tf.errors.InternalError) for result in results[1:])
    assert model.batches == [[0], [1, 13, 2]]


def test_turns_requests_away_when_too_many_rows_wait(executor):
    model = Doubler()
    config = settings(max_batch_size=4, max_waiting_rows=4)
    results = run_all(executor, model, [columns(0), columns(1, 2), columns(3, 4), columns(5)], config)
    assert [values(result) for result in results[:3]] == [[0], [2, 4], [6, 8]]
    assert isinstance(results[3], errors.Overloaded)
    # What was turned away takes no room: the queue empties.
    assert values(run_all(executor, model, [columns(1)], config, hold_first=False)[0]) == [2]


def test_a_request_given_up_is_not_run(executor):
    model = Doubler()
    signature = model.signature()

    async def main():
        batcher = batching.Batcher(executor, settings())
        model.may_run.clear()
        first = asyncio.ensure_future(batcher.submit(signature, columns(1)))
        await asyncio.sleep(0.05)
        given_up = asyncio.ensure_future(batcher.submit(signature, columns(2)))
        last = asyncio.ensure_future(batcher.submit(signature, columns(3)))
        await asyncio.sleep(0.01)
        given_up.cancel()
        await asyncio.sleep(0.01)
        model.may_run.set()
        return await asyncio.gather(first, last)

    first, last = asyncio.run(main())
    assert (values(first), values(last)) == ([2], [6])
    assert model.batches == [[1], [3]]


def test_an_incomplete_batch_waits_until_it_is_full(executor):
    model = Doubler()
    signature = model.signature()

    async def main():
        batcher = batching.Batcher(executor, settings(max_batch_size=2, batch_wait_seconds=60.0))
        first = asyncio.ensure_future(batcher.submit(signature, columns(1)))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(batcher.submit(signature, columns(2)))
        await asyncio.wait_for(asyncio.gather(first, second), 30.0)

    asyncio.run(main())
    assert model.batches == [[1, 2]]


def test_an_incomplete_batch_waits_no_longer_than_told(executor):
    model = Doubler()

    async def main():
        batcher = batching.Batcher(executor, settings(max_batch_size=2, batch_wait_seconds=0.05))
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.wait_for(batcher.submit(model.signature(), columns(1)), 30.0)
        return loop.time() - started

    assert asyncio.run(main()) >= 0.05
    assert model.batches == [[1]]


def test_two_signatures_run_side_by_side(executor):
    slow, quick = Doubler(), Doubler()

    async def main():
        batcher = batching.Batcher(executor, settings())
        slow.may_run.clear()
        held = asyncio.ensure_future(batcher.submit(slow.signature(), columns(1)))
        await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(batcher.submit(quick.signature(), columns(2)), 5.0)
        slow.may_run.set()
        await held
        return answer

    assert values(asyncio.run(main())) == [4]


def test_a_signature_without_batch_is_never_merged(executor):
    model = Doubler()
    spec = tensors.TensorSpec("x", "x:0", types_pb2.DT_INT64, (2,))
    signature = servable.ServedSignature("fixed", (spec,), (spec,), model.run)
    results = run_all(executor, model, [columns(1, 2), columns(3, 4)], signature=signature)
    assert [values(result) for result in results] == [[2, 4], [6, 8]]
    assert sorted(model.batches) == [[1, 2], [3, 4]]


def test_an_output_that_does_not_follow_the_batch_is_an_error_not_a_mix_up(executor):
    spec = tensors.TensorSpec("x", "x:0", types_pb2.DT_INT64, (None,))
    signature = servable.ServedSignature(
        "sum", (spec,), (spec,), lambda arrays: [arrays[0].sum(keepdims=True)]
    )
    results = batching.run_batch(signature, [columns(1), columns(2)])
    assert all(isinstance(result, errors.ServingError) for result in results)


def steps_of(model: Doubler) -> servable.ServedSignature:
    """A signature named step whose session ids are numbers."""
    spec = tensors.TensorSpec("session_id", "x:0", types_pb2.DT_INT64, (None,))
    return servable.ServedSignature("step", (spec,), (spec,), model.run)


def test_a_batch_has_few_rows_of_one_session(executor):
    model = Doubler()
    requests = [columns(0), *[columns(7)] * 17, columns(8)]
    run_all(executor, model, requests, signature=steps_of(model))
    assert model.batches == [[0], [7] * 16, [7, 8]]


def test_rows_of_many_ids_count_for_more(executor):
    model = Doubler()
    requests = [columns(0), *[columns(*[1] * 64, width=64)] * 3]
    config = settings(max_batch_size=8, max_waiting_rows=8)
    signature = model.signature(None, None)
    requests[0] = columns(0, width=1)
    results = run_all(executor, model, requests, config, signature)
    assert [len(batch) for batch in model.batches] == [1, 128]  # two rows of 64 ids, a fourfold row each
    assert isinstance(results[3], errors.Overloaded)


def test_bytes_that_wait_are_bounded(executor):
    model = Doubler()
    heavy = (tensors.Column(np.array([1]), (1,), n_bytes=5 << 14),)
    config = settings(max_batch_size=8, max_waiting_rows=8)
    results = run_all(executor, model, [columns(0), heavy, heavy], config)
    assert [isinstance(result, errors.Overloaded) for result in results] == [False, False, True]


def test_steps_have_a_queue_and_a_thread_of_their_own(executor):
    slow, quick = Doubler(), Doubler()

    async def main():
        with concurrent.futures.ThreadPoolExecutor(1) as step_executor:
            config = settings(max_batch_size=1, max_waiting_rows=1)
            batcher = batching.Batcher(executor, config, step_executor=step_executor)
            slow.may_run.clear()
            # Both threads at work and a full queue.
            signatures = [slow.signature(), slow.signature()]
            held = []
            for signature in (*signatures, signatures[0]):
                held.append(asyncio.ensure_future(batcher.submit(signature, columns(1))))
                await asyncio.sleep(0.05)
            with pytest.raises(errors.Overloaded):
                await batcher.submit(signatures[0], columns(1))
            answer = await asyncio.wait_for(batcher.submit(steps_of(quick), columns(2)), 5.0)
            slow.may_run.set()
            await asyncio.gather(*held)
            return answer

    assert values(asyncio.run(main())) == [4]
