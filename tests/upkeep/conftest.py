"""What takes most of the time of a tiny run is left out here: tracing and compiling the steps, and drawing."""

import pytest

from tfrs_gru4rec.evaluation.plots import plot_days
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.upkeep import day_loop

COMPILE = GRU4Rec.compile


def compile_with(patch, **settings):
    """Makes every model compile with these settings."""

    def compile_model_with(self, *arguments, **given):
        COMPILE(self, *arguments, **{**given, **settings})

    patch.setattr(GRU4Rec, "compile", compile_model_with)


@pytest.fixture(scope="module", autouse=True)
def _tiny_runs():
    with pytest.MonkeyPatch.context() as patch:
        compile_with(patch, jit_compile=False, run_eagerly=True)
        patch.setattr(day_loop, "plot_days", lambda *_: False)
        yield


@pytest.fixture
def longer_run(monkeypatch):
    """Traces the steps and draws after all, where a test trains for long enough."""
    compile_with(monkeypatch, jit_compile=False, run_eagerly=False)
    monkeypatch.setattr(day_loop, "plot_days", plot_days)
