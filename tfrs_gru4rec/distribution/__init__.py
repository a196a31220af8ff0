"""Training by several replicas under `tf.distribute`: what they tell each other, and how workers find each other."""

from tfrs_gru4rec.distribution.replicas import Replicas
from tfrs_gru4rec.distribution.workers import Workers

__all__ = ["Replicas", "Workers"]
