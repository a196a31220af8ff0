"""The notebooks' cells, run one after another in an empty folder, on less data; no Jupyter is needed."""

import json
import runpy

import pytest

SMALLER = {
    "from_a_log_to_recommendations": "N_SESSIONS, N_EPOCHS, LAYERS = 1_000, 2, (8,)",
    "losses_and_sampler_in_a_two_tower_model": "N_SESSIONS, N_EPOCHS, N_SAMPLE = 1_000, 1, 16",
}
AT_THE_END = {
    "from_a_log_to_recommendations": (
        "assert set(history.history) >= {'loss', 'val_recall_at_20'}\n"
        "assert len(recommended) == 10, 'five items for each of two sessions'\n"
        "assert 0 < figures['recall']['20'] <= 1\n"
    ),
    "losses_and_sampler_in_a_two_tower_model": (
        "assert len(figures) == 5 and all(0 < figure < 1 for figure in figures.values()), figures\n"
    ),
}


def read(repository, name):
    return json.loads((repository / "examples" / "notebooks" / f"{name}.ipynb").read_text())["cells"]


def code_of(cells, smaller):
    """Returns the code of all cells; what is `smaller` comes after the cell of parameters."""
    parts = []
    for cell in cells:
        if cell["cell_type"] == "code":
            parts.append("".join(cell["source"]))
            if "parameters" in cell["metadata"].get("tags", ()):
                parts.append(smaller)
    assert smaller in parts, "a notebook has a cell that is tagged parameters"
    return "\n".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLER)
def test_the_cells_run(name, repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = code_of(read(repository, name), SMALLER[name]) + "\n" + AT_THE_END[name]
    (tmp_path / "cells.py").write_text(code)
    runpy.run_path("cells.py", run_name="__main__")


@pytest.mark.parametrize("name", SMALLER)
def test_outputs_are_not_kept(name, repository):
    code_cells = [cell for cell in read(repository, name) if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code_cells] == [([], None)] * len(
        code_cells
    )


def test_every_notebook_is_run(repository):
    assert {path.stem for path in (repository / "examples" / "notebooks").glob("*.ipynb")} == set(SMALLER)
