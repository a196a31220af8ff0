"""Training a model on a log, in a folder that keeps its checkpoints."""

from tfrs_gru4rec.training.fit import fit
from tfrs_gru4rec.training.model_folder import ModelFolder, load_model

__all__ = ["ModelFolder", "fit", "load_model"]
