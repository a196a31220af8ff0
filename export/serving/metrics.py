"""Prometheus metrics of the server."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, core

from tfrs_gru4rec.export.signatures import STATS

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LOAD_FIGURES = {
    "model_version": "The version in service.",
    "last_load_timestamp_seconds": "When a version was last put in service, since 1970.",
    "version_timestamp_seconds": "When its folder was written, since 1970: its age is time() - this.",
}
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        meaning = "Predict calls by signature and gRPC status."
        self._requests = self._make(Counter, "requests", meaning, ["signature", "code"])
        meaning = "Time from the request read to the answer made, in seconds."
        self._seconds = self._make(Histogram, "request_seconds", meaning, ["signature"], buckets=_SECONDS)
        meaning = "Rows of the batches run."
        self._rows = self._make(Histogram, "batch_rows", meaning, ["signature"], buckets=_ROWS)
        self._load_failures = self._make(Counter, "load_failures", "Versions that did not load.")
        self._version, self._loaded_at, self._published_at = (
            self._make(Gauge, name, meaning) for name, meaning in _LOAD_FIGURES.items()
        )

    def _make(
        self, kind: Callable[..., Any], name: str, meaning: str, *labels: list[str], **settings: Any
    ) -> Any:
        return kind(f"gru4rec_{name}", meaning, *labels, registry=self.registry, **settings)

    def observe_load(self, version: int, published: float | None) -> None:
        """Counts a version that took over, published at this time, or that did not load, if None."""
        if published is None:
            self._load_failures.inc()
            return
        self._version.set(version)
        self._loaded_at.set_to_current_time()
        self._published_at.set(published)

    def observe_request(self, signature: str, code: str, seconds: float) -> None:
        """Counts one call. `signature` must be one of the model's, or the label's values have no bound."""
        self._requests.labels(signature, code).inc()
        self._seconds.labels(signature).observe(seconds)

    def observe_batch(self, signature: str, rows: int) -> None:
        """Counts one batch."""
        self._rows.labels(signature).observe(rows)

    def watch_sessions(self, read_stats: Callable[[], Mapping[str, int]]) -> None:
        """Adds the figures of the model's `stats`, by name, asked for at every scrape; none if there is no model."""
        self._read_stats = read_stats
        self.registry.register(self)

    def collect(self) -> Iterator[core.Metric]:
        """Yields a gauge a figure; they start again at zero with every version, so none is a counter."""
        figures = self._read_stats()
        for figure in STATS.outputs:
            if figure.name in figures:
                name = f"gru4rec_sessions_{figure.name}"
                yield core.GaugeMetricFamily(name, figure.meaning, value=figures[figure.name])
