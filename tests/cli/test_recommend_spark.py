"""gru4rec-recommend on Spark beside the same command on one machine."""

import numpy as np
import pandas as pd
import pytest
from cli_support import run, write_ring
from spark_support import MASTER, skip_without_spark

from tfrs_gru4rec.cli import export, recommend, train


@pytest.fixture
def spark():
    """A session that the command finds; its Python workers take a few sessions at a time."""
    skip_without_spark()
    from tfrs_gru4rec.datasets.spark_session import spark_session

    settings = {
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "7",
    }
    with spark_session(MASTER, settings) as session:
        yield session


@pytest.mark.slow
def test_sessions_get_what_they_get_on_one_machine(spark, tmp_path):
    items = [f"sku {each}é" for each in range(9)]
    log = write_ring(tmp_path / "log.csv", items, n_sessions=40)
    settings = {"n_epochs": 1, "layers": 8, "n_sample": 0, "batch_size": 8, "fusion": "none"}
    run(train, train_path=log, model_dir=tmp_path / "model", **settings)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"visit": [f"v{each}" for each in rng.integers(0, 30, 200)]})
    frame["ItemId"] = rng.choice([*items, "unknown"], len(frame))
    frame["Time"] = rng.integers(
        0, 50, len(frame)
    )  # many of a session are equal: then the file's order tells
    frame.to_parquet(tmp_path / "all.parquet")
    (tmp_path / "parts").mkdir()
    for part in range(2):
        rows = slice(part * 100, part * 100 + 100)
        frame.iloc[rows].to_parquet(tmp_path / "parts" / f"part-{part}.parquet")
    run(export, model_dir=tmp_path / "model", export_dir=tmp_path / "export", top_k=4, max_sessions=10)
    asked = {"session_key": "visit", "top_k": 4, "exclude_seen": True}
    one, order = tmp_path / "one.parquet", ["session", "rank"]
    run(
        recommend,
        model_dir=tmp_path / "model",
        sessions_path=tmp_path / "all.parquet",
        output_path=one,
        **asked,
    )
    expected = pd.read_parquet(one).sort_values(order, ignore_index=True)
    for name in ("model", "export"):
        asked |= {
            "sessions_path": tmp_path / "parts" / "*.parquet",
            "output_path": tmp_path / f"{name}.parquet",
        }
        run(recommend, engine="spark", **{f"{name}_dir": tmp_path / name}, **asked)
        assert len(list(asked["output_path"].glob("part-*"))) == 2
        found = pd.read_parquet(asked["output_path"]).sort_values(order, ignore_index=True)
        pd.testing.assert_frame_equal(found[[*order, "item"]], expected[[*order, "item"]], check_dtype=False)
        # Sums of few products, rounded in another order where other sessions are multiplied at once.
        np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-6)


def test_what_spark_needs_is_said_before_it_starts(tmp_path):
    with pytest.raises(ValueError, match="needs --sessions_path and an --output_path"):
        run(recommend, model_dir=tmp_path, engine="spark", items="1,2")
    asked = {"sessions_path": tmp_path, "output_path": tmp_path / "found.csv"}
    with pytest.raises(ValueError, match=r"ends in \.parquet"):
        run(recommend, model_dir=tmp_path, engine="spark", **asked)
