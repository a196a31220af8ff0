"""SessionClient: follows live sessions over gRPC and loses none to restarts and model pushes.

Works with the embedded server and with TensorFlow Serving alike, and needs no TensorFlow itself.
"""

import collections
import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import numpy as np
from google.protobuf.message import Message

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.serving import retry
from tfrs_gru4rec.export.serving.histories import Histories, History
from tfrs_gru4rec.export.serving.model_servers import ModelServer, ranked
from tfrs_gru4rec.export.serving.predict_messages import (
    DT_BOOL,
    DT_INT32,
    ItemId,
    ModelChoice,
    get,
    id_dtype,
    put,
    put_ids,
)

# How often a click follows another writer's position before it gives up.
_MAX_CATCH_UPS = 3
_AVAILABILITY_ROWS = 128  # what an embedded server takes in one request
Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True)
class ServedRecommendations:
    """An answer.

    Attributes:
      item_ids: [n] recommended items, top_k if so many may be recommended, best first: str, or int if the model's ids
        are integers.
      scores: float32 [n], falling; comparable within one answer only.
      session_length: events of the session, this one included.
      status: what became of the event.
    """

    item_ids: list[Any]
    scores: np.ndarray
    session_length: int
    status: signatures.Status


@dataclasses.dataclass(frozen=True)
class Filters:
    """What one call may recommend.

    Attributes:
      exclude_ids: items not to recommend, at most `signatures.MAX_EXCLUDED`.
      exclude_seen: not to recommend the session's latest `signatures.SEEN_ITEMS` items.
      allow_groups: groups, as exported, to recommend from; empty for all items.
    """

    exclude_ids: Sequence[ItemId] = ()
    exclude_seen: bool = False
    allow_groups: Sequence[str] = ()


