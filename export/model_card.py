"""The model card of an export: what the model is, what it was trained on, what it reaches, and what it is not for."""

import datetime
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

import tensorflow as tf

import tfrs_gru4rec
from tfrs_gru4rec.models import GRU4Rec

# Servers read one file of this folder, the warm-up, and pass over the others.
MODEL_CARD_FILE = PurePath("assets.extra", "model_card.md")

_HEAD = """# Model card

GRU4Rec, a recurrent network that recommends the next item of an anonymous session from the items clicked so far
(arXiv:1511.06939, arXiv:1706.03847). Exported {date} by tfrs_gru4rec {package}, TensorFlow {tensorflow}."""

_LIMITS = """## Use and limits

Meant for the next item of sessions like those of the training log, among its items. Items that are newer than the log
are never recommended; a session without a known item gets popular ones. The model repeats what visitors clicked, with
its biases: towards popular items above all. It knows no prices, stocks, rights or ages: filter by them after it.
Figures of a past log say how well clicks are predicted, not what a recommendation brings about: that takes a live test.

The weights hold no single session, but items of very few visitors may tell about them. Live sessions are in the
server's memory alone, under keyed hashes of their ids."""


def model_card(model: GRU4Rec, recommendations: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Returns the card as Markdown.

    >>> import tfrs_gru4rec as g4r
    >>> model = g4r.GRU4Rec(g4r.Vocabulary.from_items([7, 8, 7]), g4r.GRU4RecConfig(layers=(2,)))
    >>> card = model_card(model, {"top_k": 1}, {"test": {"recall": {"20": 0.5}, "mrr": {"20": 0.25}}})
    >>> "| items | 2 |" in card, "| GRU4Rec | 0.5000 | 0.2500 |" in card
    (True, True)

    Args:
      model: what is exported.
      recommendations: how it answers, as `ExportConfig` has it.
      about: what is known of its training, each part if there is any: `training` (settings), `data` (numbers of
        events, sessions, items), `test`, `test_alone` and `baselines`, as config.json and report.json have them.
    """
    counts = model.vocabulary.counts
    known = {name: value for name, value in about.get("data", {}).items() if name != "checksum"}
    data = {"events": int(counts.sum()), **known, "items": model.vocabulary.n_items}
    versions = {"package": tfrs_gru4rec.__version__, "tensorflow": tf.__version__}
    parts = [
        _HEAD.format(date=f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}", **versions),
        "## Training data\n\n" + _table(("of the log", "number"), data.items()),
        _figures(about, recommendations.get("neighbours", "").endswith("alone")),
        "## Settings\n\n" + _table(("model", "value"), model.config.to_dict().items()),
        _table(("training", "value"), about.get("training", {}).items()),
        _table(("serving", "value"), recommendations.items()),
        _LIMITS,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _figures(about: Mapping[str, Any], is_alone: bool) -> str:
    """Returns recall and MRR at the longest list, of the model and of what it was compared with."""
    if "test" not in about:
        return (
            "## Figures\n\nNone are known: they are measured when training gets a test log (`--test_path`)."
        )
    name = "GRU4Rec, fused with neighbours" if "test_alone" in about else "GRU4Rec"
    rows = {"neighbours alone" if is_alone else name: about["test"]}
    if "test_alone" in about:
        rows["GRU4Rec alone"] = about["test_alone"]
    rows |= about.get("baselines", {})
    text = f"On {about['test'].get('log', 'the test log')}: next item among all items, with 95 % intervals."
    if about["test"].get("known_share", 1) < 1:
        rows["GRU4Rec, all pairs"] = about["test"]["all_pairs"]
        missed = 1 - about["test"]["known_share"]
        text += f" All pairs: with the {missed:.1%} that have an unknown item, as misses."
    k = max(about["test"]["recall"], key=int)
    cells = [(name, *(_figure(row, figure, k) for figure in ("recall", "mrr"))) for name, row in rows.items()]
    return f"## Figures\n\n{text}\n\n" + _table(("", f"recall@{k}", f"MRR@{k}"), cells)


def _figure(measured: Mapping[str, Any], name: str, k: str) -> str:
    low_high = measured.get("intervals", {}).get(name, {}).get(k)
    interval = " ({:.4f} to {:.4f})".format(*low_high) if low_high else ""
    return f"{measured[name][k]:.4f}{interval}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    body = [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    return (
        "\n".join(f"| {line} |" for line in (" | ".join(head), "|".join("---" for _ in head), *body))
        if body
        else ""
    )
