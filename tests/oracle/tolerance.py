"""How far a float32 result may lie from the true one: the roundings on its way, not those of one processor."""

import numpy as np

EPSILON = float(np.finfo(np.float32).eps)


def rounding(n_roundings, magnitude=1.0):
    """Bound on the error that `n_roundings` operations in a row leave.

    A sum of n numbers takes n - 1 roundings, in whatever order a processor adds them. Exponentials,
    logarithms, sigmoids and tanh are approximations, good to four roundings each on any processor.

    Args:
      n_roundings: additions, products and the like between input and result; half an epsilon each, of which
        a whole one is granted.
      magnitude: the largest absolute value on the way; 1 makes the bound a relative one.

    Returns:
      The bound, an absolute error where `magnitude` is given.
    """
    return n_roundings * EPSILON * float(np.max(np.abs(magnitude)))


# A loss of two or three candidates and its slope: of each candidate a difference, an exponential or sigmoid and
# a product, then a sum, a quotient and a logarithm.
FEW = rounding(32)
