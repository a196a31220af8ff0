"""From scores to the target's rank under a stated tie rule, and from ranks to recall and MRR at k."""

from tfrs_gru4rec.config import TIES
from tfrs_gru4rec.metrics.at_k import MRR, Recall
from tfrs_gru4rec.metrics.blocks import block_rows, ranks_in_blocks
from tfrs_gru4rec.metrics.ranked_pairs import RankedPairs
from tfrs_gru4rec.metrics.ranks import ranks

__all__ = ["MRR", "TIES", "RankedPairs", "Recall", "block_rows", "ranks", "ranks_in_blocks"]
