"""TFDS builder of simulated shop sessions."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.datasets.session_builder import SessionBuilder
from tfrs_gru4rec.datasets.source import SessionSplits
from tfrs_gru4rec.datasets.synthetic_sessions.optimum import optimal_metrics
from tfrs_gru4rec.datasets.synthetic_sessions.simulator import simulate, split_by_time
from tfrs_gru4rec.datasets.synthetic_sessions.world import SimulatorConfig
from tfrs_gru4rec.events.events import Events

OPTIMUM_K = (1, 5, 10, 20)


@dataclasses.dataclass(kw_only=True)
class SyntheticSessionsConfig(tfds.core.BuilderConfig):
    """A named shop.

    Attributes:
      simulator: the shop's settings.
    """

    simulator: SimulatorConfig = dataclasses.field(default_factory=SimulatorConfig)


class Builder(SessionBuilder):
    """Simulated shop sessions whose best possible recall is known.

    Once the data is prepared, `builder.info.metadata` holds `optimal_recall` and `optimal_mrr` of the test
    split, each by k as in {"20": 0.66}, and `simulator`, the settings.
    """

    TIME_DTYPE = np.int64
    HAS_METADATA = True
    BUILDER_CONFIGS = [
        SyntheticSessionsConfig(name="default", description="Predictability 0.8, slow drift."),
        SyntheticSessionsConfig(
            name="noise",
            description="Predictability 0: every click is an independent draw from the day's popularity.",
            simulator=SimulatorConfig(predictability=0.0),
        ),
        SyntheticSessionsConfig(
            name="predictable",
            description="Predictability 1: no stray clicks.",
            simulator=SimulatorConfig(predictability=1.0),
        ),
        SyntheticSessionsConfig(
            name="drift",
            description="Predictability 0.8, popularity that changes fast from day to day.",
            simulator=SimulatorConfig(drift=0.5),
        ),
    ]

    def __init__(self, **kwargs: Any) -> None:
        """Makes the builder; arguments as for any TFDS builder.

        Raises:
          ValueError: the folder holds a data set of this name that was made with other settings.
        """
        super().__init__(**kwargs)
        wanted = self.builder_config.simulator.to_dict()
        found = dict(self.info.metadata).get("simulator", wanted)
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        require(
            not differing,
            "A prepared data set must have the settings asked for; rename the config or remove the folder.",
            data_dir=str(self.data_dir),
            found={name: found.get(name) for name in differing},
            wanted={name: wanted[name] for name in differing},
        )

    def _load_splits(self, dl_manager: tfds.download.DownloadManager) -> SessionSplits:
        del dl_manager  # Nothing is downloaded.
        config = self.builder_config.simulator
        splits = split_by_time(config, simulate(config))
        best = optimal_metrics(config, splits["test"], OPTIMUM_K)
        self.info.metadata["optimal_recall"] = best["recall"]
        self.info.metadata["optimal_mrr"] = best["mrr"]
        self.info.metadata["simulator"] = config.to_dict()
        columns = ("SessionId", "ItemId", "Time")
        events = {name: Events(*(part[key].to_numpy() for key in columns)) for name, part in splits.items()}
        return SessionSplits(events, item_ids=np.arange(config.n_items + 1))  # an item's code is its id
