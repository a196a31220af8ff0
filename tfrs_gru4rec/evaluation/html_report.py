"""A report as one page in a single HTML file: plots, figures with their intervals, settings and data."""

import base64
import os
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from tfrs_gru4rec.atomic_files import write_text
from tfrs_gru4rec.evaluation import plots

_Rows = Mapping[str, Mapping[str, Any]]
_TITLES = {"recall": "recall", "mrr": "MRR", "ndcg": "NDCG", "precision": "precision"}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1200px; margin: 2em auto; padding: 0 1em }}
img {{ max-width: 100% }} table {{ border-collapse: collapse; margin: .5em 0 1.5em }}
caption {{ text-align: left; font-weight: 600; padding: .3em 0 }}
th, td {{ text-align: right; padding: .15em .8em; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }}
th:first-child {{ text-align: left }} small {{ color: #777 }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def show_report(report: Mapping[str, Any], path: str | os.PathLike[str]) -> list[Path]:
    """Puts a picture and a page beside the JSON file of a report.

    Args:
      report: what `make_report` returned; whatever it has gets a table.
      path: the JSON file, say report.json; report.png (`plot_report`) and report.html are replaced, each whole.

    Returns:
      The files written: no picture without Matplotlib, or with nothing to draw.

    Raises:
      OSError: a file cannot be written.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> [path.name for path in show_report({"data": {"items": 12}}, folder / "report.json")]
    ['report.html']
    >>> "<td>12</td>" in (folder / "report.html").read_text()
    True
    """
    picture, page = Path(path).with_suffix(".png"), Path(path).with_suffix(".html")
    is_drawn = plots.plot_report(report, picture)
    write_text(page, html_page(report, picture.read_bytes() if is_drawn else None))
    return [picture, page] if is_drawn else [page]


def html_page(report: Mapping[str, Any], picture: bytes | None = None) -> str:
    """Writes a report as a page that needs no other file.

    Args:
      report: what `make_report` returned.
      picture: a PNG, shown at the top.

    Returns:
      The HTML.

    >>> "<th>a&amp;b</th><td>0.5</td>" in html_page({"config": {"a&b": 0.5}})
    True
    """
    parts = dict(report)
    body = []
    if picture:
        body.append(f'<img alt="plots" src="data:image/png;base64,{base64.b64encode(picture).decode()}">')
    if "test" in parts:
        body += _test(parts.pop("test"), parts.pop("baselines", {}))
    body += _part("", parts)
    return _PAGE.format(title="GRU4Rec", body="\n".join(body))


def _test(test: Mapping[str, Any], baselines: _Rows) -> Iterable[str]:
    """Yields the tables of a test and of what it is compared with."""
    counted = f"{test['events']:,} test events, {test['dropped_events']:,} of unknown items dropped"
    if "log" in test:
        counted = f"On {escape(test['log'])}: {counted}"
    yield f"<p>{counted}. In brackets: 95 % intervals, by resampling sessions.</p>"
    model = test.get("recommender", "GRU4Rec")
    rows = {model: test, **baselines}
    for figure in _TITLES:
        yield _table(
            f"{_TITLES[figure]} by k", {name: _with_intervals(row, figure) for name, row in rows.items()}
        )
    ahead = {name: row["model_ahead"] for name, row in baselines.items() if "model_ahead" in row}
    for figure in ("recall", "mrr") if ahead else ():
        caption = f"By how much {model} is ahead on the same pairs, {_TITLES[figure]} by k"
        yield _table(caption, {name: _with_intervals(row, figure) for name, row in ahead.items()})
    caption = f"By k, with the {1 - test['known_share']:.1%} of pairs that have an unknown item as misses"
    yield _table(
        caption, {title: _with_intervals(test["all_pairs"], figure) for figure, title in _TITLES.items()}
    )
    if "lists" in test:
        lists = {f"lists of {k}": row for k, row in test["lists"]["by_k"].items()}
        caption = f"What is recommended, in {test['lists']['lists']:,} lists, and what was clicked there"
        yield _table(caption, {**lists, "clicked": test["lists"]["clicked"]})
    longest = max(map(int, test["recall"]))
    for name, title in (
        ("by_position", "events seen"),
        ("by_popularity", "tenth of the catalogue, 1 = most popular"),
    ):
        if name in test:
            yield _table(f"At k = {longest} by {title}", test[name])


def _part(title: str, part: Mapping[str, Any]) -> Iterable[str]:
    """Yields a table of the plain values of a part of a report, and the tables of the parts inside it."""
    plain = {}
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _part(f"{title}, {name}" if title else name, value)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield _table(
                f"{title}, {name}" if title else name, {str(n): row for n, row in enumerate(value, 1)}
            )
        else:
            plain[name] = {"": value}
    if plain:
        yield _table(title or "report", plain)


def _with_intervals(row: Mapping[str, Any], figure: str) -> dict[str, Any]:
    intervals = row.get("intervals", {}).get(figure, {})
    return {k: (value, intervals[k]) if k in intervals else value for k, value in row.get(figure, {}).items()}


def _table(caption: str, rows: _Rows) -> str:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    head = "".join(f"<th>{escape(column)}</th>" for column in ("", *columns)) if any(columns) else ""
    lines = [f"<table><caption>{escape(caption)}</caption>", f"<tr>{head}</tr>" if head else ""]
    for name, row in rows.items():
        cells = "".join(f"<td>{_cell(row.get(column))}</td>" for column in columns)
        lines.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def _cell(value: Any) -> str:
    """Shows a value; of a pair (figure, interval) the interval in small print."""
    if isinstance(value, tuple):
        figure, (low, high) = value
        return f"{figure:.4f} <small>[{low:.4f}, {high:.4f}]</small>"
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list):
        return escape(", ".join(map(str, value)))
    return "" if value is None else escape(str(value))
