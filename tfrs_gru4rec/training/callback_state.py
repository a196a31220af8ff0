"""What users' own Keras callbacks remember, kept across a stop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.training.checkpoints import RunProgress

_PLAIN = (bool, int, float, str, type(None))


class KeepCallbackState(keras.callbacks.Callback):
    """Puts the callbacks' plain attributes into the run's progress, and back when a run goes on.

    Keras' callbacks have no state that can be saved: `EarlyStopping` counts its patience in attributes, which it sets
    anew when training begins. Numbers, texts, flags and None among the attributes are kept if training changed them, so
    that a run may go on with another patience; arrays and objects are not. A callback that restores the best weights
    begins anew: without those weights the rest of what it knows would mislead it.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], progress: RunProgress) -> None:
        """Names the user's callbacks to keep in the progress of the run, which checkpoints hold.

        In Keras' list this one comes after them, and before `SaveCheckpoints`.
        """
        super().__init__()
        self._callbacks = list(callbacks)
        self._progress = progress
        self._fresh: list[dict[str, Any]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Gives the callbacks the state that they had at the last checkpoint."""
        self._fresh = [_plain(callback) for callback in self._callbacks]
        states = self._progress.callbacks
        names = [type(callback).__name__ for callback in self._callbacks]
        if states and names != [state["callback"] for state in states]:
            logging.warning(
                "The callbacks are others than at the last checkpoint; they begin anew: %s.",
                ", ".join(names) or "there are none",
            )
            return
        for callback, fresh, state in zip(self._callbacks, self._fresh, states, strict=False):
            if getattr(callback, "restore_best_weights", False):
                logging.warning(
                    "%s has lost the best weights at the stop and begins anew.", state["callback"]
                )
                continue
            for name, value in state["attributes"].items():
                setattr(callback, name, value)
                fresh.pop(name, None)  # kept from now on, whatever its value

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Copies the callbacks' state into the run's progress."""
        self._note()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Copies the callbacks' state into the run's progress."""
        self._note()

    def _note(self) -> None:
        states = []
        for callback, fresh in zip(self._callbacks, self._fresh, strict=True):
            now = _plain(callback)
            changed = {name: now[name] for name in now if name not in fresh or now[name] != fresh[name]}
            states.append({"callback": type(callback).__name__, "attributes": changed})
        self._progress.set_callbacks(states)


def _plain(callback: keras.callbacks.Callback) -> dict[str, Any]:
    scalars = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(callback).items()
    }
    return {name: value for name, value in scalars.items() if isinstance(value, _PLAIN)}
