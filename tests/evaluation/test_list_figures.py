"""Figures of the recommended items, against asking for each prefix by itself."""

import sys

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.evaluation.list_figures import list_figures
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog

import tensorflow as tf  # isort: skip


def describe(items, counts):
    """What `list_figures` promises of some items, from its formulas; shares are smoothed by one event an item."""
    shares = (counts + 1) / (counts.sum() + len(counts))
    return {
        "items": len(set(items)),
        "coverage": len(set(items)) / len(counts),
        "novelty": pytest.approx(np.mean([-np.log2(shares[item]) for item in items]), rel=1e-6),
        "popularity": pytest.approx(np.mean([counts[item] for item in items])),
    }


def test_figures_of_the_items_of_all_lists(monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"SessionId": np.arange(100) // 5, "ItemId": rng.permutation(100) % 60})
    log = SessionLog.from_frame(frame.assign(Time=np.arange(100)))
    model = GRU4Rec(log.vocabulary, GRU4RecConfig(layers=(4,), n_sample=0))
    lists, clicked = [], []
    for first, last in zip(log.offsets[:-1], log.offsets[1:], strict=True):
        for end in range(first + 1, last):
            scores = model.scores(model(tf.constant(log.items[np.newaxis, first:end]))[0])[0].numpy()
            lists.append(np.argsort(-scores)[:2])
            clicked.append(log.items[end])
    counts = log.vocabulary.counts
    assert len(set(counts.tolist())) > 1
    assert list_figures(model, log, k=(1, 2)) == {
        "lists": 80,
        "by_k": {
            "1": describe([best for best, _ in lists], counts),
            "2": describe(np.concatenate(lists), counts),
        },
        "clicked": describe(clicked, counts),
    }
    assert 2 < len(np.unique(lists)) < 60
    monkeypatch.setattr(sys.modules[list_figures.__module__], "LISTS", 1)
    assert list_figures(model, log, k=(2,))["by_k"]["2"]["items"] == 2