class SessionClient(contextlib.AbstractContextManager["SessionClient"]):
    """A client of one model server, or of several. All methods may be called from several threads.

        session_id = secrets.token_urlsafe(16)  # whoever knows it may use the session
        with SessionClient("localhost:8500") as client:
            answer = client.click(session_id, "shoe")
            print(answer.item_ids)

    It numbers the events of each session, so that a click sent again after a lost answer counts
    once, and keeps each session's latest items, so that it can rebuild a session the server has
    forgotten: after a model push, a restart or an eviction, the next click replays them.

    A session should have one client at a time. A client that meets a session another client has
    begun goes on from where the server stands, but can replay only what it has sent itself.

    Several servers of one model share the sessions: each lives in the first server of an order of its own
    (`model_servers.ranked`). While that one is away the next takes the session over, by a replay, and gives it back.
    """

    def __init__(
        self,
        target: str | Sequence[str] = "localhost:8500",
        model_name: str = signatures.DEFAULT_MODEL_NAME,
        *,
        version: int | str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        policy: retry.RetryPolicy = retry.RetryPolicy(),  # noqa: B008 - frozen
        max_sessions: int = 100_000,
        max_items: int = signatures.MAX_LENGTH,
        min_row_length: int = 8,
    ):
        """Makes a client; it connects at its first call.

        Args:
          target: "host:port", or a list of them.
          model_name: the name the model is served under.
          version: which version to ask, its number or a label that the server has for one (`--version_labels`); None =
            the largest.
          credentials: of a TLS channel; None = no TLS.
          policy: the deadline of a method, and its attempts; after some that failed, methods fail at once for a
            while.
          max_sessions: sessions whose items are kept; the least recently used go first.
          max_items: items kept of each session, at most `signatures.MAX_LENGTH`. A longer session that
            must be replayed is rebuilt from these, so its answers may then differ a little.
          min_row_length: rows of ids are padded to this length at least. TensorFlow Serving with batching
            fails requests of different lengths that it happens to merge: there, give both this and
            `max_items` the same number. The embedded server merges only what fits.
        """
        most = signatures.MAX_LENGTH
        require(1 <= max_items <= most, f"max_items must be 1 to {most}.", max_items=max_items)
        is_row = 0 <= min_row_length <= most
        require(is_row, f"min_row_length must be 0 to {most}.", min_row_length=min_row_length)
        self._min_row_length = min_row_length
        self._choice, self._policy = ModelChoice(model_name, version), policy
        self._histories = Histories(max_sessions, max_items)
        self._availability: dict[ItemId, bool] = {}  # what servers were told
        targets = [target] if isinstance(target, str) else target
        require(len(targets) > 0, "target must name a server.", target=target)
        self._servers = {each: ModelServer(each, policy, credentials) for each in targets}

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. Sessions live on in the servers."""
        for server in self._servers.values():
            server.close()

    def click(
        self, session_id: str, item_id: ItemId, filters: Filters | None = None
    ) -> ServedRecommendations:
        """Tells a click and returns what to recommend after it.

        If this raises, the click does not count; whether or not the server took it, the next click of
        the session sets that right.

        Args:
          session_id: an id of the caller's making, unique per live session.
          item_id: the item clicked, as in the training log.
          filters: what may be recommended; all that is available if None.

        Raises:
          grpc.RpcError: the server could not be reached in time, or refused the request.
          ValueError: the id is not of the type of the model's ids.
          RuntimeError: other clients write to this session faster than this one can follow.
        """

        def click(server: ModelServer, deadline: retry.Deadline, history: History) -> ServedRecommendations:
            if history.must_replay:
                return self._replay(server, deadline, session_id, history, item_id, filters=filters)
            for _ in range(_MAX_CATCH_UPS):
                answer, attempts = self._step(server, deadline, session_id, history, item_id, filters)
                if answer.status == signatures.Status.GAP:
                    return self._replay(server, deadline, session_id, history, item_id, filters=filters)
                # "Repeated" is our own event if its answer was lost, else the server is ahead of us.
                is_own = attempts > 1 and answer.session_length == history.length + 1
                history.length = answer.session_length
                if answer.status != signatures.Status.REPEATED or is_own:
                    history.items.append(item_id)
                    return answer
            raise RuntimeError(
                f"Session {session_id!r} changes faster than this client can follow: let one client write to it."
            )

        return self._follow(session_id, click)

    def recommend(self, item_ids: Sequence[ItemId], filters: Filters | None = None) -> ServedRecommendations:
        """Returns recommendations for a session sent whole; the server keeps nothing.

        Args:
          item_ids: 1 to `signatures.MAX_LENGTH` items, oldest first.
          filters: see `click`.

        Raises:
          grpc.RpcError: see `click`.
        """
        request = self._filtered_request(signatures.RECOMMEND, filters, item_ids)
        self._put_row(request, "item_ids", item_ids, signatures.MAX_LENGTH)
        response = self._ask(request)
        return _recommendations(response, len(item_ids), signatures.Status.APPLIED)

    def score(self, session_id: str, candidate_ids: Sequence[ItemId]) -> np.ndarray:
        """Returns the scores of chosen items for a live session, which stays as it is.

        Args:
          session_id: the session.
          candidate_ids: 1 to `signatures.MAX_CANDIDATES` items.

        Returns:
          float32 [len(candidate_ids)]; minus infinity for items the model does not know.

        Raises:
          grpc.RpcError: see `click`.
        """
        request = self._choice.request(signatures.SCORE.name)
        put_ids(request, "session_id", [session_id], 1)
        self._put_row(request, "candidate_ids", candidate_ids, signatures.MAX_CANDIDATES)

        def score(server: ModelServer, deadline: retry.Deadline, history: History) -> Message:
            response, _ = self._predict(server, request, deadline)
            known = int(get(response, "session_length")[0])
            if history.items and (history.must_replay or known < history.length):
                self._replay(server, deadline, session_id, history)
                response, _ = self._predict(server, request, deadline)
            return response

        return np.asarray(get(self._follow(session_id, score), "scores"))[: len(candidate_ids)]

    def score_items(self, item_ids: Sequence[ItemId], candidate_ids: Sequence[ItemId]) -> np.ndarray:
        """Returns the scores of chosen items for a session sent whole; see `recommend` and `score`."""
        request = self._choice.request(signatures.SCORE_ITEMS.name)
        self._put_row(request, "item_ids", item_ids, signatures.MAX_LENGTH)
        self._put_row(request, "candidate_ids", candidate_ids, signatures.MAX_CANDIDATES)
        response = self._ask(request)
        return np.asarray(get(response, "scores"))[: len(candidate_ids)]

    def end(self, session_id: str) -> bool:
        """Ends a session, here and in the server.

        Returns:
          Whether the server held it. After a retry this may be False though the first attempt ended it.

        Raises:
          grpc.RpcError: see `click`; the session is forgotten here all the same.
        """
        request = self._choice.request(signatures.END_SESSION.name)
        put_ids(request, "session_id", [session_id], 1)

        def end(server: ModelServer, deadline: retry.Deadline, _: History) -> Message:
            self._histories.forget(session_id)
            return self._predict(server, request, deadline)[0]

        return bool(get(self._follow(session_id, end), "existed")[0])

    def stats(self) -> Mapping[str, int]:
        """Returns the figures by name, see `signatures.STATS`, of all servers together; raises grpc.RpcError."""
        request = self._choice.request(signatures.STATS.name)
        put(request, "probe", DT_INT32, [0])
        figures = collections.Counter[str]()
        for server in self._servers.values():
            with server.asked():
                response, _ = self._predict(server, request, retry.Deadline(self._policy))
            figures.update({name: int(get(response, name)[0]) for name in sorted(response.outputs)})
        return figures

    def set_availability(self, item_ids: Sequence[ItemId], available: bool) -> None:
        """Has the server recommend items no more, or again.

        The embedded server tells the versions that follow; to any other server this client tells it again when it
        sees that another version answers. Of several servers, those that are away are told when they are back.

        Args:
          item_ids: the items; those that the model does not know are passed over.
          available: whether they may be recommended.

        Raises:
          grpc.RpcError: see `click`; of several servers, none was reached.
        """
        require(not isinstance(item_ids, str | bytes), "item_ids must be a list of ids.", item_ids=item_ids)
        told, failure = dict.fromkeys(item_ids, available), None
        for server in self._servers.values():
            try:
                with server.asked():
                    self._tell_availability(server, told, retry.Deadline(self._policy))
            except grpc.RpcError as error:
                failure, server.version = error, None
        if failure is not None and all(server.version is None for server in self._servers.values()):
            raise failure
        self._availability |= told

    def _tell_availability(
        self, server: ModelServer, told: Mapping[ItemId, bool], deadline: retry.Deadline
    ) -> None:
        items = list(told)
        for start in range(0, len(items), _AVAILABILITY_ROWS):
            part = items[start : start + _AVAILABILITY_ROWS]
            request = self._choice.request(signatures.SET_AVAILABILITY.name)
            put_ids(request, "item_id", part, len(part))
            put(request, "available", DT_BOOL, [told[item_id] for item_id in part])
            self._predict(server, request, deadline)

    def _filtered_request(
        self, signature: signatures.Signature, filters: Filters | None, ids: Sequence[ItemId]
    ) -> Message:
        """Returns a request without its other inputs; `ids` are of the type of those to exclude."""
        if filters is None:
            return self._choice.request(signature.name)
        request = self._choice.request(f"{signature.name}{signatures.FILTERED}")
        excluded = filters.exclude_ids or [signatures.pad_id(id_dtype("item_ids", ids[:1]))]
        self._put_row(request, "exclude_ids", excluded, signatures.MAX_EXCLUDED)
        put(request, "exclude_seen", DT_BOOL, [filters.exclude_seen])
        self._put_row(request, "allow_groups", filters.allow_groups or [""], signatures.MAX_GROUPS)
        return request

    def _step(
        self,
        server: ModelServer,
        deadline: retry.Deadline,
        session_id: str,
        history: History,
        item_id: ItemId,
        filters: Filters | None,
    ) -> tuple[ServedRecommendations, int]:
        request = self._filtered_request(signatures.STEP, filters, [item_id])
        put_ids(request, "session_id", [session_id], 1)
        put_ids(request, "item_id", [item_id], 1)
        put_ids(request, "position", [history.length + 1], 1)
        try:
            response, attempts = self._predict(server, request, deadline)
        except grpc.RpcError as error:
            # It may have been applied all the same, unless the server says it was refused.
            history.must_replay |= error.code() != grpc.StatusCode.INVALID_ARGUMENT
            raise
        return _live_recommendations(response), attempts

    def _replay(
        self,
        server: ModelServer,
        deadline: retry.Deadline,
        session_id: str,
        history: History,
        *new_items: ItemId,
        filters: Filters | None = None,
    ) -> ServedRecommendations:
        """Sends the items kept, and new ones, in place of what the server holds."""
        items = [*history.items, *new_items][-(history.items.maxlen or 1) :]
        request = self._filtered_request(signatures.REPLAY, filters, items)
        put_ids(request, "session_id", [session_id], 1)
        self._put_row(request, "item_ids", items, signatures.MAX_LENGTH)
        history.must_replay = True
        response, _ = self._predict(server, request, deadline)
        answer = _live_recommendations(response)
        history.items.extend(new_items)
        history.length, history.must_replay = answer.session_length, False
        return answer

    def _put_row(self, request: Message, name: str, ids: Sequence[ItemId], limit: int) -> None:
        """Adds one row of ids, padded so that the server can merge it with others."""
        require(not isinstance(ids, str | bytes), f"{name} must be a list of ids, not one text.", ids=ids)
        require(1 <= len(ids) <= limit, f"{name} must hold 1 to {limit} ids.", length=len(ids))
        width = min(max(signatures.padded_length(len(ids)), self._min_row_length), limit)
        pad = signatures.pad_id(id_dtype(name, ids))
        put_ids(request, name, [*ids, *[pad] * (width - len(ids))], 1, width)

    def _follow(
        self, session_id: str, work: Callable[[ModelServer, retry.Deadline, History], Answer]
    ) -> Answer:
        """Does what concerns a session at the server where it lives, or at the next one that is there."""

        def at_home(server: ModelServer, deadline: retry.Deadline) -> Answer:
            with self._histories.hold(session_id, deadline) as history:
                # What another server holds of the session may have been overtaken.
                history.must_replay |= history.target not in (None, server.target)
                history.target = server.target
                return work(server, deadline, history)

        return self._at_servers(session_id, at_home)

    def _at_servers(self, key: str, work: Callable[[ModelServer, retry.Deadline], Answer]) -> Answer:
        """Does something at the first server of the key's order that is there; the first one has the last word."""
        deadline = retry.Deadline(self._policy)
        first, *others = ranked(self._servers, key)
        for target in [first, *others] if others else ():
            try:
                with self._servers[target].asked():
                    return work(self._servers[target], deadline.without_retries())
            except grpc.RpcError as error:
                if not retry.is_retryable(error):
                    raise
        with self._servers[first].asked():
            return work(self._servers[first], deadline)

    def _ask(self, request: Message) -> Message:
        """Returns the answer of any server."""
        key = secrets.token_hex(8) if len(self._servers) > 1 else ""
        return self._at_servers(key, lambda server, deadline: self._predict(server, request, deadline)[0])

    def _predict(
        self, server: ModelServer, request: Message, deadline: retry.Deadline
    ) -> tuple[Message, int]:
        try:
            answer = server.predict(request, deadline)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                self._require_item_type(server, request, deadline)
            raise
        told, server.version = server.version, answer[0].model_spec.version.value
        if self._availability and server.version != told:
            self._tell_availability(server, self._availability, deadline)
        return answer

    def _require_item_type(self, server: ModelServer, request: Message, deadline: retry.Deadline) -> None:
        """Raises ValueError, which names an id, if the model takes ids of the other type than a refused request has."""
        inputs = signatures.SIGNATURES[request.model_spec.signature_name].inputs
        name = next((tensor.name for tensor in inputs if tensor.dtype == signatures.ITEM), None)
        if name is None:
            return
        ids = request.inputs[name]
        item_id, wanted = (
            (ids.string_val[0].decode(), "int64") if ids.string_val else (ids.int64_val[0], "string")
        )
        probe = self._choice.request(signatures.RECOMMEND.name)
        put_ids(probe, "item_ids", [signatures.pad_id(wanted)], 1, 1)
        if server.takes(probe, deadline):
            raise ValueError(f"The model's item ids have the type {wanted}. Received: {name}={item_id!r}.")


def _live_recommendations(response: Message) -> ServedRecommendations:
    length, status = int(get(response, "session_length")[0]), int(get(response, "status")[0])
    return _recommendations(response, length, signatures.Status(status))


def _recommendations(response: Message, length: int, status: signatures.Status) -> ServedRecommendations:
    ids = [value.decode() if isinstance(value, bytes) else int(value) for value in get(response, "item_ids")]
    scores = np.asarray(get(response, "scores"))
    n_items = int(np.count_nonzero(scores > -np.inf))  # the others are pads
    return ServedRecommendations(ids[:n_items], scores[:n_items], length, status)
