"""From a model and a test log to ranks, figures, reports and plots."""

from tfrs_gru4rec.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
