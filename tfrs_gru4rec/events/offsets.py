"""Lists of unequal length kept flat: list i is values[offsets[i]:offsets[i + 1]]."""

import numpy as np


def offsets_of_lengths(lengths: np.ndarray) -> np.ndarray:
    """Returns where each list begins and the last one ends: lengths [n_lists], zero allowed, → int64 [n_lists + 1].

    >>> offsets_of_lengths(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def offsets_of_runs(keys: np.ndarray) -> np.ndarray:
    """Returns where each run of equal neighbours among keys [n] begins and the last one ends, int64 [n_runs + 1].

    >>> offsets_of_runs(np.array([7, 7, 4, 9, 9])).tolist()
    [0, 2, 3, 5]
    """
    if not len(keys):
        return np.zeros(1, np.int64)
    changes = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.concatenate(([0], changes, [len(keys)]))


def positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Lists the positions of spans of starts [n_spans] and lengths [n_spans], span after span, int64 [sum of lengths].

    >>> positions(np.array([7, 0]), np.array([2, 3])).tolist()
    [7, 8, 0, 1, 2]
    """
    before = np.cumsum(lengths, dtype=np.int64) - lengths
    return np.arange(np.sum(lengths, dtype=np.int64)) + np.repeat(starts - before, lengths)
