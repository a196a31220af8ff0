"""Simple recommenders trained on the same log and measured by the same protocol as the model. Pure NumPy."""

from tfrs_gru4rec.neighbours.compare import baseline_evaluations, evaluate_baselines
from tfrs_gru4rec.neighbours.next_clicks import TestPairs, test_pairs
from tfrs_gru4rec.neighbours.popularity import Popularity
from tfrs_gru4rec.neighbours.session_knn import SessionKNN
from tfrs_gru4rec.neighbours.transitions import Transitions

__all__ = [
    "Popularity",
    "SessionKNN",
    "TestPairs",
    "Transitions",
    "baseline_evaluations",
    "evaluate_baselines",
    "test_pairs",
]
