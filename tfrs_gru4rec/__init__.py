"""Session-based recommendation for TensorFlow Recommenders: GRU4Rec from click log to live serving.

The public names load on first use, so that importing the package costs nothing and needs no TensorFlow::

    import tfrs_gru4rec as g4r

    log = g4r.SessionLog.from_file("train.tsv.gz")
    model = g4r.GRU4Rec(log.vocabulary, g4r.GRU4RecConfig(layers=(100,), loss="bpr-max"))
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfrs_gru4rec import losses as losses
    from tfrs_gru4rec import metrics as metrics
    from tfrs_gru4rec import sampling as sampling
    from tfrs_gru4rec.config import GRU4RecConfig as GRU4RecConfig
    from tfrs_gru4rec.config import TrainingConfig as TrainingConfig
    from tfrs_gru4rec.evaluation.evaluate import evaluate as evaluate
    from tfrs_gru4rec.export.saved_model import export_saved_model as export_saved_model
    from tfrs_gru4rec.layers.gru_tower import GRULayer as GRULayer
    from tfrs_gru4rec.models import GRU4Rec as GRU4Rec
    from tfrs_gru4rec.models.recommend import recommend as recommend
    from tfrs_gru4rec.models.weight_exchange import export_weights as export_weights
    from tfrs_gru4rec.models.weight_exchange import import_weights as import_weights
    from tfrs_gru4rec.optimizers import AdagradMomentum as AdagradMomentum
    from tfrs_gru4rec.pipelines.session_log import SessionLog as SessionLog
    from tfrs_gru4rec.pipelines.session_parallel import SessionBatch as SessionBatch
    from tfrs_gru4rec.pipelines.session_parallel import session_parallel as session_parallel
    from tfrs_gru4rec.pipelines.vocabulary import Vocabulary as Vocabulary
    from tfrs_gru4rec.training.fit import fit as fit
    from tfrs_gru4rec.training.model_folder import ModelFolder as ModelFolder
    from tfrs_gru4rec.training.model_folder import load_model as load_model
    from tfrs_gru4rec.tuning import SearchSpace as SearchSpace
    from tfrs_gru4rec.tuning import tune as tune

__version__ = "0.1.0"

# Has to be set before tf.keras is first touched, so here and not only where Keras is imported; see _keras.py.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_ROOMS = ("losses", "metrics", "sampling")
_HOMES = {
    "AdagradMomentum": "tfrs_gru4rec.optimizers",
    "GRU4Rec": "tfrs_gru4rec.models",
    "GRU4RecConfig": "tfrs_gru4rec.config",
    "GRULayer": "tfrs_gru4rec.layers.gru_tower",
    "ModelFolder": "tfrs_gru4rec.training.model_folder",
    "SearchSpace": "tfrs_gru4rec.tuning",
    "SessionBatch": "tfrs_gru4rec.pipelines.session_parallel",
    "SessionLog": "tfrs_gru4rec.pipelines.session_log",
    "TrainingConfig": "tfrs_gru4rec.config",
    "Vocabulary": "tfrs_gru4rec.pipelines.vocabulary",
    "evaluate": "tfrs_gru4rec.evaluation.evaluate",
    "export_saved_model": "tfrs_gru4rec.export.saved_model",
    "export_weights": "tfrs_gru4rec.models.weight_exchange",
    "fit": "tfrs_gru4rec.training.fit",
    "import_weights": "tfrs_gru4rec.models.weight_exchange",
    "load_model": "tfrs_gru4rec.training.model_folder",
    "recommend": "tfrs_gru4rec.models.recommend",
    "session_parallel": "tfrs_gru4rec.pipelines.session_parallel",
    "tune": "tfrs_gru4rec.tuning",
}

__all__ = sorted([*_HOMES, *_ROOMS])

if not TYPE_CHECKING:  # a type checker would take any name at all for a public one

    def __getattr__(name):
        if name in _ROOMS:
            return importlib.import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value  # found without __getattr__ from now on
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
