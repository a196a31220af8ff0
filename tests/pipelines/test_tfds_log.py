"""Session logs from TFDS: our builders by name, and any other of session examples."""

import re

import numpy as np
import pytest
import tensorflow_datasets as tfds
from etils import epath

from tfrs_gru4rec.pipelines import tfds_log
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

from oracle import session_log as oracle


@pytest.fixture
def log_of(monkeypatch, tmp_path):
    """Prepares a TFDS data set of session examples and loads it as a log."""

    def load(examples, item_feature, time_feature, split="train", vocabulary=None, file_format="tfrecord"):
        made = builder_class(examples, item_feature, time_feature)
        builder = made(data_dir=tmp_path, file_format=file_format)
        builder.download_and_prepare()
        monkeypatch.setattr(tfds_log, "load_builder", lambda *arguments: builder)
        return SessionLog.from_tfds("made_sessions", split, vocabulary)

    return load


def builder_class(examples, item_feature, time_feature):
    class MadeSessions(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = epath.Path(__file__).parent
        code_path = epath.Path(__file__)

        def _info(self):
            features = {"item_ids": item_feature, "timestamps": time_feature, "session_id": np.int64}
            features = {key: feature for key, feature in features.items() if feature is not None}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(examples), "few": self._generate_examples(examples[:7])}

        def _generate_examples(self, examples):
            for number, (items, times) in enumerate(examples):
                example = {"session_id": number, "item_ids": items, "timestamps": times}
                yield number, {key: example[key] for key in self.info.features}

    return MadeSessions


def vector(dtype, encoding="none"):
    return tfds.features.Tensor(shape=(None,), dtype=dtype, encoding=encoding)


def random_examples(item_kind=int, time_kind=int):
    """Sessions as (items, times), the events of some out of time order."""
    generator = np.random.default_rng(0)
    examples = []
    for length in generator.integers(1, 7, 200).tolist():
        items = generator.integers(0, 30, length)
        times = generator.integers(0, 90, length)
        examples.append(([item_kind(item) for item in items], [time_kind(time) for time in times]))
    return examples


def expected_sessions(examples):
    events = [
        (number, item, time)
        for number, (items, times) in enumerate(examples)
        for item, time in zip(items, times, strict=True)
    ]
    return oracle.sessions_in_order(events)


def sessions_of(log):
    events = list(zip(log.vocabulary.ids[log.items].tolist(), log.times.tolist(), strict=True))
    return [events[a:b] for a, b in zip(log.offsets[:-1], log.offsets[1:], strict=True)]


INTEGERS = vector(np.int64)


@pytest.mark.parametrize(
    ("items", "times", "kinds"),
    [
        (vector(np.int64), vector(np.int64), (int, int)),
        (vector(np.int32), vector(np.float32), (int, lambda time: time + 0.5)),
        (vector(np.str_), vector(np.float64, "bytes"), (lambda item: f"i{item}", lambda time: time + 0.277)),
        (vector(np.int64, "bytes"), vector(np.int64, "bytes"), (int, int)),
        (tfds.features.Sequence(np.int64), tfds.features.Sequence(np.int64), (int, int)),
        (tfds.features.Sequence(tfds.features.Text()), vector(np.int64), (lambda item: f"{item:03}", int)),
        (vector(np.int64), vector(np.float64, "zlib"), (int, lambda time: time + 0.277)),
        (vector(np.int64), tfds.features.Sequence(tfds.features.Text()), (int, lambda time: str(100 + time))),
    ],
)
def test_examples_are_sessions(log_of, items, times, kinds):
    examples = random_examples(*kinds)
    log = log_of(examples, items, times)
    expected = expected_sessions(examples)
    if isinstance(expected[0][0][1], str):
        expected = [[(item, int(time)) for item, time in session] for session in expected]
    assert sessions_of(log) == expected


def test_other_file_formats_are_refused(log_of):
    rule = "must be stored in TFRecord files.*name='made_sessions/1.0.0', file_format='parquet'"
    with pytest.raises(ValueError, match=rule):
        log_of(random_examples(), INTEGERS, INTEGERS, file_format="parquet")


@pytest.mark.parametrize(
    ("split", "part"),
    [
        ("few", slice(7)),
        ("train[:25%]", slice(50)),
        ("train[50:60]", slice(50, 60)),
        ("train[-10:]", slice(190, 200)),
    ],
)
def test_splits_and_slices(log_of, split, part):
    examples = random_examples()
    assert sessions_of(log_of(examples, INTEGERS, INTEGERS, split)) == expected_sessions(examples[part])


