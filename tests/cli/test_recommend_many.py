"""gru4rec-recommend for a file of sessions, in every format, against recommendations one by one."""

import json

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec import GRU4Rec, GRU4RecConfig, Vocabulary
from tfrs_gru4rec.cli import recommend
from tfrs_gru4rec.models import recommend as recommending

SESSIONS = {
    f"s{number}": [int(item) for item in items]
    for number, items in enumerate(["12", "3", "99", "45123", "1"])
}
MODEL = GRU4Rec(Vocabulary.from_items([1, 2, 3, 4, 5, 6, 6]), GRU4RecConfig(layers=(3,), n_sample=0))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command with that model."""
    monkeypatch.setattr("tfrs_gru4rec.training.load_model", lambda _: MODEL)

    def run_with(**settings):
        arguments = {"model_dir": tmp_path, "top_k": 3, **settings}
        return recommend.COMMAND.work(
            ["command", *(f"--{name}={value}" for name, value in arguments.items())]
        )

    return run_with


def write_sessions(path):
    if path.suffix == ".jsonl":
        lines = [json.dumps({"session": session, "items": items}) for session, items in SESSIONS.items()]
        path.write_text("\n".join(lines))
        return path
    pairs = [(session, item) for session, items in SESSIONS.items() for item in items]
    frame = pd.DataFrame(pairs, columns=["SessionId", "item"])
    frame["Time"] = np.arange(len(frame))
    frame = frame.sample(frac=1, random_state=1)  # the times tell the order
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


READERS = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".tsv": lambda path: pd.read_csv(path, sep="\t"),
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.mark.parametrize("suffix", READERS)
def test_many_sessions_get_what_each_gets_alone(run, tmp_path, suffix):
    source, target = write_sessions(tmp_path / f"sessions{suffix}"), tmp_path / f"found{suffix}"
    assert run(sessions_path=source, output_path=target, item_key="item", exclude_seen=True) == 0
    found = READERS[suffix](target)
    alone = [
        recommending.recommend(MODEL, {key: items}, 3, exclude_seen=True) for key, items in SESSIONS.items()
    ]
    expected = pd.concat(alone, ignore_index=True)
    assert found[["session", "rank", "item"]].equals(expected[["session", "rank", "item"]])
    # Sums of three products, rounded in another order where more sessions are multiplied at once.
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-6)


def test_bad_files_are_named(run, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"session": 1, "items": [1]}\n{"session": 2}\n')
    with pytest.raises(ValueError, match="bad.jsonl', line=2"):
        run(sessions_path=bad, output_path=tmp_path / "found.csv")
    bad.write_text('{"session": 1, "items": [1]}\n{"session": 1, "items": [2]}\n')
    with pytest.raises(ValueError, match="one line.*line=2, session=1"):
        run(sessions_path=bad, output_path=tmp_path / "found.csv")
    bad.write_text('{"session": "a", "items": [1]}\n{"session": 1, "items": [2]}\n')
    with pytest.raises(ValueError, match="all numbers or all strings.*line=2, session=1"):
        run(sessions_path=bad, output_path=tmp_path / "found.parquet")
    with pytest.raises(ValueError, match="must end in one of .parquet"):
        run(sessions_path=bad, output_path=tmp_path / "found.xls")
    with pytest.raises(ValueError, match="needs --sessions_path"):
        run(output_path=tmp_path / "found.csv")
