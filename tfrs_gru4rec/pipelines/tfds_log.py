"""From a TFDS data set of sessions to Arrow columns.

An example is a session: `item_ids` and `timestamps`, both [length]. TFDS parses examples one by one, which
takes many minutes for millions of short sessions; so records of the common layouts are parsed here some
thousands at once.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_gru4rec.checks import require
from tfrs_gru4rec.events.columns import LogColumn
from tfrs_gru4rec.events.reading_progress import Progress

_VECTORS = ("item_ids", "timestamps")
_OUR_BUILDER = "tfrs_gru4rec.datasets.{name}.{name}_dataset_builder"
_SESSIONS_AT_ONCE = 8192


def load_builder(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Any:
    """Returns the `tfds.core.DatasetBuilder` of a data set, prepared; arguments as for `SessionLog.from_tfds`.

    Raises:
      ValueError: there is no such data set, or its data is not there and `download` is off.
      FileNotFoundError: the raw files are not in `manual_dir`; the message says how to get them.
    """
    import tensorflow_datasets as tfds

    _import_our_builder(name.split("/")[0].split(":")[0])
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError:
        rule = f"There is no such data set; this library's are {', '.join(_our_names())}."
        raise ValueError(f"{rule} Received: name={name!r}.") from None
    if download:
        _prepare(builder, tfds.download.DownloadConfig(manual_dir=manual_dir))
    rule = "The data set must be prepared; let it be downloaded and prepared first."
    require(builder.is_prepared(), rule, name=name, data_dir=str(builder.data_dir))
    return builder


def _prepare(builder: Any, config: Any) -> None:
    try:
        builder.download_and_prepare(download_config=config)
    except AssertionError as error:  # TFDS's way to say that the folder is missing or empty
        if "Manual directory" not in str(error):
            raise
        how, place = builder.MANUAL_DOWNLOAD_INSTRUCTIONS, config.manual_dir and os.fspath(config.manual_dir)
        rule = f"manual_dir must be a folder with the raw files of {builder.name}. {how}"
        raise FileNotFoundError(f"{rule} Received: manual_dir={place!r}.") from error


def _our_names() -> list[str]:
    rooms = importlib.import_module(_OUR_BUILDER.partition(".{")[0]).__path__
    return sorted(module.name for module in pkgutil.iter_modules(rooms) if module.ispkg)


def _import_our_builder(name: str) -> None:
    """Imports the module that registers the builder of a name, if it is one of this library's."""
    module = _OUR_BUILDER.format(name=name)
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # ours, but something it needs is missing


def read_session_columns(builder: Any, split: str) -> list[LogColumn]:
    """Reads the session, item and time column of a split (or of a slice such as "train[:10%]") of a prepared data set.

    Each example is a session of its own.

    Raises:
      ValueError: the examples are not sessions, or the split is empty.
    """
    name, source = builder.info.full_name, f"{builder.info.full_name} {split}"
    _require_sessions(builder)
    progress = Progress(source)
    parts: dict[str, list[pa.Array]] = {key: [] for key in _VECTORS}
    lengths = []
    for batch in _batches(builder, split):
        (items, item_lengths), (times, time_lengths) = (batch[key] for key in _VECTORS)
        rule = "The item_ids and timestamps of a session must be of one length."
        require(np.array_equal(item_lengths, time_lengths), rule, name=name, split=split)
        parts["item_ids"].append(_arrow(items))
        parts["timestamps"].append(_arrow(times))
        lengths.append(item_lengths)
        progress.add(len(items))
    require(progress.count > 0, "A log must hold at least one event.", name=name, split=split)
    all_lengths = np.concatenate(lengths)
    sessions = pa.array(np.repeat(np.arange(len(all_lengths), dtype=np.int32), all_lengths))
    columns = {"session_id": [sessions], **parts}
    return [LogColumn(pa.chunked_array(c), {"data_set": source, "column": key}) for key, c in columns.items()]


def _require_sessions(builder: Any) -> None:
    info = builder.info
    rule = "Examples must be sessions, with the vectors item_ids and timestamps."
    is_session = all(key in info.features and info.features[key].shape == (None,) for key in _VECTORS)
    require(is_session, rule, name=info.full_name, features=str(info.features))
    file_format = info.file_format.value
    rule = "The data set must be stored in TFRecord files, as TFDS does by default."
    require(file_format == "tfrecord", rule, name=info.full_name, file_format=file_format)


_Vector = tuple[np.ndarray, np.ndarray]  # values of all sessions of a batch, and the sessions' lengths


def _batches(builder: Any, split: str) -> Iterator[dict[str, _Vector]]:
    features = builder.info.features
    fields = {key: _stored_field(features[key]) for key in _VECTORS}
    if None not in fields.values():
        yield from _parse_records(builder.info.splits[split].file_instructions, fields)
    else:
        yield from _parse_examples(builder, split)


def _stored_field(feature: Any) -> tuple[Any, np.dtype | None] | None:
    """How a vector lies in a record: what parses it, and its type if it lies there as raw bytes."""
    import tensorflow as tf

    stored = feature.get_serialized_info()
    if feature.to_json()["content"].get("encoding") == "bytes" and np.issubdtype(feature.np_dtype, np.number):
        return tf.io.FixedLenFeature((), tf.string), np.dtype(feature.np_dtype)
    if stored.shape == (None,):
        if np.issubdtype(stored.np_dtype, np.integer):
            return tf.io.RaggedFeature(tf.int64), None
        if stored.tf_dtype in (tf.float32, tf.string):
            return tf.io.RaggedFeature(stored.tf_dtype), None
    return None


def _parse_records(instructions: Any, fields: dict[str, Any]) -> Iterator[dict[str, _Vector]]:
    """Parses the records of each file, some thousands at once."""
    import tensorflow as tf

    specs = {key: spec for key, (spec, _) in fields.items()}
    for file in instructions:
        records = tf.data.TFRecordDataset(str(file.filename)).skip(file.skip).take(file.take)
        batches = records.batch(_SESSIONS_AT_ONCE).map(lambda batch: tf.io.parse_example(batch, specs))
        for batch in batches.prefetch(1):
            yield {key: _vector(batch[key], raw_type) for key, (_, raw_type) in fields.items()}


def _parse_examples(builder: Any, split: str) -> Iterator[dict[str, _Vector]]:
    """Lets TFDS parse examples one by one, whatever their layout."""
    import tensorflow_datasets as tfds

    in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    examples = builder.as_dataset(split=split, shuffle_files=False, read_config=in_order)
    examples = examples.map(lambda example: {key: example[key] for key in _VECTORS})
    for batch in examples.ragged_batch(_SESSIONS_AT_ONCE):
        yield {key: _vector(batch[key], None) for key in _VECTORS}


def _vector(batch: Any, raw_type: np.dtype | None) -> _Vector:
    if raw_type is None:
        return batch.flat_values.numpy(), batch.row_lengths().numpy()
    values = batch.numpy().tolist()
    lengths = np.fromiter(map(len, values), np.int64, len(values)) // raw_type.itemsize
    return np.frombuffer(b"".join(values), raw_type), lengths


def _arrow(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.binary()).cast(pa.string()) if values.dtype == object else pa.array(values)
