"""Small runs: walks on a ring of items, models that leave XLA out, and a callback that breaks a run off."""

import numpy as np
import pandas as pd

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog


def ring_log(n_sessions: int, n_items: int, below_length: int, below_noise: int, seed: int) -> SessionLog:
    """Returns sessions that walk on a ring of items, with some noise."""
    rng = np.random.default_rng(seed)
    sessions = np.repeat(np.arange(n_sessions), rng.integers(2, below_length, n_sessions))
    items = (np.arange(len(sessions)) + rng.integers(0, below_noise, len(sessions))) % n_items
    frame = pd.DataFrame({"SessionId": sessions, "ItemId": items, "Time": np.arange(len(items))})
    return SessionLog.from_frame(frame)


class Uncompiled(GRU4Rec):
    """Leaves XLA out, which would take most of the time: what is tested is what happens around the steps."""

    def compile(self, optimizer, **settings):
        super().compile(optimizer, jit_compile=False, **settings)


class Stop(keras.callbacks.Callback):
    """Breaks a run off like a Ctrl-C, after a number of blocks."""

    def __init__(self, after):
        super().__init__()
        self.calls = [None] * after  # a list, which is not kept: the run that goes on is not to stop again

    def on_train_batch_begin(self, batch, logs=None):
        if not self.calls:
            raise KeyboardInterrupt
        self.calls.pop()
