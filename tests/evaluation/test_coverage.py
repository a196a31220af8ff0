"""Coverage of the catalogue, against asking for each prefix by itself."""

import numpy as np
import pandas as pd

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation.coverage import catalogue_coverage
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog

import tensorflow as tf  # isort: skip


def test_counts_the_items_of_all_lists():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"SessionId": np.arange(100) // 5, "ItemId": rng.permutation(100) % 60})
    log = SessionLog.from_frame(frame.assign(Time=np.arange(100)))
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))
    listed, clicked = set(), set()
    for first, last in zip(log.offsets[:-1], log.offsets[1:], strict=True):
        for end in range(first + 1, last):
            scores = model.scores(model(tf.constant(log.items[np.newaxis, first:end]))[0])[0].numpy()
            listed |= set(np.argsort(-scores)[:2])
            clicked.add(log.items[end])
    found = catalogue_coverage(model, log, k=2)
    assert found == {
        "k": 2,
        "lists": 80,
        "items": len(listed),
        "share": len(listed) / 60,
        "clicked_items": len(clicked),
    }
    assert 2 < len(listed) < 60
    assert catalogue_coverage(model, log, k=2, max_lists=1)["items"] == 2
