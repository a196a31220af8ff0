"""Item weights as TensorBoard's projector shows them, each point with what the item is called."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from tfrs_gru4rec.atomic_files import replacing, write_text
from tfrs_gru4rec.evaluation.item_weights import largest_rows

MAX_ITEMS = 10_000
_CONFIG = 'embeddings {\n  tensor_path: "item_weights.tsv"\n  metadata_path: "metadata.tsv"\n}\n'


def write_projector(
    folder: str | os.PathLike[str],
    weights: np.ndarray,
    metadata: pd.DataFrame,
    counts: np.ndarray,
    max_items: int = MAX_ITEMS,
) -> int:
    """Writes the weights of the most popular items for TensorBoard's projector; returns how many items were written.

    Args:
      folder: log folder that TensorBoard reads; gets item_weights.tsv, metadata.tsv and projector_config.pbtxt.
      weights: [n_items, units].
      metadata: a row each item: its id, and what else is shown of it; at least two columns.
      counts: int [n_items], training events of each item.
      max_items: so many are written, for TensorBoard reads text slowly and draws all points at once.

    >>> import tempfile
    >>> items = pd.DataFrame({"item": ["lamp", "desk"], "events": [1, 9]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_projector(folder, np.eye(2), items, items["events"].to_numpy(), max_items=1)
    ...     print(Path(folder, "metadata.tsv").read_text().split())
    ['item', 'events', 'desk', '9']
    """
    folder = Path(folder)
    rows = largest_rows(counts, max_items)
    # A tab or a line break in a name would begin another field or point.
    shown = metadata.iloc[rows].astype(str).replace(r"\s+", " ", regex=True)
    with replacing(folder / "item_weights.tsv") as path:
        np.savetxt(path, weights[rows], fmt="%.5g", delimiter="\t")
    lines = ["\t".join(map(str, shown.columns)), *map("\t".join, shown.itertuples(index=False))]
    write_text(folder / "metadata.tsv", "\n".join(lines) + "\n")
    write_text(folder / "projector_config.pbtxt", _CONFIG)
    return len(rows)
