"""What export_saved_model publishes, and what it refuses to."""

import gc
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from export_support import tiny_model
from serving_support import tiny_models
from tensorflow_serving.apis import prediction_log_pb2

from tfrs_gru4rec.config import GRU4RecConfig
from tfrs_gru4rec.export.saved_model import export_saved_model
from tfrs_gru4rec.export.serving_model import ServingModel
from tfrs_gru4rec.export.signatures import SIGNATURES
from tfrs_gru4rec.export.stock_operations import require_stock_operations
from tfrs_gru4rec.export.verification import sample_scores, verify
from tfrs_gru4rec.export.version_folders import WARM_UP_FILE
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.vocabulary import Vocabulary

N_ITEMS = 40
STRINGS = np.array([f"i{row}" for row in range(N_ITEMS)], object)
INTEGERS = np.arange(5, 5 + N_ITEMS)


def make_model(ids=STRINGS, seed=0, **settings):
    vocabulary = Vocabulary(ids, np.arange(len(ids), 0, -1))
    model = GRU4Rec(vocabulary, GRU4RecConfig(**{"layers": (4,), "seed": seed, **settings}))
    # Biases start at zero, where a forgotten one would not show.
    model.embedding.output_bias.assign(np.random.default_rng(seed).normal(size=len(ids)))
    return model


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A model and the folder it was published in, with room for a million sessions."""
    model = make_model()
    export_dir = tmp_path_factory.mktemp("shop")
    return model, Path(export_saved_model(model, export_dir, top_k=5))


@pytest.fixture(scope="module")
def loaded(published):
    """What was published, as TensorFlow loads it."""
    return tf.saved_model.load(str(published[1]))


def test_publishes_the_next_version_whole(published):
    _, folder = published
    assert (folder.name, [path.name for path in folder.parent.iterdir()]) == ("1", ["1"])
    assert {path.name for path in folder.iterdir()} >= {"saved_model.pb", "variables", "assets.extra"}


def test_only_the_weights_in_use_are_saved(published):
    model, folder = published
    names = {name for name, _ in tf.train.list_variables(f"{folder}/variables/variables")}
    # Shared embedding, its scoring copy and biases, the layer's three weights, availability, TensorFlow's object graph.
    assert len(names) == 8, names
    assert "train_steps" not in str(names)


def test_signatures_are_those_of_the_contract(loaded):
    assert set(loaded.signatures) == set(SIGNATURES)
    sizes = {"top_k": 5, "state_size": 5 + N_ITEMS}
    for name, signature in SIGNATURES.items():
        function = loaded.signatures[name]
        for tensors, specs in [
            (signature.inputs, function.structured_input_signature[1]),
            (signature.outputs, function.structured_outputs),
        ]:
            found = {key: (tuple(spec.shape), spec.dtype.name) for key, spec in specs.items()}
            assert found == {
                tensor.name: (tensor.resolved_shape(**sizes), tensor.resolved_dtype("string"))
                for tensor in tensors
            }


def test_warm_up_calls_every_signature_and_leaves_no_session(published, load):
    _, folder = published
    call = load(folder)
    called = []
    for record in tf.data.TFRecordDataset(str(folder / WARM_UP_FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        call(request.model_spec.signature_name, **inputs)
        called.append(request.model_spec.signature_name)
    assert sorted(called) == sorted(SIGNATURES)
    assert call("stats", probe=[0])["live_sessions"].tolist() == [0]


@pytest.mark.slow
def test_loads_in_a_process_without_the_package(published, run_fresh):
    ended = run_fresh(f"""
import sys
sys.modules["tfrs_gru4rec"] = None  # importing it would fail
import tensorflow as tf
path = {str(published[1])!r}
loaded = tf.saved_model.load(path)
step = loaded.signatures["step"]
first = step(session_id=tf.constant(["a"]), item_id=tf.constant(["i3"]), position=tf.constant([1], tf.int64))
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    definition = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def["step"]
    feeds = dict(session_id=["a"], item_id=["i3"], position=[1])
    feeds = {{definition.inputs[name].name: value for name, value in feeds.items()}}
    second = session.run({{name: tensor.name for name, tensor in definition.outputs.items()}}, feeds)
