"""Training, checkpoints and evaluation."""

from tfrs_gru4rec.evaluation.evaluate import evaluate
from tfrs_gru4rec.metrics.figures import Evaluation
from tfrs_gru4rec.training.fit import fit
from tfrs_gru4rec.training.model_folder import ModelFolder, load_model

__all__ = ["Evaluation", "ModelFolder", "evaluate", "fit", "load_model"]
