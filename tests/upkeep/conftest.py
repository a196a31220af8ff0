"""Training is quick to start here: the models are tiny, and compiling them with XLA would take most of the time."""

import pytest

from tfrs_gru4rec.models import GRU4Rec


@pytest.fixture(scope="module", autouse=True)
def _without_xla():
    compile_model = GRU4Rec.compile

    def compile_without_xla(self, *arguments, **settings):
        compile_model(self, *arguments, **{"jit_compile": False, **settings})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRU4Rec, "compile", compile_without_xla)
        yield
