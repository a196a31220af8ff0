"""Checkpoints of a run: weights, optimizer slots, lane states, and how far the run has come.

A checkpoint is written aside, reaches the disk, and takes its place by its last file, the index; only then do older
ones go. Checkpoints are found by looking into the folder. The file `checkpoint`, which TensorFlow's own tools read, is
written for them alone: nothing here depends on it.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf
from absl import logging

from tfrs_gru4rec import atomic_files
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.training.best_epoch import best_epoch

T = TypeVar("T")
_INDEX = re.compile(r"ckpt-([0-9]+)\.index")
# A short read is an IndexError to TensorFlow, a missing part an AssertionError.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)


class CannotGoOnError(ValueError):
    """A folder holds a run that this one is no continuation of, or that is damaged."""


def train_or_begin_again(train: Callable[[], T], path: Path) -> T:
    """Calls `train`, which goes on in the folder `path`; where it cannot go on, from an empty folder."""
    try:
        return train()
    except CannotGoOnError as error:
        logging.warning("%s starts again, for what was begun of it is of no use: %s", path, error)
        atomic_files.remove_folder(path)
        return train()


class RunProgress(tf.Module):
    """How far a run has come, as variables that a checkpoint holds.

    >>> progress = RunProgress()
    >>> progress.set(epoch=2, step=31, records=[{"loss": 0.7}, {"loss": 0.6}])
    >>> progress.epoch, progress.step, progress.records[-1]
    (2, 31, {'loss': 0.6})
    """

    def __init__(self) -> None:
        """Starts at the first step of the first epoch."""
        super().__init__(name="progress")
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._records = tf.Variable("[]", dtype=tf.string, trainable=False)
        self._callbacks = tf.Variable("[]", dtype=tf.string, trainable=False)
        self._ended_epochs = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self._epoch)

    @property
    def step(self) -> int:
        """Steps done of the epoch that is under way."""
        return int(self._step)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of the epochs done, one for each, as `fit` returns them."""
        return list(json.loads(self._records.numpy()))

    @property
    def ended_epochs(self) -> int:
        """How many epochs were asked for when a callback ended the run; 0 if none did."""
        return int(self._ended_epochs)

    def end(self, epochs: int) -> None:
        """Notes that a callback ended the run before all the epochs that were asked for were done."""
        self._ended_epochs.assign(epochs)

    @property
    def callbacks(self) -> list[dict[str, Any]]:
        """The state of each of the user's callbacks, in the order of the callbacks; see `KeepCallbackState`."""
        return list(json.loads(self._callbacks.numpy()))

    def set_callbacks(self, states: list[dict[str, Any]]) -> None:
        """Sets the state of each of the user's callbacks."""
        self._callbacks.assign(json.dumps(states))

    def set(self, epoch: int, step: int, records: list[dict[str, Any]]) -> None:
        """Sets how far the run has come: whole epochs, steps of the next one, and the records of the epochs."""
        self._epoch.assign(epoch)
        self._step.assign(step)
        self._records.assign(json.dumps(records))


class Checkpointer:
    """Saves and restores a run; the last few checkpoints are kept, and that of the best epoch in validation."""

    def __init__(
        self, model: GRU4Rec, folder: str | os.PathLike[str], keep: int, is_writer: bool = True
    ) -> None:
        """Names what is saved in a folder: a compiled model with its lanes and optimizer, and the run's progress.

        So many of the newest checkpoints are kept. Who is no writer restores, and saves nothing.
        """
        self._is_writer = is_writer
        self.progress = RunProgress()
        self._folder = Path(folder)
        self._keep = keep
        self._model = model
        self._checkpoint = tf.train.Checkpoint(model=model, progress=self.progress)

    def restore(self) -> bool:
        """Restores the newest readable checkpoint; returns whether there was one.

        Raises:
          CannotGoOnError: there are checkpoints, but none can be read.
        """
        restored = restore_newest(self._checkpoint, self._folder)
        numbers = checkpoint_numbers(self._folder)
        if self._is_writer and numbers and restored == os.path.join(self._folder, f"ckpt-{numbers[-1]}"):
            # Whoever wrote it may have been killed before its save ended.
            with atomic_files.temporary_path(self._folder, "ckpt"):
                atomic_files.flush_to_disk(self._folder)
            self._leave(numbers)
        return restored is not None

    def restore_best(self) -> None:
        """Gives the model the weights of the best epoch, if one was measured; the progress stays as it is."""
        if best_checkpoint(self.progress.records) is not None:
            restore_trained(tf.train.Checkpoint(model=self._model), self._folder)

    def save(self, epoch: int, step: int, records: list[dict[str, Any]]) -> None:
        """Saves the run after `epoch` whole epochs and `step` steps of the next.

        Between epochs the last record gets the number of the checkpoint, `checkpoint`.

        Raises:
          OSError: the disk is full or the folder cannot be written to; older checkpoints stay as they are.
        """
        if not self._is_writer:
            return
        kept = checkpoint_numbers(self._folder)
        number = max(kept, default=0) + 1
        if records and not step:
            records[-1]["checkpoint"] = number
        self.progress.set(epoch, step, records)
        atomic_files.make_folder(self._folder)
        with atomic_files.temporary_path(self._folder, "ckpt") as temporary:
            try:
                self._checkpoint.write(os.fspath(temporary / f"ckpt-{number}"))
            except tf.errors.OpError as error:
                raise OSError(
                    f"The checkpoint could not be written to {self._folder}: {error.message} Make room or mend the "
                    "folder, and run the same command again."
                ) from error
            atomic_files.flush_tree_to_disk(temporary)
            # The data, then the index, by which a checkpoint is found.
            atomic_files.move_files(
                temporary, self._folder, sorted(path.name for path in temporary.iterdir())
            )
        self._leave([*kept, number])

    def _leave(self, present: list[int]) -> None:
        """Names the checkpoints that are kept to TensorFlow's tools, and removes the others of those present."""
        best, newest = best_checkpoint(self.progress.records), present[-self._keep :]
        numbers = [number for number in present if number == best or number in newest]
        lines = [f'model_checkpoint_path: "ckpt-{numbers[-1]}"']
        lines += [f'all_model_checkpoint_paths: "ckpt-{number}"' for number in numbers]
        atomic_files.write_text(self._folder / "checkpoint", "\n".join(lines) + "\n")
        # Backwards, so that the index, by which a checkpoint is found, goes before the data.
        for path in sorted(self._folder.glob("ckpt-*.*"), reverse=True):
            if path.stem not in {f"ckpt-{number}" for number in numbers}:
                path.unlink()


