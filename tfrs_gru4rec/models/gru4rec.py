"""GRU4Rec as a TensorFlow Recommenders model."""

from collections.abc import Callable
from typing import Any

from tfrs_gru4rec._keras import keras, tfrs  # isort: skip
import tensorflow as tf

from tfrs_gru4rec import losses, sampling
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.layers import GRUTower, ItemEmbedding
from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.models.fused_step import FusedStep
from tfrs_gru4rec.models.lanes import LaneState
from tfrs_gru4rec.models.session_step import SessionStep, StepMasks
from tfrs_gru4rec.models.step_loop import in_blocks, is_block, step_loop
from tfrs_gru4rec.models.touched import Touched, by_table
from tfrs_gru4rec.optimizers import AdagradMomentum
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.tasks import SessionRetrieval

STEPS_PER_EXECUTION = 128
NO_STEP = -1
_VALIDATION_STREAM = 1 << 21


class GRU4Rec(tfrs.Model):
    """Predicts the next item of a session with a GRU whose state is carried click by click (arXiv 1511.06939).

    Train it on `session_parallel` batches with `compile` and `fit`; ask it with `step` and `scores`.

    Attributes:
      vocabulary: raw item ids and their rows.
      config: the hyperparameters.
      embedding: the items' weights.
      tower: the GRU layers.
      train_steps: int64 scalar, steps seen in training; with `config.seed` it determines every random draw.
      block_steps: the most steps in a block of data that `fit` takes, None if it takes single steps only; `compile`
        sets it.
      first_bad_step: int64 scalar, the first step whose loss was not finite, -1 if none; its update was not applied.
    """

    def __init__(self, vocabulary: Vocabulary, config: GRU4RecConfig | None = None) -> None:
        """Creates the weights.

        Args:
          vocabulary: of the training log.
          config: hyperparameters, `GRU4RecConfig()` if None.
        """
        super().__init__(name="gru4rec")
        config = config or GRU4RecConfig()
        self.vocabulary = vocabulary
        self.config = config
        self.embedding = ItemEmbedding(
            n_items=vocabulary.n_items,
            output_width=config.layers[-1],
            first_units=config.layers[0],
            shared=config.constrained_embedding,
            width=config.embedding,
            seed=config.seed,
        )
        input_width = None if self.embedding.looks_up_gates else int(self.embedding.input_table.shape[1])
        self.tower = GRUTower(
            config.layers, input_width, config.dropout_p_hidden, config.seed, config.reset_after
        )
        parameters = {name: getattr(config, name) for name in losses.parameter_names(config.loss)}
        self.task = SessionRetrieval(config.loss, config.final_act, **parameters)
        self.sampler = sampling.NegativeSampler(vocabulary.counts, config.sample_alpha)
        self.lanes = LaneState(self.tower)
        self.train_steps = tf.Variable(0, trainable=False, dtype=tf.int64, name="train_steps")
        self.first_bad_step = tf.Variable(NO_STEP, trainable=False, dtype=tf.int64, name="first_bad_step")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self._log_counts = tf.constant(sampling.log_counts(vocabulary.counts)) if config.logq else None
        self._session_step = SessionStep(self.tower, self.task, config.dropout_p_embed, config.l2)
        self._compile_step = True
        self._fused_step: FusedStep | None = None
        self.block_steps: int | None = None
        self._first_fit_step = 0
        self.built = True

    def compile(self, optimizer: Any = "adagrad", jit_compile: bool = True, **kwargs: Any) -> None:
        """Prepares training.

        Args:
          optimizer: a Keras optimizer; the papers train with `AdagradMomentum`.
          jit_compile: compile the arithmetic of a step with XLA: GRU, scores, loss and their gradients, and with a
            plain `AdagradMomentum` its update and the loop over the steps too.
          **kwargs: as for any Keras model. `steps_per_execution`, the steps run in one graph call, is 128 by default:
            callbacks see batches in groups of that size.
        """
        self._compile_step = jit_compile
        kwargs.setdefault("steps_per_execution", STEPS_PER_EXECUTION)
        super().compile(optimizer=optimizer, **kwargs)
        # Slots exist from now on, so that a checkpoint can be restored before the first step.
        self.optimizer.build(self.trainable_variables)
        self._fused_step = None
        if jit_compile and self._is_plain():
            self._fused_step = FusedStep(
                self._session_step,
                self.optimizer,
                self.tower.trainable_variables,
                self.embedding.trainable_variables,
            )
        self.block_steps = int(self._steps_per_execution.numpy()) if self._fused_step else None

    def _is_plain(self) -> bool:
        """Whether training is what one XLA program can hold: no rule, step or call that is another's."""
        is_ours = type(self.optimizer) is AdagradMomentum and type(self).train_step is GRU4Rec.train_step
        is_distributed = self._distribution_strategy is not None or tf.distribute.has_strategy()
        is_called_otherwise = is_distributed or self.run_eagerly or self.autotune_steps_per_execution
        return is_ours and self.optimizer.is_plain and not is_called_otherwise

    def make_train_function(self, force: bool = False) -> Callable:
        """Makes the loop over the steps of a graph call; as for any Keras model, but one XLA program for blocks."""
        known = getattr(self, "train_function", None)
        by_step = super().make_train_function(force)
        if self.block_steps is None or by_step is known:
            return by_step
        by_block = step_loop(self, self._fused_train_step, self.block_steps)

        def train_function(iterator: tf.data.Iterator) -> dict[str, tf.Tensor]:
            return (by_block if is_block(iterator.element_spec) else by_step)(iterator)

        self.train_function = train_function
        return train_function

    def fit(
        self,
        x: tf.data.Dataset,
        *args: Any,
        steps_per_epoch: int | None = None,
        initial_step: int = 0,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains; as `fit` of any Keras model.

        Args:
          x: steps of `session_parallel`; or, if `block_steps` is not None, blocks of at most that many steps, such that
            none reaches over the end of an epoch.
          *args: as for Keras.
          steps_per_epoch: steps, not blocks; needed with blocks.
          initial_step: steps of the first epoch that a resumed run has done already; the data must begin there too.
          **kwargs: as for Keras.

        Raises:
          ValueError: blocks without steps_per_epoch.
        """
        self._first_fit_step = initial_step
        if self.block_steps is not None and isinstance(x, tf.data.Dataset):
            # Keras leaves a smaller number there when a callback or an error ends a run.
            self._steps_per_execution.assign(self.block_steps)
            if is_block(x.element_spec):
                rule = "Blocks of steps need steps_per_epoch."
                require(steps_per_epoch is not None, rule, steps_per_epoch=steps_per_epoch)
            elif isinstance(x.element_spec, SessionBatch) and not initial_step:
                x, steps_per_epoch = in_blocks(x, self.block_steps, steps_per_epoch)
        return super().fit(x, *args, steps_per_epoch=steps_per_epoch, **kwargs)

    def _maybe_load_initial_counters_from_ckpt(
        self, steps_per_epoch: int, initial_epoch: int
    ) -> tuple[int, int]:
        # Keras asks here, when it starts to fit, at which epoch and step to begin.
        return initial_epoch, self._first_fit_step

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The mean loss of the epoch so far; Keras resets it between epochs."""
        return [self.loss_tracker]

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Returns the state before a session's first event: zeros [batch_size, units] for each layer."""
        return self.tower.initial_state(batch_size)

    def step(self, rows: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Follows sessions by one event each, without dropout.

        Args:
          rows: int32 [batch_size], vocabulary rows of the items clicked.
          state: of each layer, [batch_size, units].

        Returns:
          The query [batch_size, units of the last layer] and the next state.
        """
        return self.tower.step(self.embedding.look_up(rows), state)

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """Scores every item for each query, before the final activation.

        Every final activation rises with its argument, so the order is the same and ties are finer.

        Args:
          query: [batch_size, units of the last layer].

        Returns:
          [batch_size, n_items].
        """
        return self.embedding.scores(query)

    def call(self, item_rows: tf.Tensor) -> tf.Tensor:
        """Scores every item as the continuation of whole sessions.

        Args:
          item_rows: int32 [batch_size, length], vocabulary rows; -1 is skipped, so it pads on either side.

        Returns:
          [batch_size, n_items].
        """
        state = self.initial_state(tf.shape(item_rows)[0])
        query = tf.zeros_like(state[-1])
        for position in tf.range(tf.shape(item_rows)[1]):
            rows = item_rows[:, position]
            is_event = (rows >= 0)[:, tf.newaxis]
            next_query, next_state = self.step(tf.maximum(rows, 0), state)
            query = tf.where(is_event, next_query, query)
            state = tuple(tf.where(is_event, new, old) for new, old in zip(next_state, state, strict=True))
        return self.scores(query)

    def compute_loss(self, inputs: SessionBatch, training: bool = False) -> tf.Tensor:
        """Computes the loss of one step and carries the lanes' state; no weight changes.

        Args:
          inputs: one step of `session_parallel`.
          training: with dropout, and with the negatives of the next training step.

        Returns:
          Scalar loss.
        """
        seed = self._seed(training)
        touched, masks = self._prepare(inputs, seed)
        rows = [tf.gather(table, table_rows) for table, table_rows in touched]
        state = self.lanes.read(inputs.is_live.shape[0])
        loss, next_state = self._session_step.loss(rows, masks, state, seed if training else None)
        self.lanes.write(next_state)
        return loss

    def test_step(self, inputs: SessionBatch) -> dict[str, tf.Tensor]:
        """Adds one step to the validation loss: no dropout, and the same negatives at every validation."""
        loss = self.compute_loss(inputs, training=False)
        self.loss_tracker.update_state(loss, tf.cast(self._has_negatives(inputs), tf.float32))
        return {"loss": self.loss_tracker.result()}

    def train_step(self, inputs: SessionBatch) -> dict[str, tf.Tensor]:
        """Trains on one step.

        A step without a negative (fewer than two live lanes and no extra ones) is skipped. A step whose loss is not
        finite changes no weight and is remembered in `first_bad_step`.
        """
        return self._train_step(inputs, self._update)

    def _fused_train_step(self, inputs: SessionBatch) -> dict[str, tf.Tensor]:
        """As `train_step`, within XLA."""
        update = self._update if self._fused_step is None else self._fused_step.run
        return self._train_step(inputs, update)

    def _train_step(self, inputs: SessionBatch, update: Callable) -> dict[str, tf.Tensor]:
        seed = self._seed(training=True)
        touched, masks = self._prepare(inputs, seed)
        state = self.lanes.read(inputs.is_live.shape[0])
        counts = self._has_negatives(inputs)
        loss, next_state, is_finite = update(touched, masks, state, seed, counts)
        self.lanes.write(next_state)
        is_first_bad = counts & ~is_finite & (self.first_bad_step < 0)
        self.first_bad_step.assign(tf.where(is_first_bad, self.train_steps, self.first_bad_step))
        self.train_steps.assign_add(1)
        self.loss_tracker.update_state(loss, tf.cast(counts, tf.float32))
        return {"loss": self.loss_tracker.result()}

    def _update(
        self, touched: list[Touched], masks: StepMasks, state: State, seed: tf.Tensor, counts: tf.Tensor
    ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """As `FusedStep.run`, with any Keras optimizer and without XLA if need be."""
        step = self._session_step
        compute = step.gradients_compiled if self._compile_step else step.gradients
        rows = [tf.gather(table, table_rows) for table, table_rows in touched]
        loss, next_state, gradients = compute(rows, masks, state, seed)
        pairs = []
        for table, parts in by_table(touched):
            values = tf.concat([gradients.rows[i] for i in parts], axis=0)
            at = tf.concat([touched[i][1] for i in parts], axis=0)
            pairs.append((tf.IndexedSlices(values, at, tf.constant(table.shape.as_list())), table))
        pairs += zip(gradients.tower, self.tower.trainable_variables, strict=True)
        is_finite = tf.math.is_finite(loss)
        tf.cond(
            counts & is_finite,
            lambda: tf.group(self.optimizer.apply_gradients(pairs)),
            tf.no_op,
        )
        return loss, next_state, is_finite

    def _seed(self, training: bool) -> tf.Tensor:
        """Returns int64 [2]: the stream and the step in it."""
        if training:
            return tf.stack([tf.constant(self.config.seed, tf.int64), self.train_steps.read_value()])
        stream = tf.constant(self.config.seed + _VALIDATION_STREAM, tf.int64)
        return tf.stack([stream, tf.cast(self.loss_tracker.count, tf.int64)])

    def _has_negatives(self, inputs: SessionBatch) -> tf.Tensor:
        n_live = tf.reduce_sum(tf.cast(inputs.is_live, tf.int32))
        return n_live >= (1 if self.config.n_sample else 2)

    def _candidate_rows(self, inputs: SessionBatch, seed: tf.Tensor) -> tf.Tensor:
        if not self.config.n_sample:
            return inputs.target_rows
        return tf.concat([inputs.target_rows, self.sampler.sample(self.config.n_sample, seed)], axis=0)

    def _prepare(self, inputs: SessionBatch, seed: tf.Tensor) -> tuple[list[Touched], StepMasks]:
        """Draws the negatives; returns the rows that the step touches and what counts."""
        candidate_rows = self._candidate_rows(inputs, seed)
        return self.embedding.touched(inputs.input_rows, candidate_rows), self._masks(inputs, candidate_rows)

    def _masks(self, inputs: SessionBatch, candidate_rows: tf.Tensor) -> StepMasks:
        config = self.config
        every_extra = tf.ones([config.n_sample], tf.bool)
        negatives = tf.concat([inputs.is_live, every_extra], axis=0)[tf.newaxis, :]
        if config.remove_accidental_hits:
            negatives &= sampling.negative_mask(inputs.target_rows, candidate_rows)
        correction = None
        if self._log_counts is not None:
            n_targets = inputs.target_rows.shape[0]
            correction = sampling.log_correction(
                self._log_counts,
                candidate_rows[:n_targets],
                candidate_rows[n_targets:],
                config.sample_alpha,
                config.logq,
            )
        return StepMasks(inputs.is_start, inputs.is_live, negatives, correction)
