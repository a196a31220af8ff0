"""Pictures of reports: PNG files beside the JSON, drawn if Matplotlib is installed (the extra `plots`)."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from tfrs_gru4rec.atomic_files import replacing

_Draw = Callable[[Any], None]
BLUE, ORANGE, GREY = "#2166ac", "#e08214", "#9a9a9a"


def plot_report(report: Mapping[str, Any], path: str | os.PathLike[str]) -> bool:
    """Draws a run's report: loss and recall by epoch, recall by position and popularity, baselines, coverage.

    Args:
      report: what `make_report` returned; panels of what it lacks are left out.
      path: PNG file; replaced whole.

    Returns:
      Whether it was drawn; without Matplotlib, or with nothing to draw, it is not, and the log says so.

    Raises:
      OSError: the file cannot be written.

    >>> plot_report({}, "nothing.png")
    False
    """
    test = report.get("test") or {}
    panels: list[_Draw] = []
    epochs = (report.get("validation") or report).get("epochs")
    if epochs:
        panels.append(functools.partial(_epochs, epochs))
    if test:
        rows = {test.get("recommender", "GRU4Rec"): test, **(report.get("baselines") or {})}
        panels.append(functools.partial(_baselines, rows))
        k = max(map(int, test["recall"]))
        for name, title, label in (
            ("by_position", "position in the session", "events of the session seen"),
            ("by_popularity", "popularity of the next item", "tenth of the catalogue, 1 = most popular"),
        ):
            if name in test:
                panels.append(functools.partial(_recall_by, test[name], title, label, k))
        if "lists" in test:
            panels.append(functools.partial(_coverage, test["lists"], k))
    return draw_panels(panels, path)


def plot_days(days: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], k: int) -> bool:
    """Draws recall@k by day, the stale model against the refreshed one, and which days were exported.

    The days are entries of the ledger; other arguments, result and errors as for `plot_report`.

    >>> plot_days([], "nothing.png", k=20)
    False
    """
    panels = [functools.partial(_days, days, k), functools.partial(_catalogue, days)] if days else []
    return draw_panels(panels, path)


def draw_panels(panels: Sequence[_Draw], path: str | os.PathLike[str]) -> bool:
    """Draws panels in rows of three, each on Matplotlib axes; the rest as for `plot_report`."""
    path = Path(path)
    try:
        # A figure of its own, without pyplot: no window system and no state shared with the caller.
        from matplotlib.figure import Figure
    except ImportError:
        logging.warning("%s is not drawn: install tfrs_gru4rec[plots] for Matplotlib.", path)
        return False
    if not panels:
        logging.info("%s is not drawn: there is nothing to show yet.", path)
        return False
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for panel, axis in zip(panels, axes, strict=False):
        axis.set_axis_on()
        axis.spines[["top", "right"]].set_visible(False)
        panel(axis)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    figure.clear()  # axes, lines and texts refer to one another: without this their memory waits for the collector
    return True


def _epochs(epochs: Sequence[Mapping[str, float]], axis: Any) -> None:
    numbers = range(1, len(epochs) + 1)
    axis.plot(numbers, [epoch["loss"] for epoch in epochs], marker="o", color=BLUE, label="loss")
    axis.set(title="Training", xlabel="epoch")
    axis.set_ylabel("loss", color=BLUE)
    axis.xaxis.get_major_locator().set_params(integer=True)
    recalls = sorted({name for epoch in epochs for name in epoch if name.startswith("val_recall")})
    if recalls:
        right = axis.twinx()
        for name in recalls:
            right.plot(numbers, [epoch.get(name) for epoch in epochs], marker="s", color=ORANGE, label=name)
        right.set_ylabel(", ".join(recalls), color=ORANGE)
        right.set_ylim(0, None)
        right.spines["top"].set_visible(False)


def _baselines(rows: Mapping[str, Mapping[str, Any]], axis: Any) -> None:
    lengths = list(next(iter(rows.values()))["recall"])
    width = 0.8 / len(rows)
    colours = [BLUE, ORANGE, "#b2abd2", "#5aae61", GREY]
    for place, (name, row) in enumerate(rows.items()):
        left = [spot - 0.4 + width * (place + 0.5) for spot in range(len(lengths))]
        heights = [row["recall"].get(k, 0.0) for k in lengths]
        intervals = row.get("intervals", {}).get("recall")
        ends = intervals and np.array([intervals[k] for k in lengths]).T
        axis.bar(
            left,
            heights,
            width * 0.92,
            label=name.replace("_", " "),
            color=colours[place % len(colours)],
            yerr=None if ends is None else np.abs(ends - heights),
            error_kw={"elinewidth": 0.8, "ecolor": "#444444"},
        )
    axis.set_xticks(range(len(lengths)), [f"recall@{k}" for k in lengths])
    axis.set(title="Model and baselines", ylabel="recall")
    axis.margins(y=0.35)  # room for the legend above the bars
    axis.legend(fontsize="small", frameon=False, loc="upper left", ncols=2)


def _recall_by(table: Mapping[str, Mapping[str, float]], title: str, label: str, k: int, axis: Any) -> None:
    """Draws bars of recall, and above each the number of pairs it stands for."""
    names, recalls = list(table), [row["recall"] for row in table.values()]
    axis.bar(range(len(names)), recalls, color=BLUE)
    axis.set_xticks(range(len(names)), names)
    for place, row in enumerate(table.values()):
        axis.annotate(
            _short(row["events"]), (place, row["recall"]), ha="center", va="bottom", fontsize=7, color=GREY
        )
    axis.set(title=f"Recall@{k} by {title}", xlabel=label, ylabel=f"recall@{k}")
    axis.margins(y=0.1)


def _short(number: float) -> str:
    return f"{number:.0f}" if number < 1000 else f"{number / 1000:.3g}k"


def _coverage(lists: Mapping[str, Any], k: int, axis: Any) -> None:
    names = ["catalogue", "recommended", "clicked next"]
    recommended, clicked = lists["by_k"][str(k)]["items"], lists["clicked"]["items"]
    n_items = round(clicked / lists["clicked"]["coverage"])
    values = [n_items, recommended, clicked]
    bars = axis.barh(names, values, color=[GREY, BLUE, ORANGE])
    axis.bar_label(bars, [f"{value:,} ({value / n_items:.0%})" for value in values], padding=3, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.35)
    axis.locator_params(axis="x", nbins=4)
    axis.set(title=f"Different items in {lists['lists']:,} lists of {k}", xlabel="items")


def _days(days: Sequence[Mapping[str, Any]], k: int, axis: Any) -> None:
    for kind, colour in (("stale", ORANGE), ("refreshed", BLUE)):
        axis.plot(
            range(len(days)), [day[kind]["recall"] for day in days], marker=".", color=colour, label=kind
        )
    held = [(place, day["refreshed"]["recall"]) for place, day in enumerate(days) if day["version"] is None]
    if held:
        axis.scatter(*zip(*held, strict=True), marker="x", color="black", zorder=3, label="not exported")
    axis.set(title=f"Recall@{k} on the following day", ylabel=f"recall@{k}, all pairs", ylim=(0, None))
    axis.legend(fontsize="small", frameon=False)
    _label_days(axis, [str(day["day"]) for day in days])


def _catalogue(days: Sequence[Mapping[str, Any]], axis: Any) -> None:
    axis.plot(range(len(days)), [day["items"] for day in days], marker=".", color=BLUE, label="items")
    for kind, colour in (("new_items", "#5aae61"), ("retired_items", GREY)):
        axis.plot(
            range(len(days)),
            [day[kind] for day in days],
            marker=".",
            color=colour,
            label=kind.replace("_", " "),
        )
    axis.set(title="Catalogue of the refreshed model", ylabel="items", ylim=(0, None))
    axis.legend(fontsize="small", frameon=False)
    _label_days(axis, [str(day["day"]) for day in days])


def _label_days(axis: Any, names: Sequence[str]) -> None:
    """Writes the names of at most twelve days below the axis, evenly spaced."""
    step = -(-len(names) // 12)
    axis.set_xticks(range(0, len(names), step), names[::step], rotation=45, ha="right", fontsize=7)
