"""One of two workers: refused while its settings differ, then trains; prints a checksum of all its weights as JSON."""

import json
import sys
import zlib

from mirrored import random_log

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.distribution import Workers
from tfrs_gru4rec.distribution.workers import strategy_of_environment
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.training import ModelFolder, fit

strategy, (folder, number) = strategy_of_environment(60), sys.argv[1:]
log, is_chief = random_log(), Workers(strategy).is_chief
found = {"chief": is_chief, "refused": []}
with strategy.scope():
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(6,), n_sample=5))
other_rate, other_log = (0.1 + int(number), log), (0.1, log if is_chief else log.first_sessions(500))
for rate, part in (other_rate, other_log):
    try:
        fit(model, part, TrainingConfig(batch_size=8, learning_rate=rate), ModelFolder(folder))
    except ValueError as error:
        found["refused"].append(str(error))
settings = TrainingConfig(batch_size=8, n_epochs=2, momentum=0.1, exchange_steps=8)


class Checksums(keras.callbacks.Callback):
    """Looks at the end of training: then the chief puts back the best epoch."""

    def on_train_end(self, logs=None):
        variables = [*model.trainable_variables, *model.optimizer.variables, *model.lanes.variables]
        found["checksums"] = [zlib.crc32(part.numpy().tobytes()) for part in variables]


records = fit(model, log, settings, ModelFolder(folder), [Checksums()], validation_log=log)
found["recall"] = [record["val_recall_at_20"] for record in records]
sys.stdout.write(json.dumps(found) + "\n")
