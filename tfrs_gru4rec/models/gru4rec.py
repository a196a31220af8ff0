"""GRU4Rec as a TensorFlow Recommenders model."""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from tfrs_gru4rec._keras import keras, tfrs  # isort: skip
import pandas as pd
import tensorflow as tf

from tfrs_gru4rec import losses, sampling
from tfrs_gru4rec.checks import require
from tfrs_gru4rec.config import GRU4RecConfig, RecommendConfig
from tfrs_gru4rec.distribution import Replicas
from tfrs_gru4rec.layers import GRUTower, ItemEmbedding
from tfrs_gru4rec.layers.dropout import dropout
from tfrs_gru4rec.layers.gru_tower import State
from tfrs_gru4rec.layers.session_fold import fold_session
from tfrs_gru4rec.metrics import MRR, Recall, ranks
from tfrs_gru4rec.models.candidates import Candidates
from tfrs_gru4rec.models.item_rows import ItemRows
from tfrs_gru4rec.models.keras_file import SavedByKeras
from tfrs_gru4rec.models.keras_training import TrainedByKeras
from tfrs_gru4rec.models.lanes import LaneVariables
from tfrs_gru4rec.models.recommend import recommend
from tfrs_gru4rec.models.training_steps import LossTracker
from tfrs_gru4rec.pipelines.session_parallel import SessionBatch
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary
from tfrs_gru4rec.tasks import SessionRetrieval

NO_STEP = -1
VALIDATION_K = 20
# What is added to the seed of a run, so that no two kinds of draws share their random words; negatives add nothing.
_HIDDEN_STREAM = 1 << 19
_INPUT_STREAM = 1 << 20
_VALIDATION_STREAM = 1 << 21
_REPLICA_STREAM = 1 << 22


