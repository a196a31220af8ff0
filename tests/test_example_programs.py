"""The program that the tutorial runs: a raw log."""

import importlib.util


def load(repository, name):
    spec = importlib.util.spec_from_file_location(name, repository / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_raw_log_is_as_raw_logs_are(repository):
    raw_log = load(repository, "raw_log")
    events = raw_log.raw_events(600)
    assert list(events) == ["visitor", "sku", "ms", "event"]
    assert events["visitor"].nunique() == 400  # of 600 visits
    assert events["ms"].is_monotonic_increasing
    assert set(events["event"]) == {"view", "cart"}
    assert (events["sku"] == "").sum() == 1  # one of 5,000
    names = raw_log.item_names(events["sku"])
    assert set(names["sku"]) == set(events["sku"]) - {""}
    assert names["name"].is_unique
