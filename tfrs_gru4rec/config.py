"""Every setting of the model, its training and its use, with its default; checked where it is made."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.settings import OneOf, Range, Settings

FUSIONS = ("none", "rules", "knn", "both", "neighbours", "auto")
TIES = ("standard", "conservative", "median")
LOSSES = ("cross-entropy", "bpr-max", "top1-max", "bpr", "top1")
NEW_ITEM_ROWS = ("initial", "neighbours")
FIRST_VECTORS = ("random", "co-occurrence")
SEARCHES = ("auto", "plain", "cells")
ITEM_TYPES = ("auto", "string", "integer")
_SHARE = 0.1  # of a validation by valid_auto
# Below, the last tenth would hold fewer than 10 sessions or 300 clicks: too few to choose an epoch or weights by.
_FEWEST_SESSIONS, _FEWEST_CLICKS = 100, 3000

_Count = Annotated[int, Range(at_least=0)]
_PositiveCount = Annotated[int, Range(above=0)]
_Positive = Annotated[float, Range(above=0)]
_NotNegative = Annotated[float, Range(at_least=0)]
_Fraction = Annotated[float, Range(at_least=0, below=1)]
_Share = Annotated[float, Range(at_least=0, at_most=1)]


@dataclasses.dataclass(frozen=True)
class GRU4RecConfig(Settings):
    """What the model is: its shape, its loss and its negative samples.

    >>> GRU4RecConfig(layers=(64, 32), loss="bpr-max").n_sample
    2048
    >>> GRU4RecConfig(dropout_p_embed=1.0)
    Traceback (most recent call last):
    ValueError: dropout_p_embed must be at least 0 and below 1. Received: dropout_p_embed=1.0.

    Attributes:
      layers: units of each GRU layer, first to last.
      loss: what training makes small; "cross-entropy" and "bpr-max" are those of the published recipes.
      final_act: activation of the scores before the loss: "linear", "relu", "tanh", "selu", "elu-<alpha>" or
        "leaky-<alpha>".
      constrained_embedding: the input looks up the rows of the output weights (a shared embedding).
      embedding: width of a separate input embedding; 0 together with `constrained_embedding=False` means no
        embedding: the first layer's input weights are looked up by item (one-hot input).
      reset_after: apply the GRU's reset gate after the recurrent product, with a second bias, as other frameworks'
        GRUs do; by default before it, as in the first GRU paper.
      dropout_p_embed: share of the input embedding's values dropped in training.
      dropout_p_hidden: share of every GRU layer's output values dropped in training. The dropped-out value is also the
        state that is carried to the next event.
      n_sample: additional negatives a step, shared by its lanes; 0 leaves only the other lanes' targets.
      sample_alpha: additional negatives are drawn with probability proportional to count ** sample_alpha: 0 is
        uniform, 1 is by popularity.
      remove_accidental_hits: a negative equal to a lane's own target does not count for that lane.
      n_hard_negatives: of a lane's negatives about so many, those with the highest scores, take part in the loss
        (arXiv 2307.14906); 0: all.
      bpreg: strength of BPR-max's score regulariser (bpr-max only).
      logq: strength of the correction for the sampling distribution; 1 corrects in full (cross-entropy only).
      smoothing: label smoothing (cross-entropy only).
      l2: L2 penalty on the weights that a step touches: adds l2 / 2 times their squared sum to the loss.
      seed: of initial values, negative samples and dropout.
    """

    layers: Annotated[tuple[int, ...], Range(above=0)] = (100,)
    loss: Annotated[str, OneOf(LOSSES)] = "cross-entropy"
    final_act: str = "linear"
    constrained_embedding: bool = True
    embedding: _Count = 0
    reset_after: bool = False
    dropout_p_embed: _Fraction = 0.0
    dropout_p_hidden: _Fraction = 0.0
    n_sample: _Count = 2048
    sample_alpha: _NotNegative = 0.5
    remove_accidental_hits: bool = False
    n_hard_negatives: _Count = 0
    bpreg: _NotNegative = 1.0
    logq: _NotNegative = 0.0
    smoothing: _Fraction = 0.0
    l2: _NotNegative = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.layers) > 0, "layers must name at least one GRU layer.", layers=self.layers)
        require(
            not (self.constrained_embedding and self.embedding),
            "A shared embedding is as wide as the last layer: give embedding=0, or constrained_embedding=False for a "
            "separate one.",
            embedding=self.embedding,
        )
        require(
            self.loss == "cross-entropy" or (self.logq == 0 and self.smoothing == 0),
            "logq and smoothing are for loss='cross-entropy' only: give 0 for both (a recipe may have set them).",
            loss=self.loss,
            logq=self.logq,
            smoothing=self.smoothing,
        )


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the model is trained.

    >>> TrainingConfig(n_epochs=3).to_dict()["learning_rate"]
    0.05

    Attributes:
      batch_size: lanes, that is sessions trained in parallel.
      n_epochs: passes over all pairs of the log; 0: none, the model stays as it starts.
      optimizer: "adagrad" (Adagrad with momentum, as the papers train), or the name of any Keras optimizer.
      learning_rate: step size.
      momentum: of "adagrad", and of Keras optimizers that have one.
      clip_norm: largest norm of all gradients together, 0 for no clipping.
      train_random_order: visit the sessions in a new random order each epoch instead of by time.
      optimizer_parameters: further arguments of the optimizer by name, such as {"beta_1": 0.8} for "adam".
      first_vectors: what the items' vectors begin with: random numbers, as the papers have it, or what a factorisation
        of the items' co-occurrence in the log's sessions gives, from which fewer epochs are needed.
      exchange_steps: of several workers (TF_CONFIG) or replicas, how many steps each trains by itself between two
        exchanges; 1: gradients are exchanged at every step, which equals one process.
    """

    batch_size: _PositiveCount = 64
    n_epochs: _Count = 10
    optimizer: str = "adagrad"
    learning_rate: _Positive = 0.05
    momentum: _Fraction = 0.0
    clip_norm: _NotNegative = 0.0
    train_random_order: bool = False
    optimizer_parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    first_vectors: Annotated[str, OneOf(FIRST_VECTORS)] = "random"
    exchange_steps: _PositiveCount = 1