@keras.saving.register_keras_serializable(package="tfrs_gru4rec")
class GRU4Rec(TrainedByKeras, SavedByKeras, tfrs.Model):
    """Predicts the next item of a session with a GRU whose state is carried click by click (arXiv 1511.06939).

    Train it on `session_parallel` data with `compile` and `fit`; ask it with `recommend`, or with `step` and `scores`.
    `validation_data=session_parallel(valid_log, 512)` gives `val_loss`, `val_recall_at_20` and `val_mrr_at_20`.
    `save("model.keras")` keeps items, weights and optimizer for `keras.models.load_model`.

    A subclass may override `call`, `compute_loss` or `task`: training and validation go through them.

    >>> model = GRU4Rec(Vocabulary.from_items(["bag", "hat", "bag"]), GRU4RecConfig(layers=(5,), n_sample=0))
    >>> rows = tf.constant([[0, 1], [1, -1]])  # a session of two clicks and one of one
    >>> query, state = model(rows)
    >>> model.scores(query).shape.as_list()
    [2, 2]

    Attributes:
      vocabulary: raw item ids and their rows.
      config: the hyperparameters.
      embedding: the items' weights.
      tower: the GRU layers.
      task: scores candidates and takes the loss.
      sampler: draws the extra negatives.
      has_own_sampler: whether a user gave that sampler.
      lanes: the state of each lane between two training steps.
      train_steps: int64 scalar, steps seen in training; with `config.seed` it determines every random draw.
      first_bad_step: int64 scalar, the first step whose loss was not finite, -1 if none; its update was not applied.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: GRU4RecConfig | None = None,
        sampler: sampling.Sampler | None = None,
    ) -> None:
        """Creates the weights.

        Args:
          vocabulary: of the training log.
          config: hyperparameters, `GRU4RecConfig()` if None.
          sampler: draws the extra negatives, see `sampling.Sampler`; by popularity ** `sample_alpha` if None.

        Raises:
          ValueError: the sampler does not draw what it must, or `logq` would correct it for draws by popularity.
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
        self.task = SessionRetrieval(config.loss, config.final_act, config.n_hard_negatives, **parameters)
        self.sampler: sampling.Sampler = sampling.NegativeSampler(vocabulary.counts, config.sample_alpha)
        if sampler is not None:
            sampling.require_sampler(sampler, vocabulary.n_items)
            rule = "logq corrects for draws by popularity: with a sampler of your own it must be 0."
            require(not config.logq, rule, logq=config.logq)
            self.sampler = sampler
        self.has_own_sampler = sampler is not None
        self._replicas = Replicas()
        self.lanes = LaneVariables(self.tower, self._replicas)
        self.train_steps = tf.Variable(0, trainable=False, dtype=tf.int64, name="train_steps")
        self.first_bad_step = tf.Variable(NO_STEP, trainable=False, dtype=tf.int64, name="first_bad_step")
        self.loss_tracker = LossTracker(name="loss")
        self._candidates = Candidates(self.sampler, vocabulary.counts, config)
        # In namespaces, so that checkpoints leave them alone.
        self._validation = SimpleNamespace(
            lanes=LaneVariables(self.tower), recall=Recall(VALIDATION_K), mrr=MRR(VALIDATION_K)
        )
        self._made = SimpleNamespace(by_key={})
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The mean loss of the epoch so far, and the figures of a validation; Keras resets them between epochs."""
        return [self.loss_tracker, self._validation.recall, self._validation.mrr]

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Returns the state before a session's first event: zeros [batch_size, units] for each layer."""
        return self.tower.initial_state(batch_size)

    def call(
        self, item_rows: tf.Tensor, state: State | None = None, training: bool = False
    ) -> tuple[tf.Tensor, State]:
        """Follows sessions by one event each, or by several.

        Args:
          item_rows: int32 [batch_size], vocabulary rows of the items clicked; or [batch_size, length], oldest first,
            where -1 is passed over, so that it pads on either side.
          state: of each layer, [batch_size, units]; None at a session's start.
          training: with dropout, drawn for the current training step.

        Returns:
          The query [batch_size, units of the last layer], to be given to `scores`, and the state after the last event.
        """
        state = self.initial_state(tf.shape(item_rows)[0]) if state is None else state
        if item_rows.shape.rank == 2:
            return self._follow(item_rows, state, training)
        inputs = self._look_up(item_rows)
        if not training:
            return self.tower.step(inputs, state)
        seed = self._seed(training)
        input_seed, hidden_seed = (
            seed + tf.constant([stream, 0], seed.dtype) for stream in (_INPUT_STREAM, _HIDDEN_STREAM)
        )
        return self.tower.step(dropout(inputs, self.config.dropout_p_embed, input_seed), state, hidden_seed)

    def _look_up(self, item_rows: tf.Tensor) -> tf.Tensor:
        """Returns the input rows of items, which a training step may have read already."""
        read = self._reading.read
        is_read = read is not None and read.input_rows is item_rows
        return read.inputs if is_read else self.embedding.look_up(item_rows)

    def _follow(self, item_rows: tf.Tensor, state: State, training: bool) -> tuple[tf.Tensor, State]:
        """Follows sessions by the events [batch_size, length]; before its first event a session's query is 0."""

        def advance(before: tuple[tf.Tensor, State], rows: tf.Tensor) -> tuple[tf.Tensor, State]:
            return self.call(rows, before[1], training)

        return fold_session(advance, item_rows, (tf.zeros_like(state[-1]), state))

    def predict_step(self, inputs: tf.Tensor) -> tf.Tensor:
        """Scores every item as what follows: whole sessions int32 [batch_size, length] → [batch_size, n_items]."""
        return self.scores(self(inputs)[0])

    def step(self, rows: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Follows sessions by one event each, without dropout; see `call`."""
        return self(rows, state)

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """Scores every item for queries [batch_size, units], before the final activation: [batch_size, n_items].

        Every final activation rises with its argument, so the order is the same and ties are finer.
        """
        return self.embedding.scores(query)

    def compute_loss(self, inputs: SessionBatch, training: bool = False) -> tf.Tensor:
        """Computes the scalar loss of one step and carries the lanes' state; no weight changes.

        Args:
          inputs: one step of all lanes: `block.at(number)` of a block that `session_parallel` gives.
          training: with dropout, and with the negatives of the next training step.

        Raises:
          ValueError: the inputs are a block of steps.
        """
        rule = "compute_loss takes one step, block.at(number), not a block of steps."
        require(inputs.is_live.shape.rank == 1, rule, shape=tuple(inputs.is_live.shape))
        # Of several replicas each follows its own lanes, and scores the targets of all.
        own = self._replicas.own(inputs) if training else inputs
        query = self._follow_lanes(own, training)
        is_read = training and self._reading.step is inputs
        read = self._reading.read if is_read else self._read(inputs, training)
        places = {} if read.places is None else {"places": read.places}
        loss = self.task(
            query,
            read.vectors,
            candidate_biases=read.biases,
            sample_weight=tf.cast(own.is_live, tf.float32),
            score_mask=self._candidates.negatives(inputs, read.candidate_rows)[: own.is_live.shape[0]],
            log_correction=self._candidates.log_correction(inputs, read.candidate_rows),
            **places,
        )
        if self.config.l2:
            touched = [self._look_up(inputs.input_rows), *read.candidates()]
            touched += self.tower.trainable_variables
            loss += self.config.l2 * tf.add_n([tf.nn.l2_loss(values) for values in touched])
        return loss

    def train_step(self, inputs: SessionBatch) -> dict[str, tf.Tensor]:
        """Trains on the steps of a block of `session_parallel`, one by one; returns the metrics of the epoch so far.

        What a step descends is `compute_loss`, and the losses that layers add to it. A step without a negative (fewer
        than two live lanes and no extra negatives) is skipped. A step whose loss is not finite changes no weight and is
        remembered in `first_bad_step`.
        """
        self._train_block(inputs)
        of_validation = (self._validation.recall, self._validation.mrr)
        shown = [metric for metric in self.metrics if not any(metric is other for other in of_validation)]
        return {metric.name: metric.result() for metric in shown}

    def test_step(self, inputs: SessionBatch) -> dict[str, tf.Tensor]:
        """Adds a block of `session_parallel` to the validation; returns the loss, recall and MRR so far.

        There is no dropout, and the negatives are the same at every validation. Recall@20 and MRR@20 rank each next
        item among all items, ties as `standard`, as `evaluate` does.
        """
        self._validation.lanes.build(inputs.is_live.shape[1])
        inputs.for_each_live_step(self._validate_on)
        return {metric.name: metric.result() for metric in self.metrics}

    def _follow_lanes(self, step: SessionBatch, training: bool) -> tf.Tensor:
        """Moves the lanes of training or of validation on by a step; returns the queries [lanes, units]."""
        lanes = self.lanes if training else self._validation.lanes
        # The mask is this step's own: one that outlives its step would wipe the state of the next.
        state = self.tower.reset(lanes.read(step.is_live.shape[0]), step.is_start)
        self._validation.query, next_state = self(step.input_rows, state, training=training)
        lanes.write(next_state)
        return self._validation.query

    def _validate_on(self, step: SessionBatch) -> None:
        self._validation.query = None
        self._track(self.compute_loss(step, training=False), step)
        query = self._validation.query
        if query is None:  # an override of compute_loss that does not follow the lanes
            query = self._follow_lanes(step, training=False)
        found = ranks(self.scores(query), step.target_rows)
        for metric in (self._validation.recall, self._validation.mrr):
            metric.update_state(found, sample_weight=tf.cast(step.is_live, tf.float64))

    def _read(self, step: SessionBatch, training: bool) -> ItemRows:
        """Reads the candidates of a step."""
        rows = self._candidates.rows(step, self._seed(training))
        return ItemRows(rows, *self.embedding.candidates(rows))

    def _seed(self, training: bool) -> tf.Tensor:
        """Returns int64 [2]: the stream and the step in it."""
        if training:
            seed = self.config.seed + _REPLICA_STREAM * self._replicas.number
            return tf.stack([tf.constant(seed, tf.int64), self.train_steps.read_value()])
        stream = tf.constant(self.config.seed + _VALIDATION_STREAM, tf.int64)
        n_events = tf.cast(self._validation.recall.count, tf.int64)
        return tf.stack([stream, n_events])

    def made_once(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """Returns `make(self, *arguments)`, made at the first call: graphs that belong to this model live here."""
        key = (make, *arguments)
        if key not in self._made.by_key:
            self._made.by_key[key] = make(self, *arguments)
        return self._made.by_key[key]

    def recommend(
        self,
        sessions: Sequence[Sequence[Any]] | Mapping[Any, Sequence[Any]],
        k: int = RecommendConfig.top_k,
        exclude_seen: bool = RecommendConfig.exclude_seen,
    ) -> pd.DataFrame:
        """Returns the likeliest next items of many sessions, see `tfrs_gru4rec.recommend`."""
        return recommend(self, sessions, k, exclude_seen)
