"""The lock that a SavedModel holds, under calls that are cancelled as TF Serving cancels them."""

import threading
import time

import pytest
import tensorflow as tf
from export_support.loaders import loaded_with_deadlines

from tfrs_gru4rec.export.locked_memory import Lock

FAST = 2  # rows of a matrix
SLOW_SECONDS = 0.3


class Guarded(tf.Module):
    """Holds a lock for as long as sixty products of matrices of the size asked for take."""

    def __init__(self):
        super().__init__()
        self.lock = Lock("test")

    def work(self, size):
        with tf.control_dependencies([self.lock.take([])]):
            start = tf.timestamp()
            product = matrix = tf.fill([size, size], 0.5)
        for _ in range(60):
            product = product @ matrix
        with tf.control_dependencies([product]):
            end = tf.timestamp()
        return self.lock.give_back({"start": start, "end": end, "product": product[0, 0]}, [])


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    path, guarded = tmp_path_factory.mktemp("guarded"), Guarded()
    work = tf.function(guarded.work).get_concrete_function(tf.TensorSpec([], tf.int32, "size"))
    tf.saved_model.save(guarded, str(path), signatures={"work": work})
    with loaded_with_deadlines(path) as function:
        function("work", 0, size=FAST)
        yield function


@pytest.fixture(scope="module")
def slow(call):
    """A size that takes this machine SLOW_SECONDS or more."""
    size, seconds = 500, 0.0
    while seconds < SLOW_SECONDS:
        size, began = int(1.2 * size), time.perf_counter()
        call("work", 0, size=size)
        seconds = time.perf_counter() - began
    return size


def hold_in_thread(call, times, slow):
    thread = threading.Thread(target=lambda: times.append(call("work", 0, size=slow)))
    thread.start()
    time.sleep(0.05)
    return thread


def test_one_at_a_time(call):
    times = []
    threads = [threading.Thread(target=lambda: times.append(call("work", 0, size=200))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort(key=lambda section: section["start"])
    assert all(earlier["end"] <= later["start"] for earlier, later in zip(times, times[1:], strict=False))


def test_a_waiting_call_that_is_cancelled_does_not_free_the_lock(call, slow):
    times = []
    thread = hold_in_thread(call, times, slow)
    with pytest.raises(tf.errors.DeadlineExceededError):
        call("work", 20, size=FAST)
    later = call("work", 20_000, size=FAST)
    thread.join()
    assert later["start"] >= times[0]["end"]


def test_a_call_cancelled_while_it_holds_the_lock_gives_it_back(call, slow):
    with pytest.raises(tf.errors.DeadlineExceededError):
        call("work", 50, size=slow)
    call("work", 20_000, size=FAST)
