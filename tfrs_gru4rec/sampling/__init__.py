"""Negatives: drawing them in the graph, masking accidental hits, correcting for how they were drawn."""

from tfrs_gru4rec.sampling.alias import alias_table
from tfrs_gru4rec.sampling.log_correction import log_correction, log_counts
from tfrs_gru4rec.sampling.masks import negative_mask
from tfrs_gru4rec.sampling.negative_sampler import NegativeSampler, sampling_weights
from tfrs_gru4rec.sampling.protocol import Sampler, require_sampler

__all__ = [
    "NegativeSampler",
    "Sampler",
    "alias_table",
    "log_correction",
    "log_counts",
    "negative_mask",
    "require_sampler",
    "sampling_weights",
]
