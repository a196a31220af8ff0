"""Dwell time as training data: events that held attention longer are repeated (Bogina and Kuflik, 2017)."""

import dataclasses

import numpy as np
from absl import logging

from tfrs_gru4rec.events.dwell_time import dwell_copies
from tfrs_gru4rec.events.offsets import offsets_of_lengths
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary


def augment_dwell_time(log: SessionLog, seconds: float, ticks_per_second: float = 1.0) -> SessionLog:
    """Repeats each event floor(dwell time / seconds) + 1 times, as `events.dwell_time.dwell_copies` says.

    Repeats stand right after their event and carry its time. If the vocabulary is the log's own (it counts just its
    events), items are counted anew, repeats included, and rows renumbered by the new counts, as if the log had been
    read from an augmented file. A vocabulary from elsewhere stays as it is.

    Args:
      log: sessions with their events' times.
      seconds: the threshold.
      ticks_per_second: unit of the log's times: 1 for seconds (ISO dates always are), 1000 for milliseconds.

    Raises:
      ValueError: the threshold is not above 0, or so short for these times that the log would explode.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"SessionId": [1, 1], "ItemId": [70, 80], "Time": [0, 25]})
    >>> log = augment_dwell_time(SessionLog.from_frame(frame), seconds=10)
    >>> log.vocabulary.ids[log.items].tolist()
    [70, 70, 70, 80]
    """
    copies = dwell_copies(log.times, log.offsets, seconds, ticks_per_second)
    items, vocabulary = np.repeat(log.items, copies), log.vocabulary
    logging.info("Dwell time makes %d events of %d.", len(items), log.n_events)
    if np.array_equal(np.bincount(log.items, minlength=vocabulary.n_items), vocabulary.counts):
        old_ids = vocabulary.ids
        vocabulary = Vocabulary.from_counts(old_ids, np.bincount(items, minlength=len(old_ids)))
        items = vocabulary.rows(old_ids)[items]
    offsets = offsets_of_lengths(copies)[log.offsets]
    times = np.repeat(log.times, copies)
    return dataclasses.replace(log, items=items, offsets=offsets, times=times, vocabulary=vocabulary)