def checkpoint_numbers(folder: str | os.PathLike[str]) -> list[int]:
    """Returns the numbers of the checkpoints in a folder, oldest first; none if there is no such folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("ckpt-10.index", "ckpt-9.index", "ckpt-11.data-00000-of-00001", "checkpoint"):
    ...     (folder / name).touch()
    >>> checkpoint_numbers(folder)
    [9, 10]
    """
    path = Path(folder)
    names = (_INDEX.fullmatch(each.name) for each in (path.iterdir() if path.is_dir() else ()))
    return sorted(int(found[1]) for found in names if found)


def best_checkpoint(records: Sequence[Mapping[str, Any]]) -> int | None:
    """Returns the number of the checkpoint of the best epoch in validation; None if no epoch was measured.

    >>> best_checkpoint([{"val_recall_at_20": 0.4, "checkpoint": 7}, {"val_recall_at_20": 0.3, "checkpoint": 8}])
    7
    """
    best = best_epoch(records)
    return None if best is None else records[best].get("checkpoint")


def restore_trained(checkpoint: tf.train.Checkpoint, folder: str | os.PathLike[str]) -> str | None:
    """Restores what a run has made of a model: its best epoch in validation, its newest checkpoint without one.

    The folder's checkpoints may hold more than is asked for. Result and errors as for `restore_newest`.
    """
    progress = RunProgress()
    restore_newest(tf.train.Checkpoint(progress=progress), folder, partial=True)
    return restore_newest(checkpoint, folder, partial=True, first=best_checkpoint(progress.records))


def restore_newest(
    checkpoint: tf.train.Checkpoint,
    folder: str | os.PathLike[str],
    partial: bool = False,
    first: int | None = None,
) -> str | None:
    """Restores the newest checkpoint of a folder that can be read; returns its path, None if there is none.

    Args:
      checkpoint: the objects to restore into.
      folder: the folder of the checkpoints.
      partial: whether the checkpoint may hold more than is asked for, such as optimizer slots.
      first: the number of a checkpoint that is tried before all others.

    Raises:
      CannotGoOnError: there are checkpoints, but none can be read.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> old = tf.train.Checkpoint(number=tf.Variable(7))
    >>> _ = tf.train.CheckpointManager(old, folder, max_to_keep=1).save()
    >>> new = tf.train.Checkpoint(number=tf.Variable(0))
    >>> restore_newest(new, folder) is not None, int(new.number)
    (True, 7)
    """
    numbers = sorted(checkpoint_numbers(folder), key=lambda number: (number != first, -number))
    paths = [os.path.join(folder, f"ckpt-{number}") for number in numbers]
    for path in paths:
        try:
            status = checkpoint.read(path)
            status.expect_partial() if partial else status.assert_existing_objects_matched()
        except _UNREADABLE as error:
            logging.warning("Checkpoint %s cannot be read, trying the one before it: %s", path, error)
            continue
        logging.debug("Restored %s.", path)
        return path
    if paths:
        raise CannotGoOnError(
            "None of the checkpoints can be read. Put them back from a backup, or remove the model's folder and train "
            f"it again. Received: folder={os.fspath(folder)!r}."
        )
    return None
