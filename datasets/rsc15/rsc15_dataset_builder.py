"""TFDS builder of RSC15."""

import dataclasses

import tensorflow_datasets as tfds

from tfrs_gru4rec.datasets import published
from tfrs_gru4rec.datasets.session_builder import SessionBuilder
from tfrs_gru4rec.datasets.source import SessionSplits


@dataclasses.dataclass(kw_only=True)
class Rsc15Config(tfds.core.BuilderConfig):
    """How much of the training set to keep.

    Attributes:
      fraction: share of the training sessions, the most recent ones.
    """

    fraction: float = 1.0


class Builder(SessionBuilder):
    """Clicks of the RecSys Challenge 2015 under the rules of the published results."""

    SOURCE = published.RSC15
    BUILDER_CONFIGS = [
        Rsc15Config(name="full", description="All training sessions."),
        Rsc15Config(name="1_4", description="The most recent 1/4 of the training sessions.", fraction=1 / 4),
        Rsc15Config(
            name="1_64", description="The most recent 1/64 of the training sessions.", fraction=1 / 64
        ),
    ]

    def _load_splits(self, dl_manager: tfds.download.DownloadManager) -> SessionSplits:
        return published.load_rsc15(dl_manager.manual_dir, self.builder_config.fraction)
