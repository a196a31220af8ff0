"""The search for good settings: what is tried, one trial, and the study of many."""

try:
    import optuna as _optuna
except ImportError as error:
    raise ImportError("Tuning needs Optuna: pip install 'tfrs_gru4rec[tune]'.") from error

from tfrs_gru4rec.tuning.space import SearchSpace
from tfrs_gru4rec.tuning.study import Tuned, tune

_optuna.logging.set_verbosity(_optuna.logging.WARNING)  # progress is reported here, once

__all__ = ["SearchSpace", "Tuned", "tune"]
