"""Results as text tables."""

from collections.abc import Mapping, Sequence
from typing import Any

_FIGURES = {"recall": "recall", "mrr": "MRR"}


def figures_table(rows: Mapping[str, Mapping[str, Any]], k: Sequence[int]) -> str:
    """Formats recall and MRR of several recommenders, a line each, and below it half the width of their intervals.

    Rows are figures with `recall` and `mrr` by k, by name; list lengths that a row lacks are left empty.
    """
    head = [f"{label}@{each}" for label in _FIGURES.values() for each in k]
    width = max(map(len, [*rows, "  95 % ±"]))
    lines = [" " * width + "".join(f"{name:>11}" for name in head)]
    for name, figures in rows.items():
        values = [figures.get(kind, {}).get(str(each)) for kind in _FIGURES for each in k]
        cells = "".join(" " * 11 if value is None else f"{value:11.4f}" for value in values)
        lines.append(f"{name:{width}}{cells}")
        if "intervals" in figures:
            ends = [figures["intervals"][kind][str(each)] for kind in _FIGURES for each in k]
            cells = "".join(f"{(high - low) / 2:11.4f}" for low, high in ends)
            lines.append(f"{'  95 % ±':{width}}{cells}")
    return "\n".join(lines)


def comparison_table(rows: Mapping[str, Mapping[str, Any]], k: int) -> str:
    """Formats by how much a model is ahead of others, by `RankedPairs.compare`, in recall and MRR at one k."""
    width = max(map(len, rows))
    lines = [" " * width + "".join(f"{f'{label}@{k}':>28}" for label in _FIGURES.values()) + f"{'pairs':>9}"]
    for name, row in rows.items():
        values = ((row[kind][str(k)], *row["intervals"][kind][str(k)]) for kind in _FIGURES)
        cells = "".join(f"{value:+9.4f} [{low:+.4f}, {high:+.4f}]" for value, low, high in values)
        lines.append(f"{name:{width}}{cells}{row['pairs']:9}")
    return "\n".join(lines)


def events_line(test: Mapping[str, Any]) -> str:
    """Says what the figures of a test were measured on."""
    return f"{test['events']} test events ({test['dropped_events']} of unknown items dropped)"


def all_pairs_line(test: Mapping[str, Any], k: int) -> str:
    """Says what recall and MRR are, with their intervals, if pairs with an unknown item count as misses."""
    found, share = test["all_pairs"], 1 - test["known_share"]
    ends = ((kind, label, *found["intervals"][kind][str(k)]) for kind, label in _FIGURES.items())
    values = (
        f"{label}@{k} {found[kind][str(k)]:.4f} ± {(high - low) / 2:.4f}" for kind, label, low, high in ends
    )
    return f"Of all pairs, the {share:.1%} with an unknown item counted as misses: {', '.join(values)}."


def fusion_line(found: Mapping[str, Any]) -> str:
    """Says which neighbours were chosen, and by how much they help, from the report of `learn_fusion`."""
    names = {name: "the model alone" if name == "none" else name for name in found if name != "chosen"}
    rows = "; ".join(f"{names[name]} {found[name]['recall']:.4f}, {found[name]['mrr']:.4f}" for name in names)
    return (
        f"Fusion with neighbours: {found['chosen']}. Recall@20, MRR@20 on sessions not learned from: {rows}."
    )


def further_figures_table(test: Mapping[str, Any]) -> str:
    """Formats the figures beside recall and MRR by k; the last column is that of the items that were clicked."""
    by_k, clicked = test["lists"]["by_k"], test["lists"]["clicked"]
    lines = [" " * 10 + "".join(f"{f'@{k}':>11}" for k in by_k) + f"{'clicked':>11}"]
    for name, form in (("ndcg", ".4f"), ("precision", ".4f")):
        lines.append(f"{name:10}" + "".join(f"{test[name][k]:11{form}}" for k in by_k))
    for name, form in (("coverage", ".2%"), ("novelty", ".2f"), ("popularity", ".1f")):
        lines.append(f"{name:10}" + "".join(f"{row[name]:11{form}}" for row in (*by_k.values(), clicked)))
    return "\n".join(lines)


def position_table(by_position: Mapping[str, Mapping[str, float]], k: int) -> str:
    """Formats recall and MRR by the number of events seen before the prediction."""
    lines = [f"{'events seen':>11}{f'recall@{k}':>11}{f'MRR@{k}':>11}{'predictions':>13}"]
    for position, row in by_position.items():
        lines.append(f"{position:>11}{row['recall']:11.4f}{row['mrr']:11.4f}{row['events']:13.0f}")
    return "\n".join(lines)


def print_test(report: Mapping[str, Any], k: Sequence[int], others: Mapping[str, Any] | None = None) -> None:
    """Prints the figures of a report's `test`, its `test_alone` and `baselines`, if any, and further rows by name."""
    test = report["test"]
    rows = {test.get("recommender", "GRU4Rec"): test}
    if "test_alone" in report:
        rows["GRU4Rec alone"] = report["test_alone"]
    print(f"\n{events_line(test)}:")
    print(figures_table(rows | report.get("baselines", {}) | (others or {}), k))
    if test["known_share"] < 1:
        print(all_pairs_line(test, max(k)))
    if "baselines" in report:
        print("\nBy how much GRU4Rec is ahead, on the same pairs, with 95 % intervals:")
        ahead = {name: row["model_ahead"] for name, row in report["baselines"].items()}
        print(comparison_table(ahead, max(k)))
