"""The serving contract: every signature of an exported model, for those who write clients.

Plain tables; importing this module loads neither TensorFlow nor NumPy. A model speaks
TF Serving's PredictionService: `Predict` with one of the signature names below.

Item ids are the raw ids of the training log: strings (bytes on the wire, compared as bytes) or,
if the log's ids were integers, int64; `ITEM` stands for whichever it is, and `GetModelMetadata`
tells which: the dtype of `serving_default`'s input `item_ids`. It tells `top_k` and `state_size`
too, as the shapes of `serving_default`'s output and `step_explicit`'s input. A session id is any
string of 1 to `MAX_SESSION_ID_BYTES` bytes that the client makes up, unique per live session.

Dimension 0 is the batch, 1 to `MAX_BATCH` rows, equal in all inputs and outputs of a call, so
TF Serving may merge requests. Rows of `item_ids` and `candidate_ids` are padded to a common length
with the pad id (`PAD_STRING` or `PAD_INTEGER`), which is skipped wherever it stands. When the
server merges requests, requests of one merge must have one length: pad to a fixed one (see
`padded_length`), as TF Serving's own `pad_variable_length_inputs` pads integers with 0, an item.

A malformed request (wrong rank or dtype, rows that do not match, an empty or too long id, a
negative position, a limit below passed, a state that is not finite) fails as a whole with
INVALID_ARGUMENT, and no session changes. Everything else is answered row by row; see `Status`.

In Python, `loaded = tf.saved_model.load(folder)` has them as `loaded.signatures`. Keep `loaded` as long as
they are called: the live sessions of `step`, `replay`, `score`, `end_session` and `stats` go with it.

Events of one session count from 1. `position` in `step` is the number the client gives to this
event, and `session_length` the number of events the server has accepted: see `Status`.
Two rows of one session in one request are taken in their order.
"""

import dataclasses
import enum

DEFAULT_MODEL_NAME = "gru4rec"

PAD_STRING = b""
PAD_INTEGER = -1

# Steps and replays of this session run in full and answer as for a new session, but nothing is stored.
# Warm-up requests and health probes use it.
WARM_UP_SESSION_ID = b"\x00warm-up"

# Embedded server: rows of one session in a `step`, those that repeat the row before them included. They take turns.
MAX_ROWS_OF_A_SESSION = 16
MAX_BATCH = 1024  # rows of a request, after any merging by the server
MAX_SESSION_EVENTS = 1 << 24  # of a live session; the next one is a GAP, and a replay begins anew
MAX_LENGTH = 1024  # columns of item_ids: the longest history that can be sent
MAX_CANDIDATES = 10_000  # columns of candidate_ids
MAX_EXCLUDED = 1024  # columns of exclude_ids
MAX_GROUPS = 64  # columns of allow_groups
SEEN_ITEMS = 50  # of a session's latest known items are remembered, for exclude_seen
MAX_SESSION_ID_BYTES = 128
MAX_ITEM_ID_BYTES = 256

ITEM = "item"  # placeholder dtype: "string" or "int64", fixed at export by the vocabulary
BATCH = "batch"
LENGTH = "length"
CANDIDATES = "candidates"
EXCLUDED = "excluded"
GROUPS = "groups"
TOP_K = "top_k"
STATE_SIZE = "state_size"


class Status(enum.IntEnum):
    """What became of one row's event, int32 in the output `status`.

    `step` with n = the events accepted before this row:

    | position          | item    | status         | what happened                                        |
    |-------------------|---------|----------------|------------------------------------------------------|
    | n + 1, or 0       | known   | `APPLIED`      | the event moved the session on; n grew by one        |
    | n + 1, or 0       | unknown | `UNKNOWN_ITEM` | n grew by one, nothing else changed                  |
    | 1 to n            | any     | `REPEATED`     | nothing; the answer is the one of the session as is  |
    | n + 2 or more     | any     | `GAP`          | nothing; send `replay`, the server lacks events      |
    | any but 1 to n, if n = `MAX_SESSION_EVENTS` | | `GAP` | nothing; send `replay` to number on from it |

    So an event sent with its position happens once however often it is sent. Position 0 appends
    without asking, and a retry of it counts twice. A session the server does not know, or has
    forgotten, has n = 0. `GAP` answers come from the session as is; an unknown one is not created.

    `replay` and `step_explicit` answer `APPLIED`, or `UNKNOWN_ITEM` if an item (of the row, in
    `replay`) is not in the vocabulary.
    """

    APPLIED = 0
    UNKNOWN_ITEM = 1
    REPEATED = 2
    GAP = 3


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One named input or output.

    Attributes:
      name: key in the request's or response's map.
      dtype: TensorFlow name of the dtype ("string", "int64", "int32", "float32", "bool"), or `ITEM`.
      shape: sizes by name (`BATCH`, `LENGTH`, …); `TOP_K` and `STATE_SIZE` are fixed at export.
      meaning: one sentence.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    meaning: str

    def resolved_dtype(self, item_dtype: str) -> str:
        """Returns the dtype with `ITEM` replaced by `item_dtype`, "string" or "int64"."""
        return item_dtype if self.dtype == ITEM else self.dtype

    def resolved_shape(self, **sizes: int) -> tuple[int | None, ...]:
        """Returns the shape with sizes filled in by name; None where no size is given.

        >>> RECOMMEND.outputs[0].resolved_shape(top_k=20)
        (None, 20)
        """
        return tuple(sizes.get(size) for size in self.shape)


