"""Merging of requests that arrive while the model is busy.

A signature runs one batch at a time; what arrives meanwhile waits and goes together into the next
one, in the order of arrival. So a lone request waits for nothing, and the busier the server, the
larger its batches. A wait can be added (`batch_wait_seconds`) to trade latency for throughput.

A merged batch that is refused with INVALID_ARGUMENT is run again, request by request, so that a bad
request does not fail its neighbours. By the contract a refused call has changed no session, so
nothing happens twice. Any other error is told to all, for it may have struck after a change.
"""

import asyncio
import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfrs_gru4rec.export.serving import errors, servable, tensors
from tfrs_gru4rec.export.serving.config import ServerConfig

Result = list[tensors.Column] | Exception


@dataclasses.dataclass(eq=False)
class _Waiting:
    signature: servable.ServedSignature
    columns: tuple[tensors.Column, ...]
    rows: int
    since: float
    answer: asyncio.Future[Any]


class Batcher:
    """Runs calls, merged. Lives on one event loop; the model runs in `executor`'s threads."""

    def __init__(
        self,
        executor: concurrent.futures.Executor,
        config: ServerConfig,
        observe: Callable[[str, int], None] = lambda signature, rows: None,
    ):
        """Makes a batcher.

        Args:
          executor: threads that wait for the model.
          config: settings of the server, which say how to merge.
          observe: told the signature and the number of rows of every batch run, in any thread.
        """
        self._executor, self._config, self._observe = executor, config, observe
        self._queues: dict[tuple[Any, ...], collections.deque[_Waiting]] = {}
        self._busy: set[servable.ServedSignature] = set()
        self._waiting_rows = 0
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    async def submit(
        self, signature: servable.ServedSignature, columns: tuple[tensors.Column, ...]
    ) -> list[tensors.Column]:
        """Runs one request, with others if it can.

        Args:
          signature: what to run.
          columns: its inputs in order, as `ServedSignature.read_inputs` gives them.

        Returns:
          Its outputs in order.

        Raises:
          Overloaded: too many rows are waiting.
          ServingError, tf.errors.OpError: the call failed.
        """
        loop = asyncio.get_running_loop()
        if not signature.is_batched:
            return await loop.run_in_executor(self._executor, _run_alone, signature, columns)
        rows = columns[0].shape[0]
        if self._waiting_rows + rows > self._config.max_waiting_rows:
            raise errors.Overloaded("The server's queue is full; try again later.")
        waiting = _Waiting(signature, columns, rows, loop.time(), loop.create_future())
        # Only requests of equal sizes but for dimension 0 can be stacked.
        key = (signature, tuple(column.shape[1:] for column in columns))
        self._queues.setdefault(key, collections.deque()).append(waiting)
        self._waiting_rows += rows
        self._schedule(loop)
        return await waiting.answer

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Dispatches after the events at hand, so that requests read together go together."""
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._dispatch, loop)

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_scheduled = False
        for key in list(self._queues):
            if key[0] in self._busy:
                continue
            queue = self._queues[key]
            remaining = queue[0].since + self._config.batch_wait_seconds - loop.time()
            if remaining > 0 and sum(waiting.rows for waiting in queue) < self._config.max_batch_size:
                self._timer = self._timer or loop.call_later(remaining, self._on_timer, loop)
                continue
            batch = self._take(key, queue)
            if batch:
                self._start(loop, batch)

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._dispatch(loop)

    def _take(self, key: tuple[Any, ...], queue: collections.deque[_Waiting]) -> list[_Waiting]:
        """Takes requests off a queue up to the batch's size, without those given up by their client."""
        batch: list[_Waiting] = []
        rows = 0
        while queue and (not batch or rows + queue[0].rows <= self._config.max_batch_size):
            waiting = queue.popleft()
            self._waiting_rows -= waiting.rows
            if not waiting.answer.done():
                batch.append(waiting)
                rows += waiting.rows
        # To the end of the line, or out of it.
        del self._queues[key]
        if queue:
            self._queues[key] = queue
        return batch

    def _start(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting]) -> None:
        signature = batch[0].signature
        self._busy.add(signature)
        self._observe(signature.name, sum(waiting.rows for waiting in batch))
        requests = [waiting.columns for waiting in batch]
        running = loop.run_in_executor(self._executor, run_batch, signature, requests)
        running.add_done_callback(functools.partial(self._finish, loop, batch))

    def _finish(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], running: asyncio.Future[Any]
    ) -> None:
        self._busy.discard(batch[0].signature)
        for waiting, result in zip(batch, running.result(), strict=True):
            if waiting.answer.done():
                continue
            if isinstance(result, Exception):
                waiting.answer.set_exception(result)
            else:
                waiting.answer.set_result(result)
        self._schedule(loop)


def run_batch(
    signature: servable.ServedSignature, requests: Sequence[tuple[tensors.Column, ...]]
) -> list[Result]:
    """Runs several requests of a batched signature as one.

    Args:
      signature: what to run.
      requests: the inputs of each, equal in shape but for dimension 0.

    Returns:
      For each request its outputs, or the error it failed with.
    """
    try:
        return list(_run_merged(signature, requests))
    except tf.errors.InvalidArgumentError as error:
        if len(requests) == 1:
            return [error]
        return [run_batch(signature, [request])[0] for request in requests]
    except Exception as error:  # Whatever it is, those who wait must be told.
        return [error] * len(requests)


def _run_merged(
    signature: servable.ServedSignature, requests: Sequence[tuple[tensors.Column, ...]]
) -> list[list[tensors.Column]]:
    feeds = [
        tensors.join(spec, [columns[index] for columns in requests])
        for index, spec in enumerate(signature.inputs)
    ]
    rows = [columns[0].shape[0] for columns in requests]
    outputs = signature.run(feeds)
    for spec, output in zip(signature.outputs, outputs, strict=True):
        if output.shape[:1] != (sum(rows),):
            raise errors.ServingError(f"Output {spec.alias} of {signature.name} does not follow the batch.")
    split = [tensors.split(output, rows) for output in outputs]
    return [list(columns) for columns in zip(*split, strict=True)]


def _run_alone(
    signature: servable.ServedSignature, columns: tuple[tensors.Column, ...]
) -> list[tensors.Column]:
    return [
        tensors.Column(output.reshape(-1).tolist(), output.shape) for output in signature.run_one(columns)
    ]
