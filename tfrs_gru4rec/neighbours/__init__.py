"""Simple recommenders that learn from the same log as the model and are measured in the same way."""

from tfrs_gru4rec.neighbours.baseline import Baseline
from tfrs_gru4rec.neighbours.compare import evaluate_baselines
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.neighbours.item_knn import ItemKNN
from tfrs_gru4rec.neighbours.next_clicks import NextClicks
from tfrs_gru4rec.neighbours.popularity import Popularity
from tfrs_gru4rec.neighbours.sequential_rules import SequentialRules
from tfrs_gru4rec.neighbours.session_knn import SessionKNN
from tfrs_gru4rec.neighbours.transitions import Transitions
from tfrs_gru4rec.neighbours.vstan import VSTAN

__all__ = [
    "VSTAN",
    "Baseline",
    "Fusion",
    "ItemKNN",
    "NextClicks",
    "Popularity",
    "SequentialRules",
    "SessionKNN",
    "Transitions",
    "evaluate_baselines",
]