@dataclasses.dataclass(frozen=True)
class ValidationConfig(Settings):
    """Which sessions the best epoch is chosen by: none, or those of a file, a split, the last days or the last share.

    >>> ValidationConfig(valid_days=7, valid_share=0.1)
    Traceback (most recent call last):
    ValueError: Give one source of validation at most. Received: valid_days=7, valid_share=0.1.

    Attributes:
      valid_path: validation log: TSV, CSV or Parquet, also gzipped.
      valid_split: split of the data set to validate on, such as "valid" beside --train_split=train_tr.
      valid_days: validate on the sessions that start in the last so many days of the training log.
      valid_share: validate on this share of the training log's sessions, the last to start.
      valid_auto: without any of these, validate on the last tenth of the training log's sessions, if it has 100
        sessions or more, and 3,000 clicks or more after the first one of their sessions.
      valid_clicks: measure each epoch on so many clicks of the validation at most, of sessions drawn by the seed, and
        the best one on all in the end; 0: all each time. On Diginetica 10,000 take 3 to 15 % of the time of an epoch,
        where all take 18 to 84 %, and the epoch that they choose is .0006 in recall@20 below the best, in the mean.
      early_stop_epochs: end training when the best epoch, by recall@20 in validation, lies so many epochs back; 0:
        train all. In either case the best one is kept.
      refit: train again, as many epochs as were best, on all sessions, those of the validation too.
      fusion: neighbours whose word is added to the model's scores, by weights learned in validation: sequential rules,
        item kNN, both, or what wins there (auto). With neighbours, both and popularity stand in the place of the GRU,
        which is not trained.
      rerank: with a fusion, learn in validation a small network that puts the best 100 items into a better order, and
        keep it where it wins there. A served click takes a little longer with it.
    """

    valid_path: Path | None = None
    valid_split: str = ""
    valid_days: _NotNegative = 0.0
    valid_share: Annotated[float, Range(at_least=0, below=1)] = 0.0
    valid_auto: bool = False
    valid_clicks: _Count = 10_000
    early_stop_epochs: _Count = 0
    refit: bool = False
    fusion: Annotated[str, OneOf(FUSIONS)] = "none"
    rerank: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("valid_path", "valid_split", "valid_days", "valid_share")
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        require(len(given) < 2, "Give one source of validation at most.", **given)
        asked = {
            name: getattr(self, name)
            for name in ("valid_clicks", "early_stop_epochs", "refit", "fusion")
            if getattr(self, name) != getattr(type(self), name)
        }
        require(
            bool(given) or self.valid_auto or not asked,
            "Measuring, early stopping, refit and fusion need validation: valid_path, valid_split, valid_days or "
            "valid_share.",
            **asked,
        )

    def of(self, n_sessions: int, n_events: int) -> "ValidationConfig":
        """Returns what is meant for a training log of so many sessions and events, with `valid_auto` decided.

        >>> ValidationConfig(valid_auto=True, refit=True).of(1000, 4000).source
        "the last 0.1 of the training log's sessions"
        >>> ValidationConfig(valid_auto=True, refit=True).of(1000, 3999) == ValidationConfig()
        True
        """
        if not self.valid_auto or self.source:
            return self
        is_small = n_sessions < _FEWEST_SESSIONS or n_events - n_sessions < _FEWEST_CLICKS
        if is_small and self.fusion != "neighbours":
            return ValidationConfig()
        return dataclasses.replace(self, valid_share=_SHARE)

    @property
    def source(self) -> str:
        """The validation sessions in words; empty if there are none."""
        if self.valid_days:
            return f"the last {self.valid_days:g} days of the training log"
        if self.valid_share:
            return f"the last {self.valid_share:.4g} of the training log's sessions"
        return f"split {self.valid_split}" if self.valid_split else str(self.valid_path or "")


