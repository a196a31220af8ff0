"""Commands called in this process, and logs for them."""

import numpy as np
import pandas as pd


def run(command, **settings):
    return command.COMMAND.work(["command", *(f"--{name}={value}" for name, value in settings.items())])


def write_ring(path, items, day=0, n_sessions=20, session_key="SessionId"):
    """Writes sessions of three clicks, each item followed by the next one of a ring; returns the path."""
    rng = np.random.default_rng(day)
    firsts = rng.integers(0, len(items), n_sessions)
    frame = pd.DataFrame({session_key: np.repeat(np.arange(n_sessions), 3)})
    frame["ItemId"] = [items[(first + step) % len(items)] for first in firsts for step in range(3)]
    frame["Time"] = day * 86_400 + np.arange(len(frame))
    frame.to_csv(path, index=False)
    return path
