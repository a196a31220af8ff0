"""Small runs of each command that writes; `python -m fault_support.commands NAME... FOLDER` runs them by themselves."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import tfrs_gru4rec
from tfrs_gru4rec.cli import daily, prepare, train
from tfrs_gru4rec.config import CheckpointConfig, DailyConfig, GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.evaluation import plots
from tfrs_gru4rec.evaluation.fused import FusedModel, with_fusion
from tfrs_gru4rec.export.publishing import publish, versions
from tfrs_gru4rec.export.saved_model import export_saved_model
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours import Fusion
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import load_model
from tfrs_gru4rec.training.checkpoints import checkpoint_numbers
from tfrs_gru4rec.upkeep import day_loop
from tfrs_gru4rec.upkeep.ledger import Ledger

import tensorflow as tf  # isort: skip

ITEMS = list("abcdef")
COMPILE = GRU4Rec.compile


def make_small() -> None:
    """Leaves out what takes most of the time of a tiny run: compiling, tracing, ranking, drawing."""

    def compile_eagerly(self, *arguments, **settings):
        COMPILE(self, *arguments, **{**settings, "jit_compile": False, "run_eagerly": True})

    GRU4Rec.compile = compile_eagerly
    plots.plot_report = lambda *_: False
    day_loop.measure_day = lambda model, *_: ({"recall": float(np.abs(table_of(model)).sum() > 0)}, None)
    day_loop.plot_days = lambda days, path, k: bool(Path(path).write_text(str(len(days))))


def write_logs(inputs: Path) -> None:
    """Writes logs of three days, and a raw one."""
    inputs.mkdir(parents=True)
    for day in range(1, 4):
        items = [*ITEMS, f"new-{day}"]
        frame = pd.DataFrame({"SessionId": np.repeat(np.arange(8), 3)})
        frame["ItemId"] = [items[(row * day + row // 3) % len(items)] for row in range(24)]
        frame["Time"] = 86_400 * day + np.arange(24)
        frame.to_csv(inputs / f"day-{day}.tsv", sep="\t", index=False)
    frame = pd.concat([pd.read_csv(path, sep="\t") for path in sorted(inputs.glob("day-*.tsv"))])
    frame["SessionId"] = np.repeat(np.arange(len(frame) // 3), 3)
    (inputs / "raw").mkdir()
    frame.to_csv(inputs / "raw" / "log.csv", index=False)


def work(command: Any, **settings: Any) -> None:
    """Runs a command line."""
    assert command.COMMAND.work(["command", *(f"--{name}={value}" for name, value in settings.items())]) == 0


SMALL = {"layers": 3, "n_sample": 4, "batch_size": 4, "n_epochs": 2, "progress": False}


def run_train(inputs: Path, root: Path) -> None:
    work(train, train_path=inputs / "day-1.tsv", model_dir=root / "m", **SMALL)


def old_model(inputs: Path) -> Path:
    """Returns the folder of a model of the first day, fused with its neighbours."""
    folder = inputs / "old"
    if not folder.exists():
        work(train, train_path=inputs / "day-1.tsv", model_dir=folder, **SMALL)
        log = SessionLog.from_file(inputs / "day-1.tsv", load_model(folder).vocabulary)
        Fusion.count(log, np.ones([4, 5]), ["rules", "knn"]).save(folder)
    return folder


def run_warm_start(inputs: Path, root: Path) -> None:
    old = old_model(inputs)
    work(train, train_path=inputs / "day-2.tsv", model_dir=root / "m", warm_start_from=old, **SMALL)


class Versions(daily.SavedModelVersions):
    """Publishes an array instead of a SavedModel, which takes seconds."""

    def publish(self, model: Any, version: int, about: Mapping[str, Any]) -> None:
        publish(self._export_dir, version, lambda hidden: np.save(hidden / "table.npy", table_of(model)))


def table_of(model: GRU4Rec | FusedModel) -> np.ndarray:
    gru = model.model if isinstance(model, FusedModel) else model
    return gru.embedding.output_table.numpy()


def neighbours_of(folder: Path) -> list[np.ndarray]:
    fusion = Fusion.load(folder)
    return [table.toarray() for table in fusion.tables.values()] if fusion else []


def run_daily(inputs: Path, root: Path) -> None:
    config = day_loop.DayLoopConfig(
        GRU4RecConfig(layers=(3,), n_sample=4),
        TrainingConfig(batch_size=4, n_epochs=1),
        WarmStartConfig(),
        DailyConfig(
            inputs,
            root / "work",
            root / "versions",
            margin=1.0,
            warm_start_from=old_model(inputs),
            keep_days=1,
        ),
        checkpoints=CheckpointConfig(keep_checkpoints=1),
    )
    day_loop.DayLoop(Versions(root / "versions", {}), config).run()


def run_prepare(inputs: Path, root: Path, min_item_support: int = 1) -> None:
    work(
        prepare,
        input_path=inputs / "raw" / "log.csv",
        output_dir=root / "prepared",
        min_item_support=min_item_support,
        output_format="tsv",
    )


def old_splits(inputs: Path, root: Path) -> None:
    """An earlier run of other settings, whose files are to be replaced."""
    run_prepare(inputs, root, min_item_support=5)


def _write_version(hidden: Path) -> None:
    (hidden / "variables").mkdir()
    for name in ("saved_model.pb", "variables/variables.index"):
        (hidden / name).write_text("whole")


def run_publish(inputs: Path, root: Path) -> None:
    publish(root / "versions", None, _write_version)


def run_export(inputs: Path, root: Path) -> None:
    tf.random.set_seed(1)
    model = tfrs_gru4rec.GRU4Rec(tfrs_gru4rec.Vocabulary.from_items(ITEMS), GRU4RecConfig(layers=(2,)))
    export_saved_model(model, root / "versions", top_k=2, max_sessions=100)


def state_of_model(root: Path) -> Any:
    folder = root / "m"
    return {
        "names": sorted(path.name for path in folder.iterdir() if path.name != "logs"),
        "checkpoints": sorted(path.name for path in (folder / "checkpoints").iterdir()),
        "table": table_of(load_model(folder)),
        "neighbours": neighbours_of(folder),
        "last_seen": pd.read_parquet(folder / "last_seen.parquet")["last_seen"].to_numpy(),
        "epochs": len(pd.read_csv(folder / "logs" / "epochs.csv")),
    }


def check_model(root: Path) -> None:
    """A reader finds no model, or one whose weights are whole."""
    if checkpoint_numbers(root / "m" / "checkpoints"):
        with_fusion(load_model(root / "m"), root / "m")


def state_of_days(root: Path) -> Any:
    folder = root / "work"
    return {
        "ledger": [(day["day"], day["version"]) for day in Ledger(folder / "ledger.json").days],
        "plot": (folder / "daily.png").read_text(),
        "names": sorted(str(path.relative_to(root)) for path in root.rglob("*") if "train" not in path.parts),
        "neighbours": [table for path in sorted(folder.glob("days/*")) for table in neighbours_of(path)],
        "tables": [np.load(path) for path in sorted((root / "versions").glob("*/table.npy"))],
    }


def check_days(root: Path) -> None:
    """What the ledger says is done is there: the newest day's model, and each version, whole."""
    ledger = Ledger(root / "work" / "ledger.json")
    if ledger.days:
        newest = root / "work" / "days" / ledger.names[-1]
        assert isinstance(with_fusion(load_model(newest), newest), FusedModel)
    assert {day["version"] for day in ledger.days} <= set(versions(root / "versions"))
    for version in versions(root / "versions"):
        np.load(root / "versions" / str(version) / "table.npy")


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def check_splits(root: Path) -> None:
    """Statistics are there only beside the files that they are of."""
    folder = root / "prepared"
    if (folder / "statistics.json").exists():
        rows = pd.read_json(folder / "statistics.json")
        for name in ("train", "test", "train_tr", "valid"):
            assert len(pd.read_csv(folder / f"{name}.tsv", sep="\t")) == rows[name]["events"]


