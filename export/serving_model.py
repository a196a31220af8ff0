"""The functions behind the signatures, and the object that is saved."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.catalogue import Catalogue
from tfrs_gru4rec.export.ranking import Ranking
from tfrs_gru4rec.export.request_checks import checked
from tfrs_gru4rec.export.rows_of_one_session import apply_events, apply_in_order, order_in_sessions
from tfrs_gru4rec.export.session_record import NextItemModel, SessionVectors
from tfrs_gru4rec.export.session_store import SessionStore
from tfrs_gru4rec.export.signatures import SIGNATURES, WARM_UP_SESSION_ID, Signature, Status
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

# With exclude_seen, this many of a session's latest items are left out of its recommendations.
SEEN_ITEMS = 50

Tensors = dict[str, tf.Tensor]


class ServingModel(tf.Module):
    """A model with the live sessions it follows, behind the signatures of `signatures.py`.

    Attributes:
      catalogue: raw item ids and rows.
      sessions: the store.
      state_size: floats of the explicit state.
      top_k: items recommended.
    """

    def __init__(
        self,
        model: NextItemModel,
        vocabulary: Vocabulary,
        top_k: int,
        max_sessions: int,
        idle_seconds: float,
        exclude_seen: bool,
    ) -> None:
        """Puts the parts together; see `export_saved_model` for the arguments."""
        super().__init__(name="serving_model")
        require_positive(top_k=top_k, max_sessions=max_sessions, idle_seconds=idle_seconds)
        n_items = vocabulary.n_items
        require(
            top_k + exclude_seen <= n_items,
            "top_k must be at most the number of items, and below it with exclude_seen.",
            top_k=top_k,
            n_items=n_items,
        )
        # Remembering more than n_items - top_k items could leave fewer than top_k to recommend.
        n_seen = min(SEEN_ITEMS, n_items - top_k) if exclude_seen else 0
        self.top_k = top_k
        self.catalogue = Catalogue(vocabulary)
        self._vectors = SessionVectors(model, n_seen)
        self._ranking = Ranking(model, self._vectors, vocabulary.counts, top_k)
        self.state_size = self._vectors.size
        self.sessions = SessionStore(max_sessions, 1 + self.state_size, idle_seconds, WARM_UP_SESSION_ID)

    def concrete_functions(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Traces every signature, and takes hold of the model's weights that they use.

        Only those are saved: not the optimizer's, nor what else the model has.

        Returns:
          Concrete functions by signature name.
        """
        functions = {name: self._trace(signature) for name, signature in SIGNATURES.items()}
        functions["serving_default"] = functions["recommend"]
        weights = {
            id(weight): weight for function in functions.values() for weight in function.graph.variables
        }
        self._weights = list(weights.values())
        return functions

    def _trace(self, signature: Signature) -> tf.types.experimental.ConcreteFunction:
        sizes = {signatures.STATE_SIZE: self.state_size, signatures.TOP_K: self.top_k}
        specs = {
            tensor.name: tf.TensorSpec(
                tensor.resolved_shape(**sizes), tensor.resolved_dtype(self.catalogue.item_dtype), tensor.name
            )
            for tensor in signature.inputs
        }
        implementation = self._implementations()[signature.name]

        def function(**inputs: tf.Tensor) -> Tensors:
            outputs = implementation(**checked(signature, inputs))
            return {
                tensor.name: tf.ensure_shape(outputs[tensor.name], tensor.resolved_shape(**sizes))
                for tensor in signature.outputs
            }

        function.__name__ = signature.name
        return tf.function(function, autograph=False).get_concrete_function(**specs)

    def _implementations(self) -> dict[str, Callable[..., Tensors]]:
        return {
            "serving_default": self.recommend,
            "recommend": self.recommend,
            "step": self.step,
            "replay": self.replay,
            "step_explicit": self.step_explicit,
            "score": self.score,
            "score_items": self.score_items,
            "end_session": self.end_session,
            "stats": self.stats,
        }

    def recommend(self, item_ids: tf.Tensor) -> Tensors:
        """Recommends for whole sessions, item_ids [batch, length]."""
        return self._answer(self._vectors.fold(self.catalogue.rows(item_ids)))

    def step(self, session_id: tf.Tensor, item_id: tf.Tensor, position: tf.Tensor) -> Tensors:
        """Applies one event a row to live sessions; all inputs [batch]."""
        order = order_in_sessions(tf.unique(session_id).idx, position)
        item_rows = self.catalogue.rows(item_id)

        def apply(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            events = tf.gather(position, rows), tf.gather(item_rows, rows)

            def transform(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
                after, status = apply_events(records, *events, self._vectors.advance)
                return after, status < Status.REPEATED, (after, status)

            return self.sessions.update(tf.gather(session_id, rows), transform, [*events])

        records, status = apply_in_order(order, apply, self.sessions.record_size)
        return {**self._answer(records[:, 1:]), "session_length": _lengths(records), "status": status}

    def replay(self, session_id: tf.Tensor, item_ids: tf.Tensor) -> Tensors:
        """Replaces live sessions [batch] by what item_ids [batch, length] make."""
        pad = signatures.pad_id(self.catalogue.item_dtype)
        is_item = tf.not_equal(item_ids, pad)
        lengths = tf.math.count_nonzero(is_item, axis=1, dtype=tf.int32)
        rule = (
            "replay: item_ids must have at least one id in every row; to forget a session send end_session."
        )
        has_items = tf.raw_ops.Assert(condition=tf.reduce_all(lengths > 0), data=[rule])
        item_rows = self.catalogue.rows(item_ids)
        vectors = self._vectors.fold(item_rows)
        records = tf.concat([tf.cast(lengths, tf.float32)[:, tf.newaxis], vectors], axis=1)
        distinct_ids, index = tf.unique(session_id)
        # Of several rows of one session the last one counts.
        last = tf.math.unsorted_segment_max(tf.range(tf.size(index)), index, tf.size(distinct_ids))
        replacement = tf.gather(records, last)
        self.sessions.update(
            distinct_ids,
            lambda _: (replacement, tf.ones_like(last, tf.bool), last),
            [replacement, has_items],
            counts=False,
        )
        has_unknown = tf.reduce_any(is_item & (item_rows < 0), axis=1)
        status = tf.where(has_unknown, int(Status.UNKNOWN_ITEM), int(Status.APPLIED))
        return {**self._answer(vectors), "session_length": tf.cast(lengths, tf.int64), "status": status}

    def step_explicit(self, item_id: tf.Tensor, state: tf.Tensor) -> Tensors:
        """Applies items [batch] to states [batch, state_size]."""
        item_rows = self.catalogue.rows(item_id)
        vectors = self._vectors.advance(state, item_rows)
        status = tf.where(item_rows >= 0, int(Status.APPLIED), int(Status.UNKNOWN_ITEM))
        return {**self._answer(vectors), "state": vectors, "status": status}

    def score(self, session_id: tf.Tensor, candidate_ids: tf.Tensor) -> Tensors:
        """Scores candidates [batch, n] for live sessions [batch]."""
        distinct_ids, index = tf.unique(session_id)
        records = tf.gather(self.sessions.read(distinct_ids), index)
        scores = self._ranking.candidates(records[:, 1:], self.catalogue.rows(candidate_ids))
        return {"scores": scores, "session_length": _lengths(records)}

    def score_items(self, item_ids: tf.Tensor, candidate_ids: tf.Tensor) -> Tensors:
        """Scores candidates [batch, n] for whole sessions [batch, length]."""
        vectors = self._vectors.fold(self.catalogue.rows(item_ids))
        return {"scores": self._ranking.candidates(vectors, self.catalogue.rows(candidate_ids))}

    def end_session(self, session_id: tf.Tensor) -> Tensors:
        """Forgets sessions [batch]."""
        distinct_ids, index = tf.unique(session_id)
        return {"existed": tf.gather(self.sessions.remove(distinct_ids), index)}

    def stats(self, probe: tf.Tensor) -> Tensors:
        """Answers the counters in every row of probe [batch]."""
        # A call that fails while it holds the lock would keep it: the checks of probe come first.
        with tf.control_dependencies([probe]):
            counters = self.sessions.counters()
        values = {**counters._asdict(), "capacity": np.int64(self.sessions.capacity)}
        return {name: tf.fill(tf.shape(probe), value) for name, value in values.items()}

    def _answer(self, vectors: tf.Tensor) -> Tensors:
        rows, scores = self._ranking.top(vectors)
        return {"item_ids": self.catalogue.ids(rows), "scores": scores}


def _lengths(records: tf.Tensor) -> tf.Tensor:
    return tf.cast(records[:, 0], tf.int64)
