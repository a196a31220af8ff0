"""Pictures beside the JSON: they exist, show what they are given, and are no condition of a run."""

import sys

import numpy as np
import pytest

from tfrs_gru4rec.evaluation import plots
from tfrs_gru4rec.evaluation.report import describe_test
from tfrs_gru4rec.metrics import RankedPairs

pytest.importorskip("matplotlib")

COUNTS = np.arange(20, 0, -1)


def evaluation():
    targets = np.array([0, 1, 0, 9, 19, 19])
    ranks = np.array([1.0, 30.0, 2.0, 40.0, 5.0, 50.0])
    events = np.array([1, 2, 3, 5, 6, 40])
    return RankedPairs(ranks, np.array([1, 2, 3, 1, 2, 12]), targets=targets, events=events)


def report():
    lists = {
        "lists": 6,
        "by_k": {"5": {"items": 7}, "20": {"items": 12}},
        "clicked": {"items": 4, "coverage": 0.2},
    }
    test = describe_test(evaluation(), (5, 20), COUNTS, lists)
    epochs = [{"loss": 2.0, "val_recall_at_20": 0.1}, {"loss": 1.5, "val_recall_at_20": 0.2}]
    baselines = {
        "popularity": {"recall": {"5": 0.1, "20": 0.2}},
        "session_knn": {"recall": {"5": 0.3, "20": 0.4}},
    }
    return {"data": {"items": 20}, "epochs": epochs, "test": test, "baselines": baselines}


def days():
    figures = [(0.30, 0.30, 1), (0.20, 0.31, 2), (0.12, 0.10, None), (0.08, 0.33, 3)]
    return [
        {
            "day": f"2024-01-0{number}",
            "stale": {"recall": stale},
            "refreshed": {"recall": refreshed},
            "version": version,
            "items": 100 + number,
            "new_items": number,
            "retired_items": 1,
        }
        for number, (stale, refreshed, version) in enumerate(figures, 1)
    ]


def test_report_is_drawn_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.png"
    assert plots.plot_report(report(), path)
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        plots.plot_report({**report(), "epochs": []}, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["report.png"]


def panels_of(monkeypatch, draw):
    """Returns the axes that a call drew, by title."""
    from matplotlib.figure import Figure

    figures = []

    def keep(self, path, **_):
        figures.append(self)
        self.clear = lambda: None  # so that there is something left to look at
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    assert draw()
    return {axis.get_title(): axis for axis in figures[0].axes if axis.get_title()}


def test_panels_show_the_figures(tmp_path, monkeypatch):
    axes = panels_of(monkeypatch, lambda: plots.plot_report(report(), tmp_path / "r.png"))
    assert len(axes) == 5
    assert list(axes["Training"].lines[0].get_ydata()) == [2.0, 1.5]
    bars = axes["Recall@20 by popularity of the next item"].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([2 / 3, 0.0, 0.5])
    assert [bar.get_width() for bar in axes["Different items in 6 lists of 20"].patches] == [20, 12, 4]
    compared = axes["Model and baselines"]
    assert [text.get_text() for text in compared.get_legend().get_texts()] == [
        "GRU4Rec",
        "popularity",
        "session knn",
    ]
    assert [bar.get_height() for bar in compared.patches][2:] == [0.1, 0.2, 0.3, 0.4]
    # The model's bars carry their intervals.
    (whiskers,) = compared.collections
    intervals = report()["test"]["intervals"]["recall"]
    drawn = [sorted(segment[:, 1].tolist()) for segment in whiskers.get_segments()]
    np.testing.assert_allclose(drawn, [intervals["5"], intervals["20"]])


def test_a_report_without_a_test_shows_the_training(tmp_path, monkeypatch):
    only = {"data": {"items": 20}, "epochs": [{"loss": 2.0}]}
    assert list(panels_of(monkeypatch, lambda: plots.plot_report(only, tmp_path / "r.png"))) == ["Training"]


def test_days_show_stale_against_refreshed(tmp_path, monkeypatch):
    axes = panels_of(monkeypatch, lambda: plots.plot_days(days(), tmp_path / "d.png", 20))
    axis = axes["Recall@20 on the following day"]
    lines = {line.get_label(): list(line.get_ydata()) for line in axis.lines}
    assert lines == {"stale": [0.30, 0.20, 0.12, 0.08], "refreshed": [0.30, 0.31, 0.10, 0.33]}
    marked = axis.collections[0].get_offsets()
    assert marked.tolist() == [[2.0, 0.10]]


def test_a_picture_is_let_go_of_once_it_is_drawn(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: (figures.append(self), path.touch()))
    assert plots.plot_days(days(), tmp_path / "d.png", 20)
    assert figures[0].axes == []


def test_nothing_to_show(tmp_path):
    assert not plots.plot_days([], tmp_path / "d.png", 20)
    assert not (tmp_path / "d.png").exists()


def test_goes_on_without_matplotlib(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not plots.plot_report(report(), tmp_path / "r.png")
    assert "tfrs_gru4rec[plots]" in caplog.text
    assert not (tmp_path / "r.png").exists()
