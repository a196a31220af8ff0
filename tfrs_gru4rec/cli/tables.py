"""Results as text tables."""

from collections.abc import Mapping, Sequence
from typing import Any

_FIGURES = {"recall": "recall", "mrr": "MRR"}


def figures_table(rows: Mapping[str, Mapping[str, Any]], k: Sequence[int]) -> str:
    """Formats recall by k and MRR at the largest k of several recommenders, a line each.

    Those at the largest k have half the width of their 95 % interval beside them. So has, where a row says it under
    `model_ahead`, by how much the model is ahead of it on the same pairs, by `RankedPairs.compare`.

    Args:
      rows: figures with `recall` and `mrr` by k, by name; list lengths that a row lacks are left empty.
      k: lengths of the lists.
    """
    shorter, last = [str(each) for each in k if each < max(k)], str(max(k))
    compared = {name: row["model_ahead"] for name, row in rows.items() if "model_ahead" in row}
    most = max((row["pairs"] for row in compared.values()), default=0)
    head = [f"recall@{each}".rjust(11) for each in shorter]
    head += [f"{label}@{last}".rjust(18) for label in _FIGURES.values()]
    head += [f"ahead in {label}".rjust(19) for label in _FIGURES.values() if compared]
    width = max(map(len, rows))
    lines = [" " * width + "".join(head)]
    for name, row in rows.items():
        cells = [_figure(row["recall"].get(each)).rjust(11) for each in shorter]
        cells += [_with_interval(row, kind, last).rjust(18) for kind in _FIGURES]
        if name in compared:
            ahead = compared[name]
            cells += [_with_interval(ahead, kind, last, "+").rjust(19) for kind in _FIGURES]
            cells += [f"  on {ahead['pairs']} pairs"] * (ahead["pairs"] < most)
        lines.append(f"{name:{width}}{''.join(cells)}".rstrip())
    return "\n".join(lines)


def _figure(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4f}"


def _with_interval(row: Mapping[str, Any], kind: str, k: str, sign: str = "") -> str:
    """Formats a figure, and beside it half the width of its interval, or as much space."""
    figure = _figure(row.get(kind, {}).get(k), sign)
    if "intervals" not in row:
        return f"{figure}{'':9}"
    low, high = row["intervals"][kind][k]
    return f"{figure} ± {(high - low) / 2:.4f}"


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
    words = {"none": "the model alone"}

    def figures(row: Mapping[str, float]) -> str:
        return f"{row['recall']:.4f}, {row['mrr']:.4f}"

    tried = {name: row for name, row in found.items() if name not in ("chosen", "reranking")}
    rows = "; ".join(f"{words.get(name, name)} {figures(row)}" for name, row in tried.items())
    line = (
        f"Fusion with neighbours: {found['chosen']}. Recall@20, MRR@20 on sessions not learned from: {rows}."
    )
    reranking = found.get("reranking", {})
    if "after" not in reranking:
        return line
    result = "kept" if reranking["kept"] else "left out"
    before, after = figures(reranking["before"]), figures(reranking["after"])
    return f"{line} Its best items ranked anew: {after} instead of {before}, {result}."


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
    print(f"\n{events_line(test)}, with 95 % intervals:")
    print(figures_table(rows | report.get("baselines", {}) | (others or {}), k))
    if test["known_share"] < 1:
        print(all_pairs_line(test, max(k)))
