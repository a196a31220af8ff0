"""The page of a report: well formed, in one file, and with the figures that it was given."""

import base64
from html.parser import HTMLParser

import numpy as np
import pytest

from tfrs_gru4rec.evaluation import plots
from tfrs_gru4rec.evaluation.html_report import html_page, show_report
from tfrs_gru4rec.evaluation.report import describe_test
from tfrs_gru4rec.metrics import RankedPairs

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Collects the tables of a page by caption, each a list of rows of texts; fails on a tag that is not closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tables, self.sources = [], {}, []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open[-1:] == ["caption"]:
            self.rows = self.tables.setdefault(text, [])
        elif {"td", "th"} & set(self.open):
            self.rows[-1][-1] += text


def report():
    positions, events = np.array([1, 2, 1, 1]), np.array([1, 2, 4, 6])
    found = RankedPairs(
        np.array([1.0, 8.0, 2.0, 2.0]), positions, 3, 1.0, np.array([0, 1, 0, 1]), events, np.array([0])
    )
    other = RankedPairs(
        np.array([2.0, 8.0, 8.0, 8.0]), positions, 3, 1.0, np.array([0, 1, 0, 1]), events, np.array([0])
    )
    described = {"items": 2, "coverage": 0.5, "novelty": 1.5, "popularity": 2.0}
    lists = {"lists": 4, "by_k": {"5": described}, "clicked": described}
    baseline = {
        **other.figures((5,)),
        "intervals": other.intervals((5,)),
        "model_ahead": found.compare(other, (5,)),
    }
    return {
        "config": {"loss": "<b>&", "layers": [100, 50], "learning_rate": 0.05},
        "data": {"events": 1234567},
        "epochs": [{"loss": 1.5}, {"loss": 1.25, "recall@20": 0.5}],
        "tie": "standard",
        "validation": {"recall": {"20": 0.5}, "refit": True},
        "test": describe_test(found, (5,), np.array([9, 3]), lists),
        "baselines": {"session_knn": baseline},
    }


def test_the_page_has_a_table_for_each_part():
    tables = Page(html_page(report())).tables
    # Hits of the sessions: 1 of 2 pairs, 1 of 1, 1 of 1; the other's 1 of 2, none, none.
    assert tables["recall by k"] == [
        ["", "5"],
        ["GRU4Rec", "0.7500 [0.5000, 1.0000]"],
        ["session_knn", "0.2500 [0.0000, 0.5000]"],
    ]
    named = report()
    named["test"]["recommender"] = "neighbours"
    tables_of_it = Page(html_page(named)).tables
    assert tables_of_it["recall by k"][1][0] == "neighbours"
    assert "By how much neighbours is ahead on the same pairs, recall by k" in tables_of_it
    ahead = tables["By how much GRU4Rec is ahead on the same pairs, recall by k"]
    assert ahead == [["", "5"], ["session_knn", "0.5000 [0.0000, 1.0000]"]]
    all_pairs = tables["By k, with the 20.0% of pairs that have an unknown item as misses"]
    # With its miss the first session has 1 of 3. All three drawn are the first once in 27 times, none 8 times.
    assert all_pairs[1] == ["recall", "0.6000 [0.3333, 1.0000]"]
    assert tables["epochs"] == [["", "loss", "recall@20"], ["1", "1.5", ""], ["2", "1.25", "0.5"]]
    assert tables["config"] == [["loss", "<b>&"], ["layers", "100, 50"], ["learning_rate", "0.05"]]
    assert tables["At k = 5 by events seen"][1] == ["1", "1", "0.66667", "3"]
    assert tables["validation"] == [["refit", "True"]]
    assert tables["validation, recall"] == [["20", "0.5"]]
    assert tables["report"] == [["tie", "standard"]]


def test_a_report_of_the_training_alone_is_a_page():
    tables = Page(html_page({"data": {"items": 20}, "epochs": [{"loss": 2.0}]})).tables
    assert list(tables) == ["data", "epochs"]


def test_the_page_holds_its_picture_and_asks_for_nothing_else(tmp_path):
    pytest.importorskip("matplotlib")
    assert [path.name for path in show_report(report(), tmp_path / "r.json")] == ["r.png", "r.html"]
    (source,) = Page((tmp_path / "r.html").read_text(encoding="utf-8")).sources
    kind, _, content = source.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == (tmp_path / "r.png").read_bytes()


def test_without_a_picture_there_is_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "plot_report", lambda *_: False)
    (page,) = show_report(report(), tmp_path / "r.json")
    assert Page(page.read_text(encoding="utf-8")).sources == []
