"""Training a model on a log, with checkpoints in a folder, from which the same call goes on."""

import contextlib
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tfrs_gru4rec._keras import keras  # isort: skip
import tensorflow as tf
from absl import logging

from tfrs_gru4rec.checks import require, require_one_of
from tfrs_gru4rec.config import CheckpointConfig, TrainingConfig
from tfrs_gru4rec.distribution import Workers
from tfrs_gru4rec.evaluation.evaluate import require_vocabulary_of
from tfrs_gru4rec.folder_lock import lock_folder
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.session_parallel import session_parallel
from tfrs_gru4rec.training.best_epoch import RECALL, is_past_the_best
from tfrs_gru4rec.training.block_steps import block_steps as steps_of_a_block
from tfrs_gru4rec.training.callback_state import KeepCallbackState
from tfrs_gru4rec.training.callbacks import EpochRecords, LogProgress, SaveCheckpoints, measure
from tfrs_gru4rec.training.checkpoints import Checkpointer
from tfrs_gru4rec.training.first_vectors import set_first_vectors
from tfrs_gru4rec.training.model_folder import ModelFolder, settings_of
from tfrs_gru4rec.training.stop_request import StopRequest

OPTIMIZERS = {
    "adagrad": AdagradMomentum,
    "adadelta": keras.optimizers.Adadelta,
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "adamw": keras.optimizers.AdamW,
    "ftrl": keras.optimizers.Ftrl,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
_WITH_MOMENTUM = ("adagrad", "rmsprop", "sgd")


def make_optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    """Makes the optimizer that a config names: "adagrad" is `AdagradMomentum`, others are Keras' own.

    Raises:
      ValueError: there is no such optimizer, or it does not take a setting that is asked for.
    """
    require_one_of(OPTIMIZERS, optimizer=config.optimizer)
    settings: dict[str, Any] = {"learning_rate": config.learning_rate, **config.optimizer_parameters}
    if config.clip_norm:
        settings["global_clipnorm"] = config.clip_norm
    if config.momentum:
        require_one_of(_WITH_MOMENTUM, **{"the optimizer of a momentum": config.optimizer})
        settings["momentum"] = config.momentum
    try:
        return OPTIMIZERS[config.optimizer](**settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The optimizer {config.optimizer} does not take these settings: {error}") from error


def fit(
    model: GRU4Rec,
    log: SessionLog,
    config: TrainingConfig,
    folder: ModelFolder,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoints: CheckpointConfig | None = None,
    verbose: int = 0,
    prepare: Callable[[GRU4Rec], None] | None = None,
    validation_log: SessionLog | None = None,
    early_stop_epochs: int = 0,
    allow_changed: Collection[str] = (),
    block_steps: int | None = None,
) -> list[dict[str, Any]]:
    """Trains a model and leaves it in a folder; goes on from the folder's last checkpoint if there is one.

    A model that was made in the scope of a `tf.distribute` strategy is trained by all its replicas. Of several workers
    each calls this with the same arguments, and the chief alone writes to the folder, which all must be able to read.

    >>> import tempfile
    >>> import pandas as pd
    >>> from tfrs_gru4rec.config import GRU4RecConfig
    >>> frame = pd.DataFrame({"SessionId": [1, 1, 2, 2], "ItemId": [7, 8, 8, 7], "Time": range(4)})
    >>> log = SessionLog.from_frame(frame)
    >>> model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(2,), n_sample=0))
    >>> records = fit(model, log, TrainingConfig(batch_size=2, n_epochs=1), ModelFolder(tempfile.mkdtemp()))
    >>> len(records), records[0]["steps"]
    (1, 1)

    Args:
      model: new, of the log's vocabulary.
      log: training sessions.
      config: how to train.
      folder: for checkpoints and logs.
      callbacks: more Keras callbacks. What they hold in plain numbers, texts and flags, such as how long
        `EarlyStopping` has waited, is part of a checkpoint, and so is that one of them ended the run; only a larger
        `n_epochs` goes on from there. Callbacks with `restore_best_weights` begin anew after a stop.
      checkpoints: when the run is saved, `CheckpointConfig()` if None.
      verbose: 0: silent; 1: lines in the log, at level INFO, every ten seconds and for each epoch; 2: for each epoch.
      prepare: called with the compiled model, its optimizer's slots made, before any checkpoint is restored; a warm
        start sets first values here.
      allow_changed: settings and properties of the data that may differ from those that the folder's run began with,
        see `ModelFolder.begin`; any other change is refused.
      validation_log: evaluated after each epoch, read with the model's vocabulary. The model then ends with the weights
        of its best epoch, the one of the highest recall@20, and so does the folder. None: those of the last epoch.
      early_stop_epochs: with a validation log, end when the best epoch lies so many epochs back; 0: never.
      block_steps: steps in one call of the compiled program; a run is saved and stopped between calls. None chooses
        by what a step costs, see `tfrs_gru4rec.training.block_steps`, or is `exchange_steps` of several replicas.

    Returns:
      One record for each epoch: `loss`, `seconds`, `steps`, `steps_per_second`, `events_per_second`, `checkpoint`, the
      number of the one that was saved at its end, and with a validation log `val_recall_at_20` and `val_mrr_at_20`.

    Raises:
      DivergedError: the loss is not finite any more.
      Stopped: SIGTERM or SIGINT (Ctrl-C) came; a checkpoint was written first.
      BlockingIOError: another process trains in the folder.
      ConnectionError: another worker has ended.
      ValueError: the folder holds a model of other settings or data, or the validation log is unusable, or a worker
        has other settings, data or checkpoints than the chief.
      OSError: the folder cannot be written to.
    """
    checkpoints = checkpoints or CheckpointConfig()
    if validation_log is not None:
        require_vocabulary_of(model, validation_log)
        require(validation_log.n_pairs > 0, "The validation log must have a session of two events or more.")
    with model.distribute_strategy.scope():
        model.compile(make_optimizer(config))
    model.lanes.build(config.batch_size)
    if prepare is not None:
        prepare(model)
    n_replicas = model.distribute_strategy.num_replicas_in_sync
    chosen_steps = config.exchange_steps if n_replicas > 1 else steps_of_a_block(model.config, config)
    block_steps = block_steps or chosen_steps
    workers = Workers(model.distribute_strategy)
    with contextlib.ExitStack() as until_done:
        until_done.enter_context(workers.together())
        workers.require_same(**settings_of(model, config, log, validation_log), block_steps=block_steps)

        def begin() -> list[str]:
            until_done.enter_context(lock_folder(folder.path))
            return sorted(folder.begin(model, config, log, validation_log, allow_changed))

        changed = workers.of_chief(begin)
        checkpointer = Checkpointer(
            model, folder.checkpoints_path, checkpoints.keep_checkpoints, workers.is_chief
        )
        progress = checkpointer.progress
        is_restored = checkpointer.restore()
        workers.require_same(epoch=progress.epoch, step=progress.step)
        if is_restored:
            logging.info("Going on after %d epochs and %d steps.", progress.epoch, progress.step)
            if "training.learning_rate" in changed:  # the checkpoint holds the old one
                model.optimizer.learning_rate = config.learning_rate
        else:
            if config.first_vectors != "random" and prepare is None:
                set_first_vectors(model, log, workers.is_several)
            if not config.n_epochs:
                checkpointer.save(0, 0, [])
        first_epoch, first_step, records = progress.epoch, progress.step, progress.records
        if validation_log is not None and records and not first_step and RECALL not in records[-1]:
            # A stop at the very end of an epoch left no time for it.
            records[-1].update(measure(model, validation_log))
            checkpointer.save(first_epoch, 0, records)
        data, n_blocks = _data(log, config, model.config.seed, first_epoch, first_step, block_steps)
        is_over = max(first_epoch, progress.ended_epochs) >= config.n_epochs
        if is_over or is_past_the_best(records, early_stop_epochs):
            checkpointer.restore_best()
            return records
        logging.info("Compiling the training step (about 10 s).")
        # A worker that is stopped ends the others too; what the chief has saved is what the run goes on from.
        stop = until_done.enter_context(StopRequest()) if workers.is_chief else StopRequest()
        run = (first_step, records, validation_log, early_stop_epochs)
        epochs = EpochRecords(log.n_pairs, block_steps, stop, *run)
        of_chief = [
            *([LogProgress(within_epochs=verbose == 1)] if verbose else []),
            KeepCallbackState(callbacks, progress),
            SaveCheckpoints(
                checkpointer, epochs.records, folder.logs_path / "epochs.csv", stop, checkpoints, block_steps
            ),
        ]
        board = keras.callbacks.TensorBoard(str(folder.logs_path), write_graph=False, profile_batch=0)
        model.fit(
            data,
            steps_per_epoch=n_blocks,
            initial_epoch=first_epoch,
            initial_step=first_step // block_steps,
            epochs=config.n_epochs,
            callbacks=[
                epochs,
                *([board] if workers.is_chief else []),
                *callbacks,
                *(of_chief if workers.is_chief else []),
            ],
            verbose=0,
        )
        if workers.is_chief:
            checkpointer.restore_best()
        return epochs.records


def _data(
    log: SessionLog, config: TrainingConfig, seed: int, epoch: int, step: int, block_steps: int
) -> tuple[tf.data.Dataset, int]:
    """Returns all epochs of a run from a step on, without end, and the number of blocks in an epoch."""
    make = functools.partial(
        session_parallel,
        log=log,
        batch_size=config.batch_size,
        shuffle=config.train_random_order,
        seed=seed,
        block_steps=block_steps,
    )
    if not step:
        whole = make(first_epoch=epoch)
        return whole.repeat(), int(whole.cardinality())
    whole = make(first_epoch=epoch + 1)
    rest = make(first_epoch=epoch, first_step=step)
    return rest.concatenate(whole.repeat()), int(whole.cardinality())
