"""gru4rec-inspect: what a model's folder holds, and what the model has learned of its items.

    gru4rec-inspect --model_dir models/shop
    gru4rec-inspect --model_dir models/shop --item 214 --top_k 5
    gru4rec-inspect --model_dir models/shop --export_dir exports/shop
    gru4rec-inspect --model_dir models/shop --item_columns items.csv --projector

Shows settings, training data, epochs, figures of the test, checkpoints, and the versions in --export_dir. Then the
items with the largest and smallest bias, which the model recommends more and less often whatever the session; or,
with --item, the items whose weights point in the direction most like that item's (1 is the same direction). With
--projector the items' weights and names go to logs/, for the projector of `tensorboard --logdir models/shop/logs`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from absl import logging

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.item_names import NamesConfig
from tfrs_gru4rec.cli.tables import print_test
from tfrs_gru4rec.settings import Range, Settings


@dataclasses.dataclass(frozen=True)
class InspectConfig(Settings):
    """What is looked at.

    Attributes:
      model_dir: folder of the model.
      export_dir: folder of the versions that were exported.
      item: an item whose nearest items are shown.
      top_k: items to show.
      projector: write the weights and names of the most popular items, at most 10,000, for TensorBoard's projector.
    """

    model_dir: Path
    export_dir: Path | None = None
    item: str | None = None
    top_k: Annotated[int, Range(above=0)] = 10
    projector: bool = False


def main(look: InspectConfig, item_names: NamesConfig) -> int:
    """Prints what there is; returns the exit code."""
    names = item_names.read()
    logging.info("Loading the model in %s.", look.model_dir)
    from tfrs_gru4rec.training import ModelFolder, load_model
    from tfrs_gru4rec.training.checkpoints import checkpoint_numbers

    folder = ModelFolder(look.model_dir)
    settings = folder.settings()
    for part in ("model", "training", "data"):
        print(f"{part}: {_words(settings[part])}")
    if report := folder.report():
        _print_report(report)
    checkpoints = checkpoint_numbers(folder.checkpoints_path)
    print(f"checkpoints: {', '.join(f'ckpt-{number}' for number in checkpoints) or 'none'}")
    if look.export_dir:
        from tfrs_gru4rec.export.publishing import versions

        print(f"exports: {', '.join(map(str, sorted(versions(look.export_dir)))) or 'none'}")
    if checkpoints:
        model = load_model(look.model_dir)
        _print_items(model, look, names.label if names else str)
        if look.projector:
            _write_projector(model, names, folder.logs_path)
    return 0


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def _print_report(report: Mapping[str, Any]) -> None:
    losses = ", ".join(f"{epoch['loss']:.4f}" for epoch in report["epochs"])
    print(f"epochs: {len(report['epochs'])}{', loss ' if losses else ''}{losses}")
    if "test" in report:
        print_test(report, [int(k) for k in report["test"]["recall"]])


def _print_items(model: Any, look: InspectConfig, label: Callable[[Any], str]) -> None:
    from tfrs_gru4rec.evaluation.item_weights import largest_rows, nearest_rows

    ids, biases = model.vocabulary.ids, model.embedding.output_bias.numpy().reshape(-1)
    if look.item is None:
        for title, sign in (("largest", 1), ("smallest", -1)):
            rows = largest_rows(sign * biases, look.top_k)
            print(f"{title} bias: {', '.join(f'{label(ids[row])} ({biases[row]:.3f})' for row in rows)}")
        return
    (row,) = model.vocabulary.rows([look.item]).tolist()
    require(row >= 0, "The model does not know this item.", item=look.item)
    print(f"item {label(look.item)}: {model.vocabulary.counts[row]} events, bias {biases[row]:.3f}; nearest:")
    for other, cosine in zip(
        *nearest_rows(model.embedding.output_table.numpy(), row, look.top_k), strict=True
    ):
        print(f"  {label(ids[other])}  {cosine:.4f}")


def _write_projector(model: Any, names: Any, path: Path) -> None:
    import pandas as pd

    from tfrs_gru4rec.evaluation.projector import write_projector

    ids, counts = model.vocabulary.ids, model.vocabulary.counts
    shown = pd.DataFrame({"item": ids, "events": counts})
    if names:
        shown = pd.concat([shown, names.of(ids).reset_index(drop=True)], axis=1)
    n_items = write_projector(path, model.embedding.output_table.numpy(), shown, counts)
    print(f"projector: {n_items} items; look at them by tensorboard --logdir {path}")


COMMAND = Command("gru4rec-inspect", main)
run = COMMAND.run

if __name__ == "__main__":
    run()
