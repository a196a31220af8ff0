"""The compiled program of `fit` itself, as XLA writes it down: no table of the items is ever copied in it.

A copy of a table would make the cost of a step grow with the catalogue instead of with the rows that the step touches.
"""

import re

import pytest

# Such a number of items that no other dimension of the program is like it.
N_ITEMS = 4007

FIT = """
import numpy as np, pandas as pd
import tfrs_gru4rec as g4r

events = np.arange(3 * {n_items})
log = g4r.SessionLog.from_frame(
    pd.DataFrame({{"SessionId": events // 3, "ItemId": events % {n_items}, "Time": events}})
)
model = g4r.GRU4Rec(log.vocabulary, g4r.GRU4RecConfig(layers=(5,), n_sample=40, {settings}))
model.compile(g4r.AdagradMomentum(0.1, momentum={momentum}))
model.fit(g4r.session_parallel(log, 200), verbose=0)
"""


def compiled_programs(folder):
    """Returns XLA's programs that update a table, after all optimisations."""
    texts = [path.read_text() for path in folder.glob("*cpu_after_optimizations.txt")]
    return [text for text in texts if re.search(rf"\[{N_ITEMS}[],].* scatter\(", text)]


@pytest.mark.parametrize(
    ("settings", "momentum"),
    [
        ("", 0.3),
        pytest.param("constrained_embedding=False, ", 0.3, marks=pytest.mark.slow),
        pytest.param("logq=1.0, ", 0.0, marks=pytest.mark.slow),
    ],
    ids=["shared", "one-hot", "without momentum"],
)
def test_no_table_is_copied_while_fit_trains(run_fresh, tmp_path, settings, momentum):
    code = FIT.format(n_items=N_ITEMS, settings=settings, momentum=momentum)
    ended = run_fresh(code, XLA_FLAGS=f"--xla_dump_to={tmp_path}/hlo --xla_dump_hlo_as_text")
    assert ended.returncode == 0, ended.stderr
    programs = compiled_programs(tmp_path / "hlo")
    assert len(programs) == 1
    of_tables = [line for line in programs[0].splitlines() if f"[{N_ITEMS}" in line]
    assert [line for line in of_tables if re.search(r"= \S+ copy\(", line)] == []
