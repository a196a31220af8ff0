"""Training is quick to start here: tiny models train eagerly, because tracing and compiling would take most of the time."""

import pytest

from tfrs_gru4rec.models import GRU4Rec


def compile_with(patch, **settings):
    """Makes every model compile with these settings."""
    compile_model = GRU4Rec.compile

    def compile_model_with(self, *arguments, **given):
        compile_model(self, *arguments, **{**given, **settings})

    patch.setattr(GRU4Rec, "compile", compile_model_with)


@pytest.fixture(scope="module", autouse=True)
def _in_eager_mode():
    with pytest.MonkeyPatch.context() as patch:
        compile_with(patch, jit_compile=False, run_eagerly=True)
        yield


@pytest.fixture
def in_graph_mode(monkeypatch):
    """Traces the steps after all, where a test trains for long enough."""
    compile_with(monkeypatch, jit_compile=False, run_eagerly=False)