@dataclasses.dataclass(frozen=True)
class CheckpointConfig(Settings):
    """When a run is saved beside the end of every epoch, and how much is kept.

    Attributes:
      checkpoint_steps: steps between checkpoints within an epoch; 0: none by steps.
      checkpoint_minutes: minutes between checkpoints within an epoch; 0: none by time.
      keep_checkpoints: how many of the newest checkpoints are kept.
    """

    checkpoint_steps: _Count = 0
    checkpoint_minutes: _NotNegative = 0.0
    keep_checkpoints: _PositiveCount = 2


@dataclasses.dataclass(frozen=True)
class WarmStartConfig(Settings):
    """How training goes on from an old model with a new log.

    Attributes:
      new_item_rows: first values of items that the old model lacks: "initial", as in a new model, or "neighbours", the
        mean of the known items next to them in the new log's sessions.
      reset_optimizer: start with new optimizer slots instead of carrying them over.
      retire_after_days: drop items that the new log lacks and whose last event lies longer before its end; 0 keeps all.
      count_decay: weight of the old counts beside those of the new log; negatives are drawn by both.
      neighbour_decay: weight of what the old model's neighbours have counted beside the new log.
      ticks_per_second: unit of the logs' times: 1 for seconds, 1000 for milliseconds.
    """

    new_item_rows: Annotated[str, OneOf(NEW_ITEM_ROWS)] = "initial"
    reset_optimizer: bool = False
    retire_after_days: _NotNegative = 0.0
    count_decay: _Share = 0.0
    neighbour_decay: _Share = 0.98
    ticks_per_second: _Positive = 1.0


