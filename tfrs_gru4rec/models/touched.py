"""The rows of the items' tables that a step reads, and so updates."""

from collections.abc import Sequence

import tensorflow as tf

# A table [n_items, …] and int32 rows of it.
Touched = tuple[tf.Variable, tf.Tensor]


def by_table(touched: Sequence[Touched]) -> list[tuple[tf.Variable, list[int]]]:
    """Groups what is touched by table.

    A table must be updated once: a row that is both input and candidate gets the sum of its gradients.

    Args:
      touched: tables with rows, a table perhaps several times.

    Returns:
      Each table with the numbers of its entries in `touched`.
    """
    numbers: dict[int, list[int]] = {}
    for number, (table, _) in enumerate(touched):
        numbers.setdefault(id(table), []).append(number)
    return [(touched[entries[0]][0], entries) for entries in numbers.values()]
