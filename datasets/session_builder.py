"""The part that the TFDS builders of session data sets share: one example is one session."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from etils import epath

from tfrs_gru4rec.datasets.session_statistics import SessionStatistics, describe
from tfrs_gru4rec.datasets.source import SessionSplits, Source, load_splits
from tfrs_gru4rec.datasets.split_files import in_seconds
from tfrs_gru4rec.datasets.time_splits import SPLIT_NAMES
from tfrs_gru4rec.events.order import visiting_order

PUBLISHED_TOLERANCE = 0.0005
_KEY_BITS = 128
_SESSIONS_AT_ONCE = 1 << 16


class SessionBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Base of the builders; a builder names its source, or says how else to load its splits.

    Examples are stored in the order of the sessions' first events, so a slice such as `train[-10%:]` is a
    slice of time.

    Attributes:
      SOURCE: the set; what follows is taken from it. A builder without one fills in these and `_load_splits`.
      HOMEPAGE: where the data is published.
      ITEM_DTYPE: np.int64, or np.str_ where raw item ids are text.
      TIME_DTYPE: np.int64 for whole seconds, np.float64 where the source has milliseconds.
      HAS_METADATA: whether `_load_splits` fills `self.info.metadata`, which is kept beside the data.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    SOURCE: Source | None = None
    HOMEPAGE = ""
    ITEM_DTYPE: Any = np.int64
    TIME_DTYPE: Any = np.float64
    HAS_METADATA = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if cls.SOURCE is not None:
            cls.HOMEPAGE = cls.SOURCE.homepage
            cls.MANUAL_DOWNLOAD_INSTRUCTIONS = cls.SOURCE.instructions
            cls.ITEM_DTYPE = np.str_ if cls.SOURCE.columns.has_text_ids else np.int64
            cls.TIME_DTYPE = np.int64 if cls.SOURCE.columns.ticks_per_second == 1 else np.float64
        super().__init_subclass__(**kwargs)
        # Under an editable install TFDS looks for a builder's own files in a folder that does not exist.
        cls.code_path = epath.Path(sys.modules[cls.__module__].__file__)
        cls.pkg_dir_path = cls.code_path.parent

    def _load_splits(self, dl_manager: tfds.download.DownloadManager) -> SessionSplits:
        """Reads the raw files and prepares the four splits."""
        if self.SOURCE is None:
            raise NotImplementedError("A builder without a SOURCE must load its splits itself.")
        return load_splits(self.SOURCE, dl_manager.manual_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "session_id": tfds.features.Scalar(np.int64, doc="Session, unique in its split."),
            "item_ids": tfds.features.Tensor(shape=(None,), dtype=self.ITEM_DTYPE, doc="Items in order."),
            # tf.train.Example has no float64; as raw bytes it keeps its milliseconds.
            "timestamps": tfds.features.Tensor(
                shape=(None,),
                dtype=self.TIME_DTYPE,
                encoding="bytes" if np.issubdtype(self.TIME_DTYPE, np.floating) else "none",
                doc="Seconds since 1970-01-01 UTC of each event.",
            ),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict() if self.HAS_METADATA else None,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        loaded = self._load_splits(dl_manager)
        for name in SPLIT_NAMES:
            events = loaded.splits[name]
            if not len(events):
                raise ValueError(
                    f"The {name} split of {self.name} came out empty: the raw files span too little time or "
                    "are not whole. Fetch them again."
                )
            statistics = describe(events, loaded.ticks_per_second)
            # The others are parts of train.
            level = logging.INFO if name in ("train", "test") else logging.DEBUG
            logging.log(level, "%s", statistics.to_line(f"{self.name} {name}"))
            _compare(f"{self.name} {name}", statistics, loaded.published.get(name, {}))
        return {name: self._generate_examples(loaded, name) for name in SPLIT_NAMES}

    def _generate_examples(self, loaded: SessionSplits, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        events = loaded.splits[name]
        offsets = events.offsets
        order = visiting_order(events.first_times)
        items = loaded.item_ids[events.items]
        times = in_seconds(events.times, loaded.ticks_per_second).astype(self.TIME_DTYPE, copy=False)
        # TFDS sorts by key in buckets of equal ranges of 128-bit keys: keys spread over the whole range keep
        # each bucket small, whatever the number of sessions.
        stride = (1 << _KEY_BITS) // len(order)
        for first in range(0, len(order), _SESSIONS_AT_ONCE):
            some = order[first : first + _SESSIONS_AT_ONCE]
            begins, ends = offsets[some], offsets[some + 1]
            columns = (events.sessions[begins].tolist(), begins.tolist(), ends.tolist())
            for number, (session, begin, end) in enumerate(zip(*columns, strict=True), start=first):
                example = {
                    "session_id": session,
                    "item_ids": items[begin:end],
                    "timestamps": times[begin:end],
                }
                yield number * stride, example


def _compare(title: str, statistics: SessionStatistics, published: Mapping[str, int]) -> None:
    """Warns where a split differs from the published one by more than rounding explains."""
    for name, expected in published.items():
        found = getattr(statistics, name)
        if abs(found - expected) > PUBLISHED_TOLERANCE * expected:
            logging.warning(
                "%s has %d %s, the published one %d: the raw files are not those, or not whole.",
                title, found, name, expected,
            )  # fmt: skip
        else:
            logging.info("%s has %d %s, as published.", title, found, name)
