"""Baselines on a real log, against dense scores from pandas and matrix products."""

import os
import pathlib

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.neighbours import NextClicks, Popularity, SessionKNN, Transitions
from tfrs_gru4rec.pipelines.session_log import SessionLog

DATA = pathlib.Path(os.environ.get("GRU4REC_DATA", pathlib.Path(__file__).parents[3] / "shared" / "data"))
TRAIN, TEST = DATA / "diginetica" / "train.tsv.gz", DATA / "diginetica" / "test.tsv.gz"

pytestmark = pytest.mark.skipif(not TRAIN.exists(), reason=f"no Diginetica log at {TRAIN}")


@pytest.fixture(scope="module")
def logs():
    """The last 5,000 training sessions, and the test log in their vocabulary."""
    frame = pd.read_csv(TRAIN, sep="\t")
    starts = frame.groupby("SessionId")["Time"].min().sort_values(kind="stable")
    train = SessionLog.from_frame(frame[frame["SessionId"].isin(starts.index[-5_000:])])
    return train, SessionLog.from_file(TEST, train.vocabulary)


def expected_ranks(scores, counts, targets):
    """Conservative ranks of dense scores [n, n_items], equal scores by popularity, by sorting whole rows."""
    ranks = []
    for row, target in zip(scores, targets, strict=True):
        table = pd.DataFrame({"score": row.round(9), "count": counts})
        level = (table == table.loc[target]).all(axis=1)
        order = table.sort_values(["score", "count"], ascending=False).index
        ranks.append(np.flatnonzero(level.loc[order].to_numpy()).max() + 1)
    return ranks


def test_real_sessions_are_ranked_as_dense_scores_rank_them(logs):
    train, test = logs
    n_items, n_sessions = len(train.vocabulary.ids), train.n_sessions
    pairs = NextClicks.of(test).sample(150, 0)
    session = np.repeat(np.arange(n_sessions), np.diff(train.offsets))
    events = pd.DataFrame({"session": session, "item": train.items})
    counts = events["item"].value_counts().reindex(range(n_items), fill_value=0).to_numpy()
    unscored = np.zeros((len(pairs), n_items))
    assert Popularity(train).ranks(test, "conservative", pairs).tolist() == expected_ranks(
        unscored, counts, pairs.targets
    )

    events["next"] = events.groupby("session")["item"].shift(-1)
    followed = events.dropna().groupby("item")["next"].value_counts()
    transitions = unscored.copy()
    for row, item in enumerate(pairs.inputs):
        if item in followed.index.get_level_values(0):
            transitions[row, followed[item].index.astype(int)] = followed[item].to_numpy()
    assert Transitions(train).ranks(test, "conservative", pairs).tolist() == expected_ranks(
        transitions, counts, pairs.targets
    )

    binary = np.zeros((n_sessions, n_items), np.float32)
    binary[session, train.items] = 1.0
    idf = np.log(n_sessions / binary.sum(axis=0))
    scores = unscored.copy()
    for row in range(len(pairs)):
        begin, seen = pairs.starts[row], pairs.positions[row]
        weights = np.zeros(n_items)
        weights[test.items[begin : begin + seen]] = np.arange(1, seen + 1) / seen
        prefix = np.flatnonzero(weights)
        shared = binary[:, prefix] * weights[prefix]
        similarity = shared.sum(axis=1).round(9)
        order = np.lexsort((-np.arange(n_sessions), -similarity))[:30]
        order = order[similarity[order] > 0]
        scores[row] = (similarity[order] * shared[order].max(axis=1, initial=0)) @ binary[order] * idf
    model = SessionKNN(train, n_neighbours=30, n_candidates=5_000)
    found = model.ranks(test, "conservative", pairs)
    assert found.tolist() == expected_ranks(scores, counts, pairs.targets)
    assert np.mean(found <= 20) > 0.1  # Neighbours know something of real sessions.
