"""How long a study may work: minutes, trials, or both."""

import math
import time
from collections.abc import Callable
from typing import Any

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.checks import require


class OutOfTimeError(Exception):
    """The minutes of a study are used up."""


class Budget:
    """The minutes that are left to a study; what earlier calls and other processes used of them counts.

    >>> now = [100.0]
    >>> budget = Budget(minutes=1, clock=lambda: now[0])
    >>> budget.spend(20)
    >>> budget.seconds_left()
    40.0
    >>> now[0] = 141.0
    >>> budget.is_spent()
    True
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts the clock.

        Args:
          minutes: None for no bound.
          clock: returns the time now, in seconds.

        Raises:
          ValueError: minutes is not above 0.
        """
        require(minutes is None or minutes > 0, "budget_minutes must be greater than 0.", minutes=minutes)
        self._clock = clock
        self._end = math.inf if minutes is None else clock() + 60 * minutes

    def spend(self, seconds: float) -> None:
        """Takes off what was used up elsewhere."""
        self._end -= seconds

    def seconds_left(self) -> float:
        """Returns the seconds left, infinity without a bound."""
        return self._end - self._clock()

    def is_spent(self) -> bool:
        """Tells whether the minutes are used up."""
        return self.seconds_left() <= 0


class StopWhenSpent(keras.callbacks.Callback):
    """Leaves a training when the budget is spent, between two blocks of steps."""

    def __init__(self, budget: Budget) -> None:
        """Remembers the budget."""
        super().__init__()
        self._budget = budget

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the clock.

        Raises:
          OutOfTimeError: the budget is spent.
        """
        if self._budget.is_spent():
            raise OutOfTimeError
