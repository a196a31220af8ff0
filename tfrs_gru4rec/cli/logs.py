"""Where the logs of a command are, and reading them."""

import contextlib
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from absl import logging

from tfrs_gru4rec.cli.flag_groups import UsageError, require_flags
from tfrs_gru4rec.config import ColumnConfig, ValidationConfig
from tfrs_gru4rec.settings import Range, Settings

if TYPE_CHECKING:
    from tfrs_gru4rec.pipelines.session_log import SessionLog
    from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


# The standard error of a recall of one half is then .016, more than what many settings differ by.
_FEW_CLICKS = 1000
_FEW = "There are only %d next clicks to validate on, too few to choose well by: give more days, or a larger share."


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingLogs:
    """The logs of a training run."""

    train: "SessionLog"  # what is trained on
    # What the best epoch is chosen by, in the vocabulary of `train`; None without validation.
    valid: "SessionLog | None"
    whole: "SessionLog"  # what is trained on by a refit: both together
    validation: ValidationConfig  # where `valid` comes from, and what it is for


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """Files or a TFDS data set to train and to test on.

    >>> DataConfig(dataset="rsc15").test_split
    'test'

    Attributes:
      train_path: training log: TSV, CSV or Parquet, also gzipped.
      test_path: test log: TSV, CSV or Parquet, also gzipped.
      dataset: TFDS data set instead of files, such as synthetic_sessions, rsc15 or movielens_sessions/100k.
      train_split: split of the data set to train on.
      test_split: split of the data set to test on; empty: no test.
      data_dir: where TFDS keeps prepared data; none: where it does by default.
      manual_dir: folder of the raw files, for data sets that need a login to download.
      ticks_per_second: unit of the logs' times: 1 for seconds and ISO dates, 1000 for milliseconds.
      dwell_seconds: train on each event floor(dwell time / this) + 1 times, its dwell time being the time to the next
        event of its session; 0: once.
    """

    train_path: Path | None = None
    test_path: Path | None = None
    dataset: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    data_dir: Path | None = None
    manual_dir: Path | None = None
    ticks_per_second: Annotated[float, Range(above=0)] = 1.0
    dwell_seconds: Annotated[float, Range(at_least=0)] = 0.0

    def read_training_logs(self, columns: ColumnConfig, validation: ValidationConfig) -> TrainingLogs:
        """Reads the training log, and splits off or reads the validation sessions.

        Raises:
          UsageError: none or both of file and data set are given.
          ValueError: a log or a split is unusable.
        """
        require_flags(
            bool(self.train_path) != bool(self.dataset),
            "Give either --train_path or --dataset.",
            train_path=self.train_path and str(self.train_path),
            dataset=self.dataset,
        )
        logging.info("Reading %s.", self.train_path or f"the data set {self.dataset}")
        whole = self._read(self.train_path, self.train_split, columns)
        validation = validation.of(whole.n_sessions, whole.n_events)
        train, valid = whole, None
        if validation.valid_days:
            split = {"days": validation.valid_days, "ticks_per_second": self.ticks_per_second}
            train, valid = whole.split_by_time(**split)
        elif validation.valid_share:
            train, valid = whole.split_by_time(share=validation.valid_share)
        elif validation.source:
            place = (validation.valid_path, validation.valid_split, columns)
            valid = self._read(*place, train.vocabulary)
            whole = whole.joined_with(self._read(*place)) if validation.refit else whole
        if valid is not None and valid.n_pairs < _FEW_CLICKS:
            logging.warning(_FEW, valid.n_pairs)
        augmented = self._augmented(train)
        whole = augmented if whole is train else self._augmented(whole)
        return TrainingLogs(augmented, valid, whole, validation)

    @property
    def has_test(self) -> bool:
        """Whether there is a test log."""
        return bool(self.test_path or (self.dataset and self.test_split))

    def read_test_log(self, columns: ColumnConfig, vocabulary: "Vocabulary") -> "SessionLog":
        """Reads the test log; events of items that the model's vocabulary lacks are dropped and counted.

        Raises:
          UsageError: neither a file nor a data set is given.
          ValueError: the log is unusable.
        """
        return self._read(self.test_path, self.test_split, columns, vocabulary)

    def best_possible(self) -> dict[str, Any]:
        """Returns the row of the best figures to be reached on the test, where a simulated data set knows them."""
        if not self.dataset or self.test_path or self.test_split != "test":
            return {}
        from tfrs_gru4rec.pipelines.tfds_log import load_builder

        metadata = load_builder(self.dataset, self.data_dir, self.manual_dir).info.metadata or {}
        if "optimal_recall" not in metadata:
            return {}
        return {"best possible": {"recall": metadata["optimal_recall"], "mrr": metadata["optimal_mrr"]}}

    def _augmented(self, log: "SessionLog") -> "SessionLog":
        from tfrs_gru4rec.pipelines.dwell_time import augment_dwell_time

        return (
            augment_dwell_time(log, self.dwell_seconds, self.ticks_per_second) if self.dwell_seconds else log
        )

    def _read(
        self, path: Path | None, split: str, columns: ColumnConfig, vocabulary: "Vocabulary | None" = None
    ) -> "SessionLog":
        from tfrs_gru4rec.pipelines.session_log import SessionLog

        if path:
            return SessionLog.from_file(path, vocabulary, **columns.to_dict())
        if not self.dataset or not split:
            raise UsageError("Give the path of a log, or --dataset and the name of a split.")
        import tensorflow_datasets as tfds

        tfds.disable_progress_bar()  # two bars a split; the builders say what they make
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what the builders log
            return SessionLog.from_tfds(
                self.dataset, split, vocabulary, data_dir=self.data_dir, manual_dir=self.manual_dir
            )


def columns_of_model(columns: ColumnConfig, model_dir: Path) -> ColumnConfig:
    """Has a log read with item ids of the type of a model's, unless a type is given."""
    from tfrs_gru4rec.pipelines.vocabulary import FILE, Vocabulary

    path = model_dir / FILE
    if columns.item_type != "auto" or not path.exists():
        return columns
    return dataclasses.replace(columns, item_type=Vocabulary.load(path).item_type)
