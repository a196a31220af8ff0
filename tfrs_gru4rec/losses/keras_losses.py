"""The losses as Keras classes, for any `tfrs.tasks.Retrieval`."""

from typing import Any

import tensorflow as tf

from tfrs_gru4rec._keras import keras
from tfrs_gru4rec.checks import require_at_least, require_fraction
from tfrs_gru4rec.losses import activations, candidates, registry

# TFRS marks a candidate that it has ruled out (remove_accidental_hits, score_mask) by a score of about
# -3.4e36. Scores below this limit are taken for such marks.
RULED_OUT = -1e36


class _CandidateLoss(keras.losses.Loss):
    """A loss over the candidates of a batch.

    Called with y_true `[batch_size, n_candidates]`, one-hot, and y_pred of the same shape, the scores;
    `tfrs.tasks.Retrieval` passes just these, its hard negatives included. Candidates that Retrieval has
    ruled out are masked, so that its huge negative scores are not squared.
    """

    loss_name: str

    def __init__(
        self, final_act: str = "linear", reduction: str = "auto", name: str | None = None, **parameters: float
    ) -> None:
        """Takes the arguments of `CrossEntropy`, but for smoothing; the name is that of the loss if None."""
        super().__init__(reduction=reduction, name=name or self.loss_name.replace("-", "_"))
        self.final_act = final_act
        self._parameters = parameters
        self._activation = activations.get(final_act)
        self._function = registry.get(self.loss_name, **parameters)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, `[batch_size]`, before weights and reduction."""
        scores = candidates.as_scores(y_pred)
        # A NaN is not ruled out: it has to stay in sight and make the loss a NaN.
        mask = tf.logical_or(scores > RULED_OUT, tf.math.is_nan(scores))
        scores = self._activation(tf.where(mask, scores, tf.zeros_like(scores)))
        return self._function(scores, mask=mask, targets=tf.cast(y_true, tf.bool))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal loss."""
        return {**super().get_config(), "final_act": self.final_act, **self._parameters}


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class CrossEntropy(_CandidateLoss):
    """Cross-entropy over the candidates, see `tfrs_gru4rec.losses.cross_entropy`.

    >>> CrossEntropy()(y_true=[[1, 0]], y_pred=[[2.0, 2.0]]).numpy().round(4)  # ln 2
    np.float32(0.6931)
    """

    loss_name = "cross-entropy"

    def __init__(
        self,
        smoothing: float = 0.0,
        final_act: str = "linear",
        reduction: str = "auto",
        name: str = "cross_entropy",
    ) -> None:
        """Binds the loss to its parameters.

        Args:
          smoothing: share of the probability spread evenly over the live candidates, in [0, 1).
          final_act: applied to the scores first; see `activations.ALLOWED`.
          reduction: a `keras.losses.Reduction`.
          name: name of the loss.

        Raises:
          ValueError: a value is out of range.
        """
        require_fraction(smoothing=smoothing)
        super().__init__(final_act, reduction, name, smoothing=smoothing)


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class BPRMax(_CandidateLoss):
    """BPR-max with score regularisation, see `tfrs_gru4rec.losses.bpr_max`.

    >>> from tfrs_gru4rec._keras import tfrs
    >>> task = tfrs.tasks.Retrieval(loss=BPRMax(bpreg=0.5))
    >>> users, items = tf.constant([[2.0]]), tf.constant([[1.0], [1.0]])
    >>> task(users, items).numpy().round(4)  # both items score 2: ln 2 + 0.5 * 2^2
    np.float32(2.6931)
    """

    loss_name = "bpr-max"

    def __init__(
        self, bpreg: float = 1.0, final_act: str = "linear", reduction: str = "auto", name: str = "bpr_max"
    ) -> None:
        """Takes the weight of the score regularisation, at least 0; all else as `CrossEntropy`.

        Published recipes use the final activation elu-0.5 or elu-1.
        """
        require_at_least(0, bpreg=bpreg)
        super().__init__(final_act, reduction, name, bpreg=bpreg)


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class TOP1Max(_CandidateLoss):
    """TOP1-max, see `tfrs_gru4rec.losses.top1_max`.

    >>> TOP1Max()(y_true=[[1, 0]], y_pred=[[0.0, 0.0]]).numpy()  # sigmoid(0) + sigmoid(0)
    np.float32(1.0)
    """

    loss_name = "top1-max"


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class BPR(_CandidateLoss):
    """BPR, the mean over the negatives, see `tfrs_gru4rec.losses.bpr`.

    >>> BPR()(y_true=[[0, 1]], y_pred=[[3.0, 3.0]]).numpy().round(4)  # ln 2 for a tie, at any place
    np.float32(0.6931)
    """

    loss_name = "bpr"


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class TOP1(_CandidateLoss):
    """TOP1, the mean over the negatives, see `tfrs_gru4rec.losses.top1`.

    >>> TOP1(reduction="none")(y_true=[[1, 0]], y_pred=[[0.0, 0.0]]).numpy()
    array([1.], dtype=float32)
    """

    loss_name = "top1"
