"""The candidates of a training step: the targets of all lanes, then extra negatives, and which of them count."""

import numpy as np
import tensorflow as tf

from tfrs_gru4rec import sampling
from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch


class Candidates:
    """Draws the negatives of a step and says how they count.

    A step has n_candidates = lanes + n_sample columns to score; the target of lane i is column i.
    """

    def __init__(self, sampler: sampling.Sampler, counts: np.ndarray, config: GRU4RecConfig) -> None:
        """Keeps what the draws need: the sampler, the items' events int [n_items] in training, and the settings."""
        self._sampler = sampler
        self._config = config
        self._log_counts = tf.constant(sampling.log_counts(counts)) if config.logq else None

    def rows(self, step: SessionBatch, seed: tf.Tensor) -> tf.Tensor:
        """Returns the rows of the candidates, int32 [n_candidates]; the extra ones are a function of the seed."""
        if not self._config.n_sample:
            return step.target_rows
        return tf.concat([step.target_rows, self._sampler.sample(self._config.n_sample, seed)], axis=0)

    def rows_of_block(self, block: SessionBatch, seed: tf.Tensor) -> tf.Tensor:
        """Returns the rows of the candidates of all steps, int32 [block_steps, n_candidates].

        The seed is that of the first step. Drawn one step after the other, the sampler's table stays in the cache: for
        2,048 negatives and 43,000 items 5 µs a step, where a draw between two steps takes 34.
        """
        if not self._config.n_sample:
            return block.target_rows

        def draw(number: tf.Tensor) -> tf.Tensor:
            step_seed = seed + tf.stack([0, tf.cast(number, seed.dtype)])
            return self._sampler.sample(self._config.n_sample, step_seed)

        # Joined with the targets afterwards: XLA would join within the loop that draws, and not vectorise it.
        spec = tf.TensorSpec([self._config.n_sample], tf.int32)
        negatives = tf.map_fn(draw, tf.range(tf.shape(block.is_live)[0]), fn_output_signature=spec)
        return tf.concat([block.target_rows, negatives], axis=1)

    def has_negatives(self, step: SessionBatch) -> tf.Tensor:
        """Returns a bool scalar: whether a live lane has a candidate beside its own target."""
        n_live = tf.math.count_nonzero(step.is_live)
        return n_live >= (1 if self._config.n_sample else 2)

    def negatives(self, step: SessionBatch, rows: tf.Tensor) -> tf.Tensor:
        """Returns bool [1 or lanes, n_candidates], False where a column is no negative of a row.

        The target of an empty lane is none, and with `remove_accidental_hits` neither is an equal item.
        """
        every_extra = tf.ones([self._config.n_sample], tf.bool)
        negatives = tf.concat([step.is_live, every_extra], axis=0)[tf.newaxis, :]
        if self._config.remove_accidental_hits:
            negatives &= sampling.negative_mask(step.target_rows, rows)
        return negatives

    def log_correction(self, step: SessionBatch, rows: tf.Tensor) -> tf.Tensor | None:
        """Returns the logQ term [n_candidates] to subtract from the scores, None if `logq` is 0."""
        if self._log_counts is None:
            return None
        n_targets = step.target_rows.shape[0]
        return sampling.log_correction(
            self._log_counts, rows[:n_targets], rows[n_targets:], self._config.sample_alpha, self._config.logq
        )
