"""Writes a model as a stateful SavedModel for TF Serving: one call, one new version."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from tfrs_gru4rec.config import ExportConfig
from tfrs_gru4rec.export.contract import Contract, require_contract_kept
from tfrs_gru4rec.export.model_card import MODEL_CARD_FILE, model_card
from tfrs_gru4rec.export.publishing import publish
from tfrs_gru4rec.export.serving_model import ServingModel
from tfrs_gru4rec.export.signatures import SIGNATURES
from tfrs_gru4rec.export.traced_graphs import without_rewriting
from tfrs_gru4rec.export.verification import sample_scores, verify
from tfrs_gru4rec.export.warm_up import write_warm_up
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fusion import Fusion


@without_rewriting()
def export_saved_model(
    model: GRU4Rec,
    export_dir: str | os.PathLike[str],
    version: int | None = None,
    *,
    fusion: Fusion | None = None,
    top_k: int = ExportConfig.top_k,
    max_sessions: int = ExportConfig.max_sessions,
    idle_seconds: float = ExportConfig.idle_seconds,
    exclude_seen: bool = ExportConfig.exclude_seen,
    keep_versions: int | None = ExportConfig.keep_versions,
    group_of: Mapping[Any, str] | None = None,
    top_k_search: str = ExportConfig.top_k_search,
    approximate_recall: float = ExportConfig.approximate_recall,
    sessions: Sequence[Sequence[Any]] | None = None,
    about: Mapping[str, Any] | None = None,
) -> str:
    """Publishes a model as `<export_dir>/<version>/`, with the signatures of `export.signatures`.

    The folder appears at once and whole, after it has been loaded back and compared with the model. On disk
    it holds the weights and the vocabulary. The memory of the sessions is made where the model is loaded, which
    the check here does too: `max_sessions * (4 * (52 + units of all layers) + 24)` bytes, as 50 items seen are
    remembered, beside the bytes of a fusion's tables.

    >>> import tempfile
    >>> import tfrs_gru4rec as g4r
    >>> model = g4r.GRU4Rec(g4r.Vocabulary.from_items([7, 8, 7]), g4r.GRU4RecConfig(layers=(2,)))
    >>> folder = export_saved_model(model, tempfile.mkdtemp(), top_k=1, max_sessions=100)
    >>> os.path.basename(folder)
    '1'

    Args:
      model: a trained model.
      export_dir: local folder of the versions, which a server watches.
      version: number of this version, 1 or more; None for the largest so far plus 1.
      fusion: what neighbours add to the model's scores.
      top_k: items in a recommendation, at most the number of items; below it with `exclude_seen`.
      max_sessions: live sessions to hold. Those least recently used give way to new ones, approximately:
        allow for about twice as many as are live at a time, and practically none goes early (see
        `session_store.py`).
      idle_seconds: a session that has not been used for so long is forgotten.
      exclude_seen: leave a session's latest 50 known items (fewer if the catalogue is not larger than that by
        `top_k`) out of its recommendations; `score` scores them all the same.
      keep_versions: how many of the largest versions stay; see `publish`.
      group_of: group by item id, such as its category, which requests may restrict answers to; items may be left out.
      top_k_search: how the best items are found, see `ExportConfig`; what was chosen is logged, and said in the card.
      approximate_recall: share of the best items that must be found, on average; 1 for exact answers.
      sessions: raw item ids of sessions to measure both ways of searching with, such as those of a test log; None to
        sample some from the model.
      about: what the version's model card says of training, see `model_card`.

    Returns:
      The version's folder.

    Raises:
      ValueError: an argument is out of its range, the version exists, it would break what clients of the folder's
        newest version rely on (the type of item ids, top_k, signatures), the vocabulary holds the id that pads
        requests, the fusion is of another one, or the written model does not do what the model does. Nothing is
        published.
      OSError: the folder cannot be written to, or the disk is full. Nothing is left behind.
    """
    vocabulary = model.vocabulary
    # Before the work; `publish` asks again.
    offered = Contract(vocabulary.item_type, top_k, frozenset(SIGNATURES))
    require_contract_kept(export_dir, offered, item_id=vocabulary.ids[0])
    serving_model = ServingModel(
        model, vocabulary, top_k, max_sessions, idle_seconds, exclude_seen, fusion, group_of
    )
    search = serving_model.choose_search(model, top_k_search, approximate_recall, sessions)
    logging.info("The best %d items: %s.", top_k, search)
    expected = sample_scores(model, model.vocabulary, fusion)
    answers = {
        "top_k": top_k,
        "max_sessions": max_sessions,
        "idle_seconds": idle_seconds,
        "exclude_seen": exclude_seen,
        "top_k_search": search,
        "neighbours": fusion.label if fusion else "none",
    }
    card = model_card(model, answers, about or {})
    functions = serving_model.concrete_functions()

    def write(folder: Path) -> None:
        _save(serving_model, functions, folder)
        (folder / MODEL_CARD_FILE).write_text(card, encoding="utf-8")  # beside the warm-up
        verify(folder, model.vocabulary, expected)

    return os.fspath(publish(export_dir, version, write, keep_versions))


def _save(
    serving_model: ServingModel,
    functions: dict[str, tf.types.experimental.ConcreteFunction],
    folder: Path,
) -> None:
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        tf.saved_model.save(serving_model, os.fspath(folder), signatures=functions, options=options)
        catalogue, served = serving_model.catalogue, serving_model.offered.values()
        write_warm_up(folder, served, catalogue.item_dtype, catalogue.first_id, serving_model.state_size)
    except tf.errors.OpError as error:
        raise OSError(f"The model could not be written to {folder}: {error}") from error
