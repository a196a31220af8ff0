"""Merging of requests that arrive while the model is busy.

A signature runs one batch at a time; what arrives meanwhile waits and goes together into the next
one, in the order of arrival. So a lone request waits for nothing, and the busier the server, the
larger its batches. A wait can be added (`batch_wait_seconds`) to trade latency for throughput.

A merged batch that is refused with INVALID_ARGUMENT is run again, request by request, so that a bad
request does not fail its neighbours. By the contract a refused call has changed no session, so
nothing happens twice. Any other error is told to all, for it may have struck after a change.

Clicks go first: `step` has a thread and a queue of its own. What a request costs is estimated by its work: a row
of many ids counts for one row a 16 ids, and for no less than one a 16 KiB, which bounds the bytes that wait, too. A
batch is closed before it has more than a few rows of one session, which would take turns.
"""

import asyncio
import collections
import concurrent.futures
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfrs_gru4rec.export.serving import errors, tensors
from tfrs_gru4rec.export.serving.config import ServerConfig
from tfrs_gru4rec.export.serving.servable import ServedSignature
from tfrs_gru4rec.export.serving.tensors import Column, Columns
from tfrs_gru4rec.export.signatures import MAX_ROWS_OF_A_SESSION, STEPS

_IDS_OF_A_ROW, _BYTES_OF_A_ROW = 16, 1 << 14
Result = list[Column] | Exception


@dataclasses.dataclass(eq=False)
class _Waiting:
    signature: ServedSignature
    columns: Columns
    rows: int
    work: int
    sessions: collections.Counter[Any]
    since: float
    answer: asyncio.Future[Any]

    @property
    def is_step(self) -> bool:
        return self.signature.name in STEPS


class Batcher:
    """Runs calls, merged. Lives on one event loop; the model runs in the threads of executors."""

    def __init__(
        self,
        executor: concurrent.futures.Executor,
        config: ServerConfig,
        observe: Callable[[str, int], None] = lambda signature, rows: None,
        step_executor: concurrent.futures.Executor | None = None,
    ):
        """Makes a batcher whose executors wait for the model, one for steps and one for all else, or one for both.

        It tells `observe` the signature and the number of rows of every batch.
        """
        self._step_executor = step_executor or executor
        self._executor, self._config, self._observe = executor, config, observe
        self._queues: dict[tuple[Any, ...], collections.deque[_Waiting]] = {}
        self._busy: set[ServedSignature] = set()
        self._work = {True: 0, False: 0}  # that waits, of steps and of all else
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    async def submit(self, signature: ServedSignature, columns: Columns) -> list[Column]:
        """Runs one request, with others if it can, on what `read_inputs` gives; returns its outputs in order.

        Raises:
          Overloaded: too much is waiting.
          ServingError, tf.errors.OpError: the call failed.
        """
        loop = asyncio.get_running_loop()
        if not signature.is_batched:
            return await loop.run_in_executor(self._executor, signature.run_one, columns)
        waiting = _waiting(signature, columns)
        # The largest request of the contract is more than may wait: alone, it is let in.
        work = self._work[waiting.is_step]
        if work and work + waiting.work > self._config.max_waiting_rows:
            raise errors.Overloaded("The server's queue is full; try again later.")
        # Only requests of equal sizes but for dimension 0 can be stacked.
        key = (signature, tuple(column.shape[1:] for column in columns))
        self._queues.setdefault(key, collections.deque()).append(waiting)
        self._work[waiting.is_step] += waiting.work
        self._schedule()
        return await waiting.answer

    def _schedule(self) -> None:
        """Dispatches after the events at hand, so that requests read together go together."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_scheduled = False
        loop = asyncio.get_running_loop()
        for key in list(self._queues):
            if key[0] in self._busy:
                continue
            queue = self._queues[key]
            remaining = queue[0].since + self._config.batch_wait_seconds - loop.time()
            if remaining > 0 and sum(waiting.work for waiting in queue) < self._config.max_batch_size:
                self._timer = self._timer or loop.call_later(remaining, self._on_timer)
                continue
            batch = self._take(key, queue)
            if batch:
                self._start(batch)

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatch()

    def _take(self, key: tuple[Any, ...], queue: collections.deque[_Waiting]) -> list[_Waiting]:
        """Takes requests off a queue up to the batch's size, without those given up by their client."""
        batch: list[_Waiting] = []
        work, sessions = 0, collections.Counter[Any]()
        while queue and (not batch or work + queue[0].work <= self._config.max_batch_size):
            together = sessions + queue[0].sessions
            if batch and max(together.values(), default=0) > MAX_ROWS_OF_A_SESSION:
                break
            waiting = queue.popleft()
            self._work[waiting.is_step] -= waiting.work
            if not waiting.answer.done():
                batch.append(waiting)
                work, sessions = work + waiting.work, together
        # To the end of the line, or out of it.
        del self._queues[key]
        if queue:
            self._queues[key] = queue
        return batch

    def _start(self, batch: list[_Waiting]) -> None:
        signature = batch[0].signature
        self._busy.add(signature)
        self._observe(signature.name, sum(waiting.rows for waiting in batch))
        requests = [waiting.columns for waiting in batch]
        executor = self._step_executor if batch[0].is_step else self._executor
        running = asyncio.get_running_loop().run_in_executor(executor, run_batch, signature, requests)
        running.add_done_callback(functools.partial(self._finish, batch))

    def _finish(self, batch: list[_Waiting], running: asyncio.Future[Any]) -> None:
        self._busy.discard(batch[0].signature)
        for waiting, result in zip(batch, running.result(), strict=True):
            if waiting.answer.done():
                continue
            if isinstance(result, Exception):
                waiting.answer.set_exception(result)
            else:
                waiting.answer.set_result(result)
        self._schedule()


def _waiting(signature: ServedSignature, columns: Columns) -> _Waiting:
    loop = asyncio.get_running_loop()
    rows = columns[0].shape[0]
    pairs = zip(signature.inputs, columns, strict=True)
    free = [column.shape[1:] for spec, column in pairs if None in (spec.shape or ())[1:]]
    n_ids = max(map(math.prod, free), default=1)
    n_bytes = sum(column.n_bytes for column in columns)
    work = max(rows * max(1, n_ids // _IDS_OF_A_ROW), n_bytes // _BYTES_OF_A_ROW)
    sessions = signature.count_sessions(columns)
    return _Waiting(signature, columns, rows, work, sessions, loop.time(), loop.create_future())


def run_batch(signature: ServedSignature, requests: Sequence[Columns]) -> list[Result]:
    """Runs several requests of a batched signature as one; returns for each its outputs, or the error it failed with.

    Their inputs are equal in shape but for dimension 0.
    """
    try:
        return list(_run_merged(signature, requests))
    except tf.errors.InvalidArgumentError as error:
        if len(requests) == 1:
            return [error]
        return [run_batch(signature, [request])[0] for request in requests]
    except Exception as error:  # Whatever it is, those who wait must be told.
        return [error] * len(requests)


def _run_merged(signature: ServedSignature, requests: Sequence[Columns]) -> list[list[Column]]:
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