for name in ("item_ids", "status", "session_length"):
    assert (first[name].numpy() == second[name]).all(), name
# Scores are sums of 5 terms below 4, which the loaders may round each in its own order: 2 * 5 * 4 * 1.2e-7.
assert abs(first["scores"].numpy() - second["scores"]).max() < 5e-6
print(second["status"], second["session_length"], len(second["item_ids"][0]))
""")
    assert ended.stdout.strip() == "[0] [1] 5", ended.stderr


def test_two_loads_in_one_process_do_not_share_sessions(published, loaded):
    other = tf.saved_model.load(str(published[1]))
    lengths = [
        model.signatures["step"](
            session_id=tf.constant(["a"]), item_id=tf.constant(["i1"]), position=tf.constant([0], tf.int64)
        )["session_length"].numpy()
        for model in (loaded, loaded, other)
    ]
    assert lengths == [[1], [2], [1]]


def test_a_signature_for_whole_sessions_outlives_the_loaded_model(published, loaded):
    recommend = tf.saved_model.load(str(published[1])).signatures["recommend"]
    gc.collect()
    item_ids = tf.constant([["i3", "i5"]])
    expected = loaded.signatures["recommend"](item_ids=item_ids)
    assert recommend(item_ids=item_ids)["item_ids"].numpy().tolist() == expected["item_ids"].numpy().tolist()


def test_a_million_sessions_weigh_nothing_on_disk(published, loaded):
    stats = loaded.signatures["stats"](probe=tf.constant([0]))
    assert stats["capacity"].numpy().tolist() == [1_000_000]
    assert sum(path.stat().st_size for path in published[1].rglob("*") if path.is_file()) < 1_000_000


ONE_HOT = {"constrained_embedding": False}
VARIANTS = {
    "shared": (STRINGS, {"layers": (6,), "loss": "cross-entropy", "logq": 1.0}),
    "shared, two layers": (INTEGERS, {"layers": (6, 8), "loss": "bpr-max", "final_act": "elu-0.5"}),
    "separate": (STRINGS, {**ONE_HOT, "embedding": 7, "layers": (8, 5), "loss": "bpr", "reset_after": True}),
    "one-hot": (INTEGERS, {**ONE_HOT, "layers": (5,), "loss": "top1-max", "final_act": "tanh"}),
    "one-hot, two layers": (STRINGS, {**ONE_HOT, "layers": (5, 6), "loss": "top1"}),
}


def traced(serving_model):
    """Returns a function that calls `step` and `recommend` as they are before they are saved."""
    serving_model.sessions.initialize()
    text, item, number = (
        tf.TensorSpec([None], dtype) for dtype in ("string", serving_model.catalogue.item_dtype, "int64")
    )
    row = tf.TensorSpec([None, None], item.dtype)
    functions = {
        "step": tf.function(serving_model.step, autograph=False, input_signature=[text, item, number]),
        "recommend": tf.function(serving_model.recommend, autograph=False, input_signature=[row]),
    }

    def call(name, **inputs):
        return {key: value.numpy() for key, value in functions[name](*inputs.values()).items()}

    return call


# Saving and loading takes most of the time: each kind of model is saved in the long version.
@pytest.mark.parametrize("is_saved", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_step_after_step_equals_recommend_and_the_model(variant, is_saved, tmp_path, load):
    ids, settings = VARIANTS[variant]
    model = make_model(ids, **settings)
    serving_model = ServingModel(model, model.vocabulary, N_ITEMS, 100, 3600.0, exclude_seen=False)
    call = load(tiny_model.save(tmp_path, serving_model)) if is_saved else traced(serving_model)
    rows = np.random.default_rng(5).integers(N_ITEMS, size=[3, 6])
    for length in range(1, 7):
        prefix = rows[:, :length]
        last, positions = ids[prefix[:, -1]], [length] * len(rows)
        stepped = call("step", session_id=["a", "b", "c"], item_id=last, position=positions)
        whole = call("recommend", item_ids=ids[prefix])
        query, _ = model(tf.constant(prefix, tf.int32))
        expected = model.scores(query).numpy()
        for outputs in (stepped, whole):
            wanted = np.take_along_axis(expected, rows_of(model.vocabulary, outputs["item_ids"]), axis=1)
            np.testing.assert_allclose(outputs["scores"], wanted, 1e-5, 1e-5)
            assert (np.diff(outputs["scores"]) <= 0).all()
        np.testing.assert_allclose(stepped["scores"], whole["scores"], 1e-5, 1e-5)


def rows_of(vocabulary, item_ids):
    """Returns the rows of served ids, of any shape; strings come back as bytes."""
    plain = [item.decode() if isinstance(item, bytes) else item for item in item_ids.ravel()]
    return vocabulary.rows(plain).reshape(item_ids.shape)


def test_a_model_that_diverged_is_not_published(tmp_path):
    model = make_model()
    model.embedding.output_bias.assign([np.nan] * N_ITEMS)
    with pytest.raises(ValueError, match="must be finite"):
        export_saved_model(model, tmp_path, max_sessions=100)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_scores_otherwise_is_refused(published):
    other = make_model(seed=1)
    with pytest.raises(ValueError, match="must score like the model"):
        verify(published[1], other.vocabulary, sample_scores(other, other.vocabulary))


def test_a_warm_up_that_leaves_a_session_is_refused(published, tmp_path):
    model, folder = published
    copied = Path(shutil.copytree(folder, tmp_path / "1"))
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(tiny_models.step_request("somebody", STRINGS[0]))
    with tf.io.TFRecordWriter(str(copied / WARM_UP_FILE)) as writer:
        writer.write(log.SerializeToString())
    with pytest.raises(ValueError, match="leave no session behind. Received: live_sessions=1"):
        verify(copied, model.vocabulary, sample_scores(model, model.vocabulary))


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    # The system refuses to let any file of this process grow further, as on a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be written"):
            export_saved_model(make_model(), tmp_path / "shop", max_sessions=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((tmp_path / "shop").iterdir()) == []


def test_operations_that_a_server_lacks_are_refused(tmp_path):
    module = tf.Module()
    module.call = tf.function(lambda x: tf.py_function(lambda y: y, [x], tf.float32))
    signature = module.call.get_concrete_function(tf.TensorSpec([]))
    tf.saved_model.save(module, str(tmp_path), signatures=signature)
    with pytest.raises(ValueError, match="stock operations.*EagerPyFunc"):
        require_stock_operations(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_k": N_ITEMS + 1}, "top_k must be at most"),
        ({"top_k": N_ITEMS, "exclude_seen": True}, "top_k must be at most"),
        ({"top_k": 0}, "top_k must be greater than 0"),
        ({"max_sessions": 0}, "max_sessions must be greater than 0"),
        ({"idle_seconds": 0.0}, "idle_seconds must be greater than 0"),
    ],
)
def test_arguments_out_of_range(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export_saved_model(make_model(), tmp_path, **arguments)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([3, -1, 4]), "-1 pads"),
        (np.array(["a", ""], object), "empty item id pads"),
        (np.array(["a", "ü" * 129], object), "at most 256 bytes"),
    ],
)
def test_item_ids_that_cannot_be_served(tmp_path, ids, message):
    with pytest.raises(ValueError, match=message):
        export_saved_model(make_model(ids), tmp_path, top_k=1)


def test_one_weight_that_is_not_finite_among_all_is_found(tmp_path):
    # An input row that the eight sample sessions do not have, in a model whose inputs are not its outputs.
    model = make_model(**VARIANTS["separate"][1])
    inputs = next(weight for weight in model.trainable_variables if weight.shape == (N_ITEMS, 7))
    sampled = set(sample_scores(model, model.vocabulary).item_rows.ravel().tolist())
    row = next(row for row in range(N_ITEMS) if row not in sampled)
    inputs.scatter_nd_update([[row, 3]], [np.inf])
    assert np.isfinite(sample_scores(model, model.vocabulary).scores).all()
    with pytest.raises(ValueError, match="weights must be finite.*not_finite=1"):
        export_saved_model(model, tmp_path, max_sessions=100)
    assert list(tmp_path.iterdir()) == []
