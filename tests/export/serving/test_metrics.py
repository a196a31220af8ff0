"""Prometheus metrics, read back through the text format's own parser."""

from prometheus_client import generate_latest, parser

from tfrs_gru4rec.export.serving import metrics


def samples(text: str) -> dict[tuple, float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counts_requests_and_batches():
    made = metrics.Metrics()
    for code, seconds in (("OK", 0.0015), ("OK", 0.2), ("INVALID_ARGUMENT", 0.0001)):
        made.observe_request("step", code, seconds)
    made.observe_batch("step", 3)
    found = samples(generate_latest(made.registry).decode())
    assert found["gru4rec_requests_total", "OK", "step"] == 2
    assert found["gru4rec_requests_total", "INVALID_ARGUMENT", "step"] == 1
    assert found["gru4rec_request_seconds_count", "step"] == 3
    assert found["gru4rec_request_seconds_bucket", "0.001", "step"] == 1
    assert found["gru4rec_request_seconds_bucket", "0.002", "step"] == 2
    assert found["gru4rec_batch_rows_sum", "step"] == 3


def test_session_figures_are_asked_for_at_each_scrape():
    made, figures = metrics.Metrics(), {}
    made.watch_sessions(lambda: figures)
    assert not [name for name, *_ in samples(generate_latest(made.registry).decode()) if "sessions" in name]
    figures |= {"live_sessions": 5, "capacity": 10, "evictions": 1, "something else": 1}
    found = samples(generate_latest(made.registry).decode())
    assert found[("gru4rec_sessions_live_sessions",)] == 5
    assert found[("gru4rec_sessions_evictions",)] == 1
    figures["live_sessions"] = 6
    assert samples(generate_latest(made.registry).decode())[("gru4rec_sessions_live_sessions",)] == 6


def test_loads_are_told():
    made = metrics.Metrics()
    made.observe_load(3, None)
    found = samples(generate_latest(made.registry).decode())
    assert found[("gru4rec_load_failures_total",)] == 1
    assert found[("gru4rec_last_load_timestamp_seconds",)] == 0
    made.observe_load(3, 1234.5)
    found = samples(generate_latest(made.registry).decode())
    assert found[("gru4rec_model_version",)] == 3
    assert found[("gru4rec_version_timestamp_seconds",)] == 1234.5
    assert found[("gru4rec_last_load_timestamp_seconds",)] > 1e9
    assert found[("gru4rec_load_failures_total",)] == 1


def test_two_servers_do_not_share_counters():
    first, second = metrics.Metrics(), metrics.Metrics()
    first.observe_request("step", "OK", 0.1)
    assert b'requests_total{code="OK"' not in generate_latest(second.registry)
