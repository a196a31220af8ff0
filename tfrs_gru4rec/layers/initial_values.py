"""Initial values of the weights: uniform within sqrt(6 / (rows + columns)), block by block."""

import math

import tensorflow as tf


def uniform_block(rows: int, columns: int, seed: tuple[int, int]) -> tf.Tensor:
    """Draws a weight block float32 [rows, columns] uniformly from ±sqrt(6 / (rows + columns)) (Glorot and Bengio 2010).

    The same pair of integers, the seed, gives the same block.

    >>> block = uniform_block(3, 3, (0, 1))
    >>> bool(tf.reduce_all(tf.abs(block) <= 1.0))  # sqrt(6 / (3 + 3))
    True
    """
    bound = math.sqrt(6.0 / (rows + columns))
    return tf.random.stateless_uniform([rows, columns], seed, -bound, bound, alg="philox")


def gate_blocks(rows: int, units: int, seed: tuple[int, int]) -> tf.Tensor:
    """Draws the three blocks of a GRU's gates, each by its own shape.

    One wide draw would give ±sqrt(6 / (rows + 3 * units)) and smaller weights than the papers train with.

    Returns:
      float32 [rows, 3 * units]: reset gate, update gate, candidate.

    >>> gate_blocks(5, 2, (0, 1)).shape
    TensorShape([5, 6])
    """
    first, second = seed
    return tf.concat([uniform_block(rows, units, (first, second * 3 + gate)) for gate in range(3)], axis=1)