@dataclasses.dataclass(frozen=True)
class Signature:
    """One entry point.

    Attributes:
      name: `signature_name` of the request's model spec.
      inputs: all of them are required.
      outputs: all of them are returned.
      meaning: what it does.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    meaning: str


_SESSION_ID = Tensor("session_id", "string", (BATCH,), "The session, an id the client made up; not empty.")
_ITEM_ID = Tensor("item_id", ITEM, (BATCH,), "The item clicked now; not the pad id.")
_ITEM_IDS = Tensor("item_ids", ITEM, (BATCH, LENGTH), "The session's items, oldest first, padded.")
_CANDIDATE_IDS = Tensor("candidate_ids", ITEM, (BATCH, CANDIDATES), "The items to score, padded.")
_TOP_IDS = Tensor(
    "item_ids", ITEM, (BATCH, TOP_K), "The recommended items, best first; pads if fewer may be recommended."
)
_TOP_SCORES = Tensor(
    "scores",
    "float32",
    (BATCH, TOP_K),
    "Their scores, falling; comparable within one row only; minus infinity for pads.",
)
_CANDIDATE_SCORES = Tensor(
    "scores",
    "float32",
    (BATCH, CANDIDATES),
    "Scores of the candidates; minus infinity for pads and items not in the vocabulary.",
)
_SESSION_LENGTH = Tensor(
    "session_length",
    "int64",
    (BATCH,),
    "Events accepted of this session, this row's included; 0 = not known.",
)
_STATUS = Tensor("status", "int32", (BATCH,), "What became of the row: see Status.")
_STATE = Tensor(
    "state", "float32", (BATCH, STATE_SIZE), "A session's whole state; zeros for a session with no event."
)

RECOMMEND = Signature(
    "recommend",
    inputs=(_ITEM_IDS,),
    outputs=(_TOP_IDS, _TOP_SCORES),
    meaning="Next items for sessions sent whole. Unknown items are skipped; a session with no known item "
    "gets popular items, scored by the logarithm of their share of the training events.",
)
SERVING_DEFAULT = dataclasses.replace(RECOMMEND, name="serving_default")
# In exports of a GRU and neighbours alone, for those who compare; no client is to rely on it.
RECOMMEND_GRU = dataclasses.replace(
    RECOMMEND,
    name="recommend_gru",
    meaning="As recommend, by the GRU's own scores: only in exports that add to them what neighbours say.",
)
STEP = Signature(
    "step",
    inputs=(
        _SESSION_ID,
        _ITEM_ID,
        Tensor("position", "int64", (BATCH,), "The event's number in its session, from 1; 0 = append."),
    ),
    outputs=(_TOP_IDS, _TOP_SCORES, _SESSION_LENGTH, _STATUS),
    meaning="One click of a live session, and the next items after it.",
)
REPLAY = Signature(
    "replay",
    inputs=(_SESSION_ID, _ITEM_IDS),
    outputs=(_TOP_IDS, _TOP_SCORES, _SESSION_LENGTH, _STATUS),
    meaning="Puts in place of whatever the server holds of a session the one these items make, each row "
    "at least one. session_length is the number of items sent: a client that sends only its latest items "
    "goes on numbering from there. Sending it twice does no harm.",
)
STEP_EXPLICIT = Signature(
    "step_explicit",
    inputs=(_ITEM_ID, _STATE),
    outputs=(_TOP_IDS, _TOP_SCORES, _STATE, _STATUS),
    meaning="One click, for clients that keep the state themselves: it comes with the request, the new one "
    "goes back. Only for the version that made it.",
)
_FILTERS = (
    Tensor("exclude_ids", ITEM, (BATCH, EXCLUDED), "Items not to recommend, padded."),
    Tensor(
        "exclude_seen", "bool", (BATCH,), f"Not to recommend the session's latest {SEEN_ITEMS} known items."
    ),
    Tensor(
        "allow_groups",
        "string",
        (BATCH, GROUPS),
        "Groups, as exported, to recommend from, padded by empty text; all items where a row names none.",
    ),
)
FILTERED = "_filtered"


def _filtered(signature: Signature) -> Signature:
    meaning = f"As {signature.name}, with filters in place of the export's own exclude_seen."
    inputs = (*signature.inputs, *_FILTERS)
    return dataclasses.replace(signature, name=f"{signature.name}{FILTERED}", inputs=inputs, meaning=meaning)


RECOMMEND_FILTERED, STEP_FILTERED, REPLAY_FILTERED, STEP_EXPLICIT_FILTERED = map(
    _filtered, (RECOMMEND, STEP, REPLAY, STEP_EXPLICIT)
)
STEPS = frozenset({STEP.name, STEP_FILTERED.name})
SET_AVAILABILITY = Signature(
    "set_availability",
    inputs=(
        Tensor("item_id", ITEM, (BATCH,), "The item; of rows that repeat it the last counts."),
        Tensor("available", "bool", (BATCH,), "Whether it may be recommended from now on."),
    ),
    outputs=(Tensor("known", "bool", (BATCH,), "Whether the model has the item."),),
    meaning="Changes what all signatures recommend, until the version is unloaded; the embedded server tells the next "
    "version. At first all items are available. Scores of chosen items stay as they are.",
)
SCORE = Signature(
    "score",
    inputs=(_SESSION_ID, _CANDIDATE_IDS),
    outputs=(_CANDIDATE_SCORES, _SESSION_LENGTH),
    meaning="Scores of chosen items for a live session, which stays as it is, its idle time set back.",
)
SCORE_ITEMS = Signature(
    "score_items",
    inputs=(_ITEM_IDS, _CANDIDATE_IDS),
    outputs=(_CANDIDATE_SCORES,),
    meaning="Scores of chosen items for sessions sent whole.",
)
END_SESSION = Signature(
    "end_session",
    inputs=(_SESSION_ID,),
    outputs=(Tensor("existed", "bool", (BATCH,), "Whether the server held the session."),),
    meaning="Forgets sessions. Rows that repeat a session of the same request answer alike.",
)
STATS = Signature(
    "stats",
    inputs=(Tensor("probe", "int32", (BATCH,), "Any value, as a request must have an input."),),
    outputs=(
        Tensor("live_sessions", "int64", (BATCH,), "Sessions held and not idle too long."),
        Tensor("capacity", "int64", (BATCH,), "Sessions that fit."),
        Tensor("hits", "int64", (BATCH,), "Look-ups by step and score that found their session."),
        Tensor("misses", "int64", (BATCH,), "Look-ups by step and score that did not."),
        Tensor("evictions", "int64", (BATCH,), "Live sessions that gave way to new ones for lack of room."),
        Tensor("expirations", "int64", (BATCH,), "Idle sessions whose place has been taken since."),
    ),
    meaning="Counters since the version was loaded, the same in every row.",
)

SIGNATURES: dict[str, Signature] = {
    signature.name: signature
    for signature in (
        SERVING_DEFAULT,
        RECOMMEND,
        STEP,
        REPLAY,
        STEP_EXPLICIT,
        RECOMMEND_FILTERED,
        STEP_FILTERED,
        REPLAY_FILTERED,
        STEP_EXPLICIT_FILTERED,
        SET_AVAILABILITY,
        SCORE,
        SCORE_ITEMS,
        END_SESSION,
        STATS,
    )
}


MAX_SIZES = {
    BATCH: MAX_BATCH,
    LENGTH: MAX_LENGTH,
    CANDIDATES: MAX_CANDIDATES,
    EXCLUDED: MAX_EXCLUDED,
    GROUPS: MAX_GROUPS,
}


def max_shape(signature: str, name: str) -> tuple[int | None, ...] | None:
    """Returns the largest shape that the contract allows an input; None if it does not know the input.

    >>> max_shape("score", "candidate_ids")
    (1024, 10000)
    """
    known = {**SIGNATURES, RECOMMEND_GRU.name: RECOMMEND_GRU}
    inputs = known[signature].inputs if signature in known else ()
    return next((tensor.resolved_shape(**MAX_SIZES) for tensor in inputs if tensor.name == name), None)


def pad_id(item_dtype: str) -> bytes | int:
    """Returns the pad id of a model whose item ids are "string" or "int64".

    >>> pad_id("string"), pad_id("int64")
    (b'', -1)
    """
    return PAD_STRING if item_dtype == "string" else PAD_INTEGER


def padded_length(length: int) -> int:
    """Returns the length to pad a row of ids to, so that few different lengths are in use.

    Args:
      length: number of ids, 1 to `MAX_LENGTH`.

    Returns:
      The least power of two, from 8, that is at least `length`.

    >>> padded_length(3), padded_length(9)
    (8, 16)
    """
    return max(8, 1 << (length - 1).bit_length())
