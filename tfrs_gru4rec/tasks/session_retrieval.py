"""The retrieval task of session-parallel training: score the step's candidates, take the loss of the live lanes."""

from tfrs_gru4rec._keras import tfrs  # isort: skip
import tensorflow as tf

from tfrs_gru4rec import losses
from tfrs_gru4rec.checks import require_at_least
from tfrs_gru4rec.losses import activations, candidates


class SessionRetrieval(tfrs.tasks.Retrieval):
    """A `tfrs.tasks.Retrieval` with item biases, a final activation, masked lanes and the papers' losses.

    Candidates are the targets of all lanes, in lane order, then any extra negatives: the target of lane i is column i.

    >>> task = SessionRetrieval("cross-entropy")
    >>> queries, candidates = tf.constant([[1.0], [0.0]]), tf.constant([[2.0], [0.0]])
    >>> loss = task(queries, candidates)  # lane 0: log(1 + exp(-2)); lane 1 is undecided: log 2
    >>> round(float(loss), 4)  # (0.1269 + 0.6931) / 2
    0.41
    """

    def __init__(
        self,
        loss: str = "cross-entropy",
        final_act: str = "linear",
        n_hard_negatives: int = 0,
        **loss_parameters: float,
    ) -> None:
        """Creates the task.

        Args:
          loss: one of `tfrs_gru4rec.losses.NAMES`.
          final_act: activation of the scores, see `tfrs_gru4rec.losses.activations`.
          n_hard_negatives: of a row's negatives the loss sees so many, those with the highest scores; 0: all.
          **loss_parameters: of the loss, such as `bpreg` or `smoothing`.

        Raises:
          ValueError: a name is unknown, the loss lacks a parameter, or n_hard_negatives is below 0.
        """
        require_at_least(0, n_hard_negatives=n_hard_negatives)
        super().__init__(loss=losses.get(loss, **loss_parameters), name="session_retrieval")
        self._final_activation = activations.get(final_act)
        self._n_hard_negatives = n_hard_negatives
        self.built = True

    def call(
        self,
        query_embeddings: tf.Tensor,
        candidate_embeddings: tf.Tensor,
        candidate_biases: tf.Tensor | None = None,
        sample_weight: tf.Tensor | None = None,
        score_mask: tf.Tensor | None = None,
        log_correction: tf.Tensor | None = None,
        places: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Computes the loss of one step.

        With f the final activation, the scores are s_ij = f(h_i · W_j + b_j) − log_correction_j.

        Args:
          query_embeddings: [batch_size, units], the GRU's output h of each lane.
          candidate_embeddings: [n_candidates, units], the items' weights W, n_candidates ≥ batch_size; [n, units]
            with `places`.
          candidate_biases: [n_candidates], the items' biases b; [n] with `places`.
          sample_weight: [batch_size], 1.0 for a live lane and 0.0 for an empty one.
          score_mask: bool, broadcastable to [batch_size, n_candidates]: False where a column is no negative for a row.
          log_correction: [n_candidates], the logQ term to subtract.
          places: int32 [n_candidates], where each candidate stands among the n embeddings and biases. Equal candidates
            may share one, and then a gradient. None: candidate j stands at j.

        Returns:
          Scalar: the sum over rows divided by the nominal batch_size, empty lanes included in the divisor.
        """
        scores = tf.matmul(candidate_embeddings, query_embeddings, transpose_b=True)
        if candidate_biases is not None:
            scores += candidate_biases[:, tf.newaxis]
        if places is not None:
            scores = tf.gather(scores, places)
        scores = self._final_activation(scores)
        if log_correction is not None:
            scores -= log_correction[:, tf.newaxis]
        # The loss turns them back: candidates first is the quicker order, see `losses.candidates`.
        scores = tf.transpose(scores)
        if self._n_hard_negatives:
            score_mask = candidates.hardest_negatives(scores, score_mask, self._n_hard_negatives)
        row_losses = self._loss(scores, score_mask)
        if sample_weight is not None:
            # where, not a product: an empty lane's loss may be anything, and 0 * inf is NaN.
            row_losses = tf.where(sample_weight > 0, row_losses * sample_weight, 0.0)
        return tf.reduce_sum(row_losses) / tf.cast(tf.shape(query_embeddings)[0], row_losses.dtype)
