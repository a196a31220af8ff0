"""Losses over the scores of a step's candidates: pure functions, and Keras classes over them."""

from tfrs_gru4rec.losses.bpr import bpr, bpr_max
from tfrs_gru4rec.losses.cross_entropy import cross_entropy
from tfrs_gru4rec.losses.keras_losses import BPR, TOP1, BPRMax, CrossEntropy, TOP1Max
from tfrs_gru4rec.losses.registry import NAMES, get, parameter_names
from tfrs_gru4rec.losses.top1 import top1, top1_max

__all__ = [
    "BPR",
    "NAMES",
    "TOP1",
    "BPRMax",
    "CrossEntropy",
    "TOP1Max",
    "bpr",
    "bpr_max",
    "cross_entropy",
    "get",
    "parameter_names",
    "top1",
    "top1_max",
]
