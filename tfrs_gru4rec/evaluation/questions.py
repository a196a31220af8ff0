"""Next-click questions of a validation log, some at a time, as a fusion is learned from them."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.evaluation.evaluate import followed
from tfrs_gru4rec.metrics import block_rows
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS, latest_clicks
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.pipelines.session_log import SessionLog

_SCORE_BYTES = 16 << 20


def blocks_of(
    model: GRU4Rec, log: SessionLog, asked: NextClicks
) -> Iterator[tuple[tf.Tensor, NextClicks, np.ndarray]]:
    """Asks questions of a log, so many at a time that scores of all items are small.

    Args:
      model: steps the sessions.
      log: in the model's vocabulary.
      asked: some of its questions.

    Yields:
      The model's queries [n, units], the questions, and the latest clicks int32 [n, N_CLICKS] before each.
    """
    clicks, size = NextClicks.of(log), block_rows(log.vocabulary.n_items, _SCORE_BYTES)
    is_asked = np.isin(clicks.events, asked.events)
    for queries, places in followed(model, log, clicks):
        chosen = np.flatnonzero(is_asked[places])
        for block in filter(len, np.split(chosen, range(size, len(chosen), size))):
            questions = clicks.take(places[block])
            yield tf.gather(queries, block), questions, latest_clicks(log.items, questions, N_CLICKS)
