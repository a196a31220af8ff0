"""The functions behind the signatures, and the object that is saved."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_gru4rec.checks import require, require_positive
from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.catalogue import Catalogue
from tfrs_gru4rec.export.filters import Filters
from tfrs_gru4rec.export.ranking import Ranking, require_finite
from tfrs_gru4rec.export.request_checks import checked
from tfrs_gru4rec.export.rows_of_one_session import apply_in_order, order_in_sessions
from tfrs_gru4rec.export.search_choice import choose_search
from tfrs_gru4rec.export.session_memory import require_session_memory
from tfrs_gru4rec.export.session_record import (
    NextItemModel,
    SessionRecords,
    accept_events,
    accepted_status,
    require_exact_rows,
    session_lengths,
)
from tfrs_gru4rec.export.session_store import SessionStore
from tfrs_gru4rec.export.signatures import (
    RECOMMEND,
    RECOMMEND_GRU,
    SEEN_ITEMS,
    SERVING_DEFAULT,
    SIGNATURES,
    WARM_UP_SESSION_ID,
    Signature,
    Status,
)
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.neighbours.fusion import Fusion
from tfrs_gru4rec.neighbours.item_to_item import N_CLICKS
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

Tensors = dict[str, tf.Tensor]


class ServingModel(tf.Module):
    """A model with the live sessions it follows; each signature of `signatures.py` is a method of that name.

    Attributes:
      catalogue: raw item ids and rows.
      sessions: the store.
      state_size: floats of the explicit state, a record but for its length.
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
        fusion: Fusion | None = None,
        group_of: Mapping[Any, str] | None = None,
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
        # To exclude more than n_items - top_k items could leave fewer than top_k to recommend.
        n_excluded = min(SEEN_ITEMS, n_items - top_k) if exclude_seen else 0
        require_exact_rows(n_items)
        if fusion:
            fusion.require_vocabulary(vocabulary)
        self._has_neighbours_beside = fusion is not None and not fusion.is_alone
        self.top_k = top_k
        self.catalogue = Catalogue(vocabulary)
        self._records = SessionRecords(model, max(min(SEEN_ITEMS, n_items), N_CLICKS if fusion else 0))
        self._ranking = Ranking(
            model, self._records, vocabulary, top_k, n_excluded=n_excluded, fusion=fusion, group_of=group_of
        )
        self.state_size = self._records.size - 1
        require_session_memory(max_sessions, self._records.size)
        self.sessions = SessionStore(max_sessions, self._records.size, idle_seconds, WARM_UP_SESSION_ID)
        # What several signatures do is traced once. In a namespace, or they would be saved as functions of their own.
        self._shared = SimpleNamespace(
            follow=tf.function(self._follow, autograph=False),
            apply=tf.function(self._apply, autograph=False),
            answer=tf.function(self._answer, autograph=False),
        )

    @property
    def offered(self) -> dict[str, Signature]:
        """Its signatures by name."""
        return SIGNATURES | ({RECOMMEND_GRU.name: RECOMMEND_GRU} if self._has_neighbours_beside else {})

    def choose_search(
        self,
        model: GRU4Rec,
        wanted: str,
        approximate_recall: float,
        sessions: Sequence[Sequence[Any]] | None,
    ) -> str:
        """Chooses how the best items are found, before the signatures are traced; see `search_choice`."""

        @tf.function(autograph=False)
        def follow(item_rows: tf.Tensor) -> tf.Tensor:
            return self._records.fold(item_rows, tf.math.count_nonzero(item_rows >= 0, 1, dtype=tf.int32))

        return choose_search(self._ranking, model, follow, wanted, approximate_recall, sessions)

    def concrete_functions(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Traces every signature, and takes hold of the model's weights that they use.

        Only those are saved: not the optimizer's, nor what else the model has.

        Returns:
          Concrete functions by signature name.

        Raises:
          ValueError: a weight is not finite.
        """
        functions = {
            name: self._trace(signature)
            for name, signature in self.offered.items()
            if name != SERVING_DEFAULT.name
        }
        functions[SERVING_DEFAULT.name] = functions[RECOMMEND.name]
        weights = {
            id(weight): weight for function in functions.values() for weight in function.graph.variables
        }
        self._weights = list(weights.values())
        for weight in self._weights:
            # The biases are padded with minus infinity.
            is_padded = weight is self._ranking.padded_biases
            require_finite(weight[: self.catalogue.n_items] if is_padded else weight)
        return functions

    def _trace(self, signature: Signature) -> tf.types.experimental.ConcreteFunction:
        sizes = {signatures.STATE_SIZE: self.state_size, signatures.TOP_K: self.top_k}
        specs = {
            tensor.name: tf.TensorSpec(
                tensor.resolved_shape(**sizes), tensor.resolved_dtype(self.catalogue.item_dtype), tensor.name
            )
            for tensor in signature.inputs
        }
        implementation = getattr(self, signature.name.removesuffix(signatures.FILTERED))

        def function(**inputs: tf.Tensor) -> Tensors:
            outputs = implementation(**self._with_filters(checked(signature, inputs)))
            return {
                tensor.name: tf.ensure_shape(outputs[tensor.name], tensor.resolved_shape(**sizes))
                for tensor in signature.outputs
            }

        function.__name__ = signature.name
        return tf.function(function, autograph=False).get_concrete_function(**specs)

    def _with_filters(self, inputs: Tensors) -> dict[str, Any]:
        """Puts the filters among the inputs into one argument, if there are any."""
        if "exclude_ids" not in inputs:
            return inputs
        excluded_rows = self.catalogue.rows(inputs.pop("exclude_ids"))
        names = ("exclude_seen", "allow_groups")
        return {"filters": Filters(excluded_rows, **{name: inputs.pop(name) for name in names}), **inputs}

    def recommend(self, item_ids: tf.Tensor, filters: Filters | None = None) -> Tensors:
        """Recommends for whole sessions, item_ids [batch, length]."""
        records, _ = self._shared.follow(item_ids)
        return self._shared.answer(records, filters)

    def recommend_gru(self, item_ids: tf.Tensor) -> Tensors:
        """Recommends for whole sessions, item_ids [batch, length], by the GRU's scores without the neighbours'."""
        records, _ = self._shared.follow(item_ids)
        return self._named(*self._ranking.top(records, is_fused=False))

    def step(
        self,
        session_id: tf.Tensor,
        item_id: tf.Tensor,
        position: tf.Tensor,
        filters: Filters | None = None,
    ) -> Tensors:
        """Applies one event a row to live sessions; all inputs [batch]."""
        records, status = self._shared.apply(session_id, item_id, position)
        return {
            **self._shared.answer(records, filters),
            "session_length": session_lengths(records),
            "status": status,
        }

    def _apply(
        self, session_id: tf.Tensor, item_id: tf.Tensor, position: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Applies events [batch]; returns the records [batch, size] after each, and each one's `Status`."""
        # Rows of one session take turns, so that each turn has a session once.
        item_rows = self.catalogue.rows(item_id)
        order = order_in_sessions(tf.unique(session_id).idx, position)
        return apply_in_order(order, self._take_turn, (session_id, position, item_rows), self._records.size)

    def _take_turn(
        self, session_id: tf.Tensor, position: tf.Tensor, item_rows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Applies one event to each of different sessions, as one step that no other call comes between.

        1. Take the lock, once the events are there.
        2. Read the sessions' records.
        3. Move on those whose event is the next one.
        4. Write these.
        5. Give the lock back, and only then return.

        The lock's rule: from 1 to 5 only plain operations that cannot fail. Whatever can be cancelled or can
        fail (a loop, a condition, a call, an assertion) would keep the lock for good; see `Lock`.
        """
        opened = self.sessions.open(session_id, [position, item_rows])  # 1, 2
        after, status = accept_events(opened.records, position, item_rows, self._records.advance)  # 3
        return self.sessions.close(opened, after, status < Status.REPEATED, (after, status))  # 4, 5

    def replay(self, session_id: tf.Tensor, item_ids: tf.Tensor, filters: Filters | None = None) -> Tensors:
        """Replaces live sessions [batch] by what item_ids [batch, length] make."""
        records, has_unknown = self._shared.follow(item_ids)
        lengths = session_lengths(records)
        rule = (
            "replay: item_ids must have at least one id in every row; to forget a session send end_session."
        )
        has_items = tf.raw_ops.Assert(condition=tf.reduce_all(lengths > 0), data=[rule])
        distinct_ids, index = tf.unique(session_id)
        # Of several rows of one session the last one counts.
        last = tf.math.unsorted_segment_max(tf.range(tf.size(index)), index, tf.size(distinct_ids))
        replacement = tf.gather(records, last)
        opened = self.sessions.open(distinct_ids, [replacement, has_items])
        self.sessions.close(opened, replacement, tf.ones_like(last, tf.bool), counts=False)
        status = tf.where(has_unknown, int(Status.UNKNOWN_ITEM), int(Status.APPLIED))
        return {**self._shared.answer(records, filters), "session_length": lengths, "status": status}

    def step_explicit(self, item_id: tf.Tensor, state: tf.Tensor, filters: Filters | None = None) -> Tensors:
        """Applies items [batch] to states [batch, state_size]: records without their length."""
        item_rows = self.catalogue.rows(item_id)
        records = self._records.advance(tf.concat([tf.zeros_like(state[:, :1]), state], axis=1), item_rows)
        return {
            **self._shared.answer(records, filters),
            "state": records[:, 1:],
            "status": accepted_status(item_rows),
        }

    def set_availability(self, item_id: tf.Tensor, available: tf.Tensor) -> Tensors:
        """Changes whether items [batch] may be recommended."""
        return {"known": self._ranking.availability.set(self.catalogue.rows(item_id), available)}

    def score(self, session_id: tf.Tensor, candidate_ids: tf.Tensor) -> Tensors:
        """Scores candidates [batch, n] for live sessions [batch]."""
        distinct_ids, index = tf.unique(session_id)
        records = tf.gather(self.sessions.read(distinct_ids), index)
        scores = self._ranking.candidates(records, self.catalogue.rows(candidate_ids))
        return {"scores": scores, "session_length": session_lengths(records)}

    def score_items(self, item_ids: tf.Tensor, candidate_ids: tf.Tensor) -> Tensors:
        """Scores candidates [batch, n] for whole sessions [batch, length]."""
        records, _ = self._shared.follow(item_ids)
        return {"scores": self._ranking.candidates(records, self.catalogue.rows(candidate_ids))}

    def end_session(self, session_id: tf.Tensor) -> Tensors:
        """Forgets sessions [batch]."""
        distinct_ids, index = tf.unique(session_id)
        return {"existed": tf.gather(self.sessions.remove(distinct_ids), index)}

    def stats(self, probe: tf.Tensor) -> Tensors:
        """Answers the counters in every row of probe [batch]."""
        counts = self.sessions.counters()
        values = {**counts._asdict(), "capacity": np.int64(self.sessions.capacity)}
        return {name: tf.fill(tf.shape(probe), value) for name, value in values.items()}

    def _follow(self, item_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Follows whole sessions, item_ids [batch, length].

        Returns:
          Their records [batch, size], and bool [batch], whether an item is not in the vocabulary.
        """
        is_event = tf.not_equal(item_ids, signatures.pad_id(self.catalogue.item_dtype))
        item_rows = self.catalogue.rows(item_ids)
        records = self._records.fold(item_rows, tf.math.count_nonzero(is_event, axis=1, dtype=tf.int32))
        return records, tf.reduce_any(is_event & (item_rows < 0), axis=1)

    def _answer(self, records: tf.Tensor, filters: Filters | None) -> Tensors:
        return self._named(*self._ranking.top(records, filters))

    def _named(self, rows: tf.Tensor, scores: tf.Tensor) -> Tensors:
        pad = signatures.pad_id(self.catalogue.item_dtype)
        return {"item_ids": tf.where(scores > -np.inf, self.catalogue.ids(rows), pad), "scores": scores}
