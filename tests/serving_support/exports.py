"""A real export with random weights, of a catalogue whose items are known.

For a real TF Serving, `PYTHONPATH=tests python -m serving_support.exports FOLDER` writes it.
"""

import pathlib
import shutil
import sys

import numpy as np

N_ITEMS = 200
TOP_K = 10
MAX_SESSIONS = 4096
ITEMS = [f"item-{number}" for number in range(N_ITEMS)]
UNKNOWN_ITEM = "no-such-item"


def make_model(layers: tuple[int, ...] = (16,)):
    """Returns a model, of the same weights every time."""
    from tfrs_gru4rec.config import GRU4RecConfig
    from tfrs_gru4rec.models import GRU4Rec
    from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

    vocabulary = Vocabulary.from_counts(np.array(ITEMS, object), np.arange(N_ITEMS, 0, -1))
    return GRU4Rec(vocabulary, GRU4RecConfig(layers=layers, seed=3))


def write_export(export_dir: pathlib.Path, layers: tuple[int, ...] = (16,)) -> pathlib.Path:
    """Publishes version 1 of that model."""
    from tfrs_gru4rec.export.saved_model import export_saved_model

    model = make_model(layers)
    return pathlib.Path(export_saved_model(model, export_dir, 1, top_k=TOP_K, max_sessions=MAX_SESSIONS))


def write_fused_export(export_dir: pathlib.Path) -> pathlib.Path:
    """Publishes version 1 of that model with neighbours beside it."""
    from neighbours_support.logs import random_sessions

    from tfrs_gru4rec.export.saved_model import export_saved_model
    from tfrs_gru4rec.neighbours import Fusion
    from tfrs_gru4rec.pipelines.session_log import SessionLog

    model, sessions = make_model(), random_sessions(0, 2000, N_ITEMS)
    items = np.concatenate(sessions).astype(np.int32)
    log = SessionLog(items, np.cumsum([0, *map(len, sessions)]), np.arange(items.size), model.vocabulary)
    fusion = Fusion.count(log, np.tile([0.008, 0.008, 0.0, -0.1, -0.1], [4, 1]), ["rules", "knn"])
    return pathlib.Path(
        export_saved_model(model, export_dir, 1, fusion=fusion, top_k=TOP_K, max_sessions=100)
    )


def publish_copy(source: pathlib.Path, export_dir: pathlib.Path, version: int) -> pathlib.Path:
    """Publishes a version folder again under another number; it appears at once."""
    export_dir.mkdir(exist_ok=True)
    hidden = export_dir / f".{version}"
    shutil.copytree(source, hidden)
    return hidden.rename(export_dir / str(version))


if __name__ == "__main__":
    print(write_export(pathlib.Path(sys.argv[1])))  # noqa: T201