def state_of_versions(root: Path) -> Any:
    """The files of each version; another run makes another version, so they are not counted."""
    kinds = {tuple(sorted(contents(path).items())) for path in (root / "versions").iterdir()}
    assert all(path.name.isdecimal() for path in (root / "versions").iterdir())
    return sorted(kinds)


def check_versions(root: Path) -> None:
    """Every version that a server sees is whole."""
    for version in versions(root / "versions"):
        assert set(contents(root / "versions" / str(version)).values()) == {b"whole"}


def state_of_exports(root: Path) -> Any:
    return {tuple(contents(path)) for path in (root / "versions").iterdir()}


def check_exports(root: Path) -> None:
    """Every version that a server sees has its files, none of them empty."""
    for version in versions(root / "versions"):
        found = contents(root / "versions" / str(version))
        assert {"saved_model.pb", "variables/variables.index"} <= found.keys()
        assert all(found.values())


@dataclasses.dataclass(frozen=True)
class Small:
    """A small run of a command.

    Attributes:
      run: does it, reading below the first folder and writing below the second.
      state: what the run has made, in terms that do not differ between two runs.
      check: fails if a reader who comes after a crash, before the command runs again, finds a thing half-done.
      before: what was there before.
      tries: how many states of the disk the always-run test goes on from.
    """

    run: Callable[[Path, Path], None]
    state: Callable[[Path], Any]
    check: Callable[[Path], None]
    before: Callable[[Path, Path], None] = lambda inputs, root: None
    tries: int = 6


COMMANDS = {
    "train": Small(run_train, state_of_model, check_model),
    "warm start": Small(run_warm_start, state_of_model, check_model),
    "day loop": Small(run_daily, state_of_days, check_days),
    "prepare": Small(run_prepare, contents, check_splits, old_splits, 1000),
    "publish": Small(run_publish, state_of_versions, check_versions, run_publish, 1000),
    "export": Small(run_export, state_of_exports, check_exports, tries=1),
}


if __name__ == "__main__":
    make_small()
    *NAMES, INPUTS, ROOT = sys.argv[1:]
    for NAME in NAMES:
        COMMANDS[NAME].run(Path(INPUTS), Path(ROOT, NAME.replace(" ", "-")))
