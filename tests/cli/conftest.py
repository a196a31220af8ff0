"""What takes most of the time of a tiny run is left out here, but where a run is what is tested."""

import functools

import pytest

from tfrs_gru4rec.models import GRU4Rec


@pytest.fixture(scope="module")
def uncompiled():
    """Leaves XLA out of the trainings of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRU4Rec, "compile", functools.partialmethod(GRU4Rec.compile, jit_compile=False))
        yield
