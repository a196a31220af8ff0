"""Writes the raw log of a simulated shop: events.csv, and items.csv with the items' names.

    python examples/raw_log.py --output_dir shop

It looks as shops' logs do: a row an event, of a visitor and not of a session, times in milliseconds, kinds of events
that nobody should train on, and a row here and there that lacks its item.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags

from tfrs_gru4rec.datasets.synthetic_sessions.simulator import simulate
from tfrs_gru4rec.datasets.synthetic_sessions.world import SimulatorConfig

COLOURS = ("red", "blue", "green", "black", "white", "grey", "yellow", "brown")
THINGS = ("lamp", "desk", "chair", "shelf", "rug", "mirror", "clock", "vase", "bowl", "plant")


def raw_events(n_sessions: int) -> pd.DataFrame:
    """Returns visitor, sku, ms and event; a visitor comes back after some days."""
    clicks = simulate(SimulatorConfig(n_sessions=n_sessions))
    rng = np.random.default_rng(0)
    events = pd.DataFrame(
        {
            "visitor": "v" + (clicks["SessionId"] % (n_sessions * 2 // 3)).astype(str),
            "sku": "sku-" + clicks["ItemId"].astype(str),
            "ms": (clicks["Time"] * 1000).astype(np.int64),
            "event": np.where(rng.random(len(clicks)) < 0.05, "cart", "view"),
        }
    )
    events.loc[events.index[1000::5000], "sku"] = ""
    return events.sort_values("ms", kind="stable")


def item_names(skus: pd.Series) -> pd.DataFrame:
    """Returns a name for each sku."""
    distinct = sorted(set(skus) - {""})
    names = [f"{COLOURS[n % 8]} {THINGS[n // 8 % 10]} no. {n // 80 + 1}" for n in range(len(distinct))]
    return pd.DataFrame({"sku": distinct, "name": names})


def main(argv: list[str]) -> None:
    """Writes the two files."""
    del argv
    folder = Path(flags.FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    events = raw_events(flags.FLAGS.n_sessions)
    events.to_csv(folder / "events.csv", index=False)
    item_names(events["sku"]).to_csv(folder / "items.csv", index=False)
    print(f"{len(events)} events in {folder / 'events.csv'}")


if __name__ == "__main__":
    flags.DEFINE_string("output_dir", None, "Folder for the two files.", required=True)
    flags.DEFINE_integer("n_sessions", 28_000, "Visits to simulate.")
    app.run(main)
