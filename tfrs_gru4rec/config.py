"""Every setting of the model and of its training, validated where it is made."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from tfrs_gru4rec.checks import require, require_at_least, require_fraction, require_one_of, require_positive

TIES = ("standard", "conservative", "median")
LOSSES = ("cross-entropy", "bpr-max", "top1-max", "bpr", "top1")
NEW_ITEM_ROWS = ("initial", "neighbours")

_Config = TypeVar("_Config", bound="_DictRoundTrip")


class _DictRoundTrip:
    """to_dict and from_dict for the config dataclasses of this module."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain values that JSON can hold."""
        settings = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}

    @classmethod
    def from_dict(cls: type[_Config], settings: Mapping[str, Any]) -> _Config:
        """Builds a config from what `to_dict` returned.

        Raises:
          ValueError: a name is no setting, or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in settings:
            require_one_of(known, **{f"a setting of {cls.__name__}": name})
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()})


@dataclasses.dataclass(frozen=True)
class GRU4RecConfig(_DictRoundTrip):
    """What the model is: its shape, its loss and its negative samples.

    Attributes:
      layers: units of each GRU layer, first to last; each above 0.
      loss: one of "cross-entropy", "bpr-max", "top1-max", "bpr", "top1".
      final_act: activation of the scores before the loss: "linear", "relu", "tanh", "selu", "elu-<alpha>" or
        "leaky-<alpha>".
      constrained_embedding: the input looks up the rows of the output weights (a shared embedding).
      embedding: width of a separate input embedding; 0 together with `constrained_embedding=False` means no
        embedding: the first layer's input weights are looked up by item (one-hot input).
      reset_after: apply the GRU's reset gate after the recurrent product, with a second bias, as other frameworks'
        GRUs do; by default before it, as in the first GRU paper.
      dropout_p_embed: share of the input embedding's values dropped in training, in [0, 1).
      dropout_p_hidden: share of every GRU layer's output values dropped in training, in [0, 1). The dropped-out value
        is also the state that is carried to the next event.
      n_sample: additional negatives a step, shared by its lanes; 0 leaves only the other lanes' targets.
      sample_alpha: additional negatives are drawn with probability proportional to count ** sample_alpha: 0 is
        uniform, 1 is by popularity.
      remove_accidental_hits: a negative equal to a lane's own target does not count for that lane.
      bpreg: strength of BPR-max's score regulariser (bpr-max only).
      logq: strength of the correction for the sampling distribution, in [0, 1] (cross-entropy only).
      smoothing: label smoothing, in [0, 1) (cross-entropy only).
      l2: L2 penalty on the weights that a step touches: adds l2 / 2 times their squared sum to the loss.
      seed: of initial values, negative samples and dropout.
    """

    layers: tuple[int, ...] = (100,)
    loss: str = "cross-entropy"
    final_act: str = "linear"
    constrained_embedding: bool = True
    embedding: int = 0
    reset_after: bool = False
    dropout_p_embed: float = 0.0
    dropout_p_hidden: float = 0.0
    n_sample: int = 2048
    sample_alpha: float = 0.5
    remove_accidental_hits: bool = False
    bpreg: float = 1.0
    logq: float = 0.0
    smoothing: float = 0.0
    l2: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks every setting.

        Raises:
          ValueError: a value is out of its range, or two contradict each other.
        """
        require(len(self.layers) > 0, "layers must name at least one GRU layer.", layers=self.layers)
        require(all(units > 0 for units in self.layers), "Every layer must have units.", layers=self.layers)
        require_one_of(LOSSES, loss=self.loss)
        require_fraction(
            dropout_p_embed=self.dropout_p_embed,
            dropout_p_hidden=self.dropout_p_hidden,
            smoothing=self.smoothing,
        )
        require_at_least(0, n_sample=self.n_sample, embedding=self.embedding, sample_alpha=self.sample_alpha)
        require_at_least(0, bpreg=self.bpreg, logq=self.logq, l2=self.l2)
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
class TrainingConfig(_DictRoundTrip):
    """How the model is trained.

    Attributes:
      batch_size: lanes, that is sessions trained in parallel.
      n_epochs: passes over all pairs of the log.
      optimizer: "adagrad" (Adagrad with momentum, as the papers train), or the name of any Keras optimizer.
      learning_rate: step size.
      momentum: of "adagrad", and of Keras optimizers that have one; in [0, 1).
      clip_norm: largest norm of all gradients together, 0 for no clipping.
      train_random_order: visit the sessions in a new random order each epoch instead of by time.
      optimizer_parameters: further arguments of the optimizer by name, such as {"beta_1": 0.8} for "adam".
    """

    batch_size: int = 64
    n_epochs: int = 10
    optimizer: str = "adagrad"
    learning_rate: float = 0.05
    momentum: float = 0.0
    clip_norm: float = 0.0
    train_random_order: bool = False
    optimizer_parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every setting.

        Raises:
          ValueError: a value is out of its range.
        """
        require_positive(batch_size=self.batch_size, n_epochs=self.n_epochs, learning_rate=self.learning_rate)
        require_fraction(momentum=self.momentum)
        require_at_least(0, clip_norm=self.clip_norm)


@dataclasses.dataclass(frozen=True)
class CheckpointConfig(_DictRoundTrip):
    """When a run is saved beside the end of every epoch, and how much is kept.

    Attributes:
      checkpoint_steps: steps between checkpoints within an epoch; 0: none by steps.
      checkpoint_minutes: minutes between checkpoints within an epoch; 0: none by time.
      keep_checkpoints: how many of the newest checkpoints are kept.
    """

    checkpoint_steps: int = 0
    checkpoint_minutes: float = 0.0
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        """Checks every setting.

        Raises:
          ValueError: a value is out of its range.
        """
        require_at_least(
            0, checkpoint_steps=self.checkpoint_steps, checkpoint_minutes=self.checkpoint_minutes
        )
        require_positive(keep_checkpoints=self.keep_checkpoints)


@dataclasses.dataclass(frozen=True)
class WarmStartConfig(_DictRoundTrip):
    """How training goes on from an old model with a new log.

    Attributes:
      new_item_rows: first values of items that the old model lacks: "initial", as in a new model, or "neighbours", the
        mean of the known items next to them in the new log's sessions.
      reset_optimizer: start with new optimizer slots instead of carrying them over.
      retire_after_days: drop items that the new log lacks and whose last event lies longer before its end; 0 keeps all.
      count_decay: weight of the old counts beside those of the new log; negatives are drawn by both. In [0, 1].
      ticks_per_second: unit of the logs' times: 1 for seconds, 1000 for milliseconds.
    """

    new_item_rows: str = "initial"
    reset_optimizer: bool = False
    retire_after_days: float = 0.0
    count_decay: float = 0.0
    ticks_per_second: float = 1.0

    def __post_init__(self) -> None:
        """Checks every setting.

        Raises:
          ValueError: a value is out of its range.
        """
        require_one_of(NEW_ITEM_ROWS, new_item_rows=self.new_item_rows)
        require_at_least(0, retire_after_days=self.retire_after_days)
        require(0 <= self.count_decay <= 1, "count_decay must lie in [0, 1].", count_decay=self.count_decay)
        require_positive(ticks_per_second=self.ticks_per_second)