@dataclasses.dataclass(frozen=True)
class DailyConfig(Settings):
    """Where a model is kept current day by day, and when a day's model is exported.

    >>> DailyConfig(Path("logs"), Path("daily"), Path("exports/shop")).margin
    0.01

    Attributes:
      days_dir: folder of the daily logs.
      work_dir: folder for the ledger, the plot and the days' models.
      export_dir: folder of the versions, which a server watches.
      margin: export unless recall@20 is lower than the serving model's by more than this, in absolute terms.
      warm_start_from: folder of a model that the first day goes on from; without it the first day starts from nothing.
      first_epochs: epochs of a first day that starts from nothing; 0: as many as of every other day.
      train_every: of how many days the GRU is trained on one, the first; 0: on none but a first day that starts from
        nothing. On the others it takes in new items, and only the neighbours of its fusion learn.
      keep_days: newest days whose folders in work_dir are kept; 0: all. Those of the first and of the serving day stay.
    """

    days_dir: Path
    work_dir: Path
    export_dir: Path
    margin: _Share = 0.01
    warm_start_from: Path | None = None
    first_epochs: _Count = 0
    train_every: _Count = 1
    keep_days: _Count = 0


@dataclasses.dataclass(frozen=True)
class ColumnConfig(Settings):
    """What the columns of a log are called, and what the ids of its items are.

    Attributes:
      session_key: column of session ids.
      item_key: column of item ids.
      time_key: column of event times: numbers, or ISO dates.
      item_type: what item ids are to a model and its clients; by default integers if all of a log are, or as those of
        the older model or the export folder that is gone on from. A log with other ids is refused.
    """

    session_key: str = "SessionId"
    item_key: str = "ItemId"
    time_key: str = "Time"
    item_type: Annotated[str, OneOf(ITEM_TYPES)] = "auto"


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Settings):
    """What is measured on a test log.

    Attributes:
      k: list lengths of recall@k and MRR@k.
      tie: rank of the true next item among equal scores: before them all, after them all, or in their middle.
      lanes: test sessions followed at a time.
    """

    k: Annotated[tuple[int, ...], Range(above=0)] = (1, 5, 10, 20)
    tie: Annotated[str, OneOf(TIES)] = "standard"
    lanes: _PositiveCount = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.k) > 0, "k must hold at least one list length.", k=self.k)


@dataclasses.dataclass(frozen=True)
class RecommendConfig(Settings):
    """What is recommended after a session.

    Attributes:
      top_k: items to recommend.
      exclude_seen: leave out items of the session itself.
    """

    top_k: _PositiveCount = 10
    exclude_seen: bool = False


@dataclasses.dataclass(frozen=True)
class ExportConfig(Settings):
    """What an exported model answers and remembers.

    >>> ExportConfig(top_k=5).max_sessions
    1000000

    Attributes:
      top_k: items in a recommendation.
      max_sessions: live sessions to hold; give about twice as many as are live at a time, and practically none has to
        go early.
      idle_seconds: a session that has not been used for so long is forgotten.
      exclude_seen: recommend no item among the session's latest 50.
      keep_versions: versions that stay in the folder, the largest; older ones are removed, but for one that
        gru4rec-serve serves on this machine. None: all stay. Beside TensorFlow Serving, keep at least 2.
      top_k_search: how the best items are found: by the product with all items (plain), by cells of near items, of
        which few are read (cells, more memory), or what is measured to be faster, from 100,000 items on (auto).
      approximate_recall: below 1, cells may miss items: this share of the best must be found, on average. 1: answers
        are those of the product.
    """

    top_k: _PositiveCount = 20
    max_sessions: _PositiveCount = 1_000_000
    idle_seconds: _Positive = 1800.0
    exclude_seen: bool = False
    keep_versions: Annotated[int | None, Range(at_least=1)] = None
    top_k_search: Annotated[str, OneOf(SEARCHES)] = "auto"
    approximate_recall: Annotated[float, Range(above=0, at_most=1)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.top_k_search != "plain" or self.approximate_recall == 1,
            "The plain product is exact: give approximate_recall=1, or another top_k_search.",
            approximate_recall=self.approximate_recall,
        )
