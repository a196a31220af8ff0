"""A short soak: benchmarks/serving/soak.py with a server in this process."""

import dataclasses
import importlib

import pytest
from serving_support import exports
from serving_support.servers import serving

from tfrs_gru4rec.export.serving.retry import RetryPolicy

PATIENT = RetryPolicy(attempt_seconds=30.0, total_seconds=240.0)


@pytest.mark.slow
def test_answers_stay_right_through_pushes(repository, real_export, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(repository / "benchmarks" / "serving")
    soak = importlib.import_module("soak")
    sessions = soak.scripted_sessions(exports.make_model(), count=8, top_k=exports.TOP_K)
    # One session that is answered otherwise than it should be, to see that this is found.
    other = [dataclasses.replace(click, scores=click.scores + 1e-3) for click in sessions[0]]
    export_dir = exports.publish_copy(real_export, tmp_path / "export", 1).parent
    with serving(export_dir, rest_port=0, poll_seconds=0.05) as server:
        clicked = [other, *sessions[1:]]
        metrics_url = f"http://{server.rest_address}/metrics"
        found = soak.Soak(server.address, metrics_url, real_export, export_dir, clicked, policy=PATIENT)
        found.run(seconds=3.0, push_seconds=1.0, rate=100.0)
    assert not found.failed
    assert not found.unwell
    assert found.version > 1
    assert found.wrong
    assert all(any(click is each for each in other) for click in found.wrong)
    # Of eight sessions taken by lot the other one is one.
    assert len(found.wrong) < len(found.milliseconds) / 2
