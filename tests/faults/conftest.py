"""What the tests of faults share: small runs, and the logs that commands read."""

import pytest
from fault_support.commands import make_small, write_logs

from tfrs_gru4rec.evaluation import plots
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.upkeep import day_loop


@pytest.fixture(scope="module")
def small_runs():
    """Makes the runs of this process small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRU4Rec, "compile", GRU4Rec.compile)  # put back at the end
        patch.setattr(plots, "plot_report", plots.plot_report)
        for name in ("measure_day", "plot_days"):
            patch.setattr(day_loop, name, getattr(day_loop, name))
        make_small()
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "inputs"
    write_logs(folder)
    return folder