def test_a_given_vocabulary(log_of):
    examples = [([1, 2, 3], [0, 1, 2]), ([2, 9, 1], [5, 6, 7])]
    log = log_of(examples, INTEGERS, INTEGERS, vocabulary=Vocabulary.from_items([2, 2, 1]))
    assert log.dropped_events == 2
    assert sessions_of(log) == [[(1, 0), (2, 1)], [(2, 5), (1, 7)]]


def test_more_sessions_than_are_parsed_at_once(log_of, monkeypatch):
    monkeypatch.setattr(tfds_log, "_SESSIONS_AT_ONCE", 64)
    examples = random_examples(str)
    assert sessions_of(log_of(examples, vector(np.str_), INTEGERS)) == expected_sessions(examples)


@pytest.mark.parametrize(
    ("examples", "items", "times", "message"),
    [
        ([([1, 2], [0])], INTEGERS, INTEGERS, "must be of one length. Received: name='made_sessions/1.0.0'"),
        (
            [([1], [0])],
            INTEGERS,
            INTEGERS,
            "two events or more. Received: data_set='made_sessions/1.0.0 train'",
        ),
        ([([], [])], INTEGERS, INTEGERS, "A log must hold at least one event."),
        ([([1, 2], [0, 1])], INTEGERS, None, "Examples must be sessions, with the vectors item_ids and"),
        ([(1, [0, 1])], np.int64, INTEGERS, "Examples must be sessions, with the vectors item_ids and"),
        ([([1, 2], ["1", "x"])], INTEGERS, vector(np.str_), "column='timestamps', row=2, value='x'."),
        ([([0.5, 1], [0, 1])], vector(np.float32), INTEGERS, "column='item_ids', row=1, value=0.5."),
    ],
)
def test_other_data_sets_are_refused(log_of, examples, items, times, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        log_of(examples, items, times)


def test_our_builders_need_no_import(tmp_path, repository):
    raw = repository / "datasets/movielens_sessions/dummy_data/ml-100k"
    arguments = {"data_dir": tmp_path, "manual_dir": raw}
    train = SessionLog.from_tfds("movielens_sessions/100k", **arguments)
    rows = [line.split("\t") for line in (raw / "u.data").read_text().splitlines()]
    assert 0 < train.n_events <= len(rows)
    assert set(train.vocabulary.ids.tolist()) <= {int(item) for _, item, _, _ in rows}
    test = SessionLog.from_tfds("movielens_sessions/100k", "test", train.vocabulary, **arguments)
    assert test.n_events > 0
    assert test.times.min() >= train.times.min()


def test_a_data_set_that_is_not_prepared(tmp_path):
    with pytest.raises(ValueError, match=r"must be prepared.*name='movielens_sessions/100k', data_dir="):
        SessionLog.from_tfds("movielens_sessions/100k", data_dir=tmp_path, download=False)


def test_a_name_of_nobody(tmp_path):
    names = (
        "coveo, diginetica, movielens_sessions, rees46, retailrocket, rsc15, synthetic_sessions, yoochoose"
    )
    message = f"There is no such data set; this library's are {names}. Received: name='no_such_sessions'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SessionLog.from_tfds("no_such_sessions", data_dir=tmp_path)


@pytest.mark.parametrize("given", [True, False])
def test_raw_files_that_are_not_there_are_asked_for(tmp_path, given):
    folder = tmp_path / "none" if given else None
    with pytest.raises(
        FileNotFoundError, match="raw files of retailrocket. .*events.csv.* Received: manual_dir="
    ):
        SessionLog.from_tfds("retailrocket", data_dir=tmp_path, manual_dir=folder)


def test_a_builder_of_ours_that_cannot_be_imported_is_no_unknown_name(tmp_path, run_fresh):
    # In a process of its own: TFDS knows a builder for good once its module was imported.
    code = f"""
import sys
sys.modules["tfrs_gru4rec.datasets.published"] = None
from tfrs_gru4rec.pipelines.session_log import SessionLog
try:
    SessionLog.from_tfds("coveo", data_dir={str(tmp_path)!r})
except ImportError as error:
    sys.exit(0 if "published" in str(error) else 1)
sys.exit(2)
"""
    assert run_fresh(code).returncode == 0
