"""Going on from an old model: what is carried over bit by bit, and what is learned."""

import numpy as np
import pandas as pd
import pytest

from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig, WarmStartConfig
from tfrs_gru4rec.evaluation import evaluate
from tfrs_gru4rec.models import GRU4Rec
from tfrs_gru4rec.pipelines.session_log import SessionLog
from tfrs_gru4rec.training import ModelFolder, fit, load_model
from tfrs_gru4rec.training.fit import make_optimizer
from tfrs_gru4rec.upkeep import carried_rows
from tfrs_gru4rec.upkeep.warm_start import WarmStart, keep_last_seen

import tensorflow as tf  # isort: skip

ARRANGEMENTS = {
    "shared": {},
    "separate": {"constrained_embedding": False, "embedding": 3},
    "one-hot": {"constrained_embedding": False},
}
TRAINING = TrainingConfig(batch_size=4, n_epochs=1, learning_rate=0.1, momentum=0.2)


def ring(items, n_sessions, first_time, seed=0):
    """Sessions that walk along a ring of items."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 7, n_sessions)
    firsts = np.repeat(rng.integers(0, len(items), n_sessions), lengths)
    steps = np.concatenate([np.arange(length) for length in lengths])
    frame = pd.DataFrame({"SessionId": first_time + np.repeat(np.arange(n_sessions), lengths)})
    frame["ItemId"] = [items[place % len(items)] for place in firsts + steps]
    frame["Time"] = first_time + np.arange(len(frame))
    return frame


OLD_RING, NEW_RING = [f"old-{n}" for n in range(10)], [f"new-{n}" for n in range(6)]
DAY_1 = SessionLog.from_frame(ring(OLD_RING, 30, 0))
DAY_2_FRAME = pd.concat([ring(OLD_RING[:6], 40, 10_000), ring(NEW_RING, 40, 20_000)])
DAY_2 = SessionLog.from_frame(DAY_2_FRAME)


def config(**settings):
    return GRU4RecConfig(**{"layers": (6,), "n_sample": 5, **settings})


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def old(request, tmp_path_factory):
    """An old model of each arrangement, still in memory with its optimizer, and its folder."""
    folder = ModelFolder(tmp_path_factory.mktemp(request.param))
    model = GRU4Rec(DAY_1.vocabulary, config(**ARRANGEMENTS[request.param]))
    fit(model, DAY_1, TRAINING, folder)
    return model, folder


def started(folder, model_config, training=TRAINING, **options):
    start = WarmStart(folder.path, DAY_2, WarmStartConfig(**options))
    model = GRU4Rec(start.log.vocabulary, model_config)
    model.compile(make_optimizer(training))
    start.apply(model)
    return start, model


def by_item(model, table):
    return dict(zip(model.vocabulary.ids, table.numpy(), strict=True))


def tables(model):
    embedding = model.embedding
    return [embedding.output_table, embedding.output_bias, embedding.input_table]


def slots(model):
    """Accumulators and velocities, by the weight they belong to."""
    weights = [variable.name for variable in model.trainable_variables]
    both = zip(model.optimizer._accumulators, model.optimizer._velocities, strict=True)
    return dict(zip(weights, both, strict=True))


def test_weights_of_known_items_are_the_same_bits(old):
    old_model, folder = old
    _, model = started(folder, old_model.config)
    fresh = GRU4Rec(model.vocabulary, old_model.config)
    assert set(NEW_RING) < set(model.vocabulary.ids)
    for old_table, table, fresh_table in zip(*map(tables, (old_model, model, fresh)), strict=True):
        was, now, initial = (
            by_item(old_model, old_table),
            by_item(model, table),
            by_item(fresh, fresh_table),
        )
        for item in OLD_RING:
            np.testing.assert_array_equal(now[item], was[item])
        for item in NEW_RING:
            np.testing.assert_array_equal(now[item], initial[item])
    for old_weight, weight in zip(old_model.tower.variables, model.tower.variables, strict=True):
        np.testing.assert_array_equal(weight, old_weight)


def test_optimizer_slots_go_with_their_rows(old):
    old_model, folder = old
    _, model = started(folder, old_model.config)
    was, now = slots(old_model), slots(model)
    assert was.keys() == now.keys()
    for name, pair in now.items():
        for kind, (old_slot, slot) in enumerate(zip(was[name], pair, strict=True)):
            if "item_embedding" not in name:
                np.testing.assert_array_equal(slot, old_slot)
                continue
            before, after = by_item(old_model, old_slot), by_item(model, slot)
            assert all(np.array_equal(after[item], before[item]) for item in OLD_RING)
            start = (1e-6, 0.0)[kind]
            assert all(np.array_equal(after[item], np.full_like(after[item], start)) for item in NEW_RING)
    assert any(np.any(by_item(model, now[tables(model)[0].name][0])[item] > 1e-5) for item in OLD_RING)
    assert int(model.optimizer.iterations) == int(old_model.optimizer.iterations) > 0


def test_optimizer_can_be_reset(old):
    old_model, folder = old
    _, model = started(folder, old_model.config, reset_optimizer=True)
    for accumulator, velocity in slots(model).values():
        assert np.all(accumulator.numpy() == np.float32(1e-6))
        assert np.all(velocity.numpy() == 0)
    _, other = started(folder, old_model.config, TrainingConfig(optimizer="adam"), reset_optimizer=True)
    np.testing.assert_array_equal(other.embedding.output_table, model.embedding.output_table)


def test_new_items_may_start_among_their_neighbours(tmp_path):
    folder = ModelFolder(tmp_path / "m")
    old_model = GRU4Rec(DAY_1.vocabulary, config())
    fit(old_model, DAY_1, TRAINING, folder)
    frame = pd.DataFrame({"SessionId": [1, 1, 1], "ItemId": ["old-2", "x", "old-7"], "Time": [1, 2, 3]})
    start = WarmStart(folder.path, SessionLog.from_frame(frame), WarmStartConfig(new_item_rows="neighbours"))
    model = GRU4Rec(start.log.vocabulary, config())
    model.compile(make_optimizer(TRAINING))
    start.apply(model)
    for old_table, table in zip(tables(old_model), tables(model), strict=True):
        was, now = by_item(old_model, old_table), by_item(model, table)
        np.testing.assert_allclose(now["x"], (was["old-2"] + was["old-7"]) / 2, rtol=1e-6)
        assert all(np.array_equal(now[item], was[item]) for item in OLD_RING)


def test_adam_goes_on_too(tmp_path):
    training = TrainingConfig(batch_size=4, n_epochs=1, optimizer="adam", learning_rate=0.01)
    folder = ModelFolder(tmp_path / "m")
    old_model = GRU4Rec(DAY_1.vocabulary, config())
    fit(old_model, DAY_1, training, folder)
    lower = TrainingConfig(batch_size=4, optimizer="adam", learning_rate=0.002)
    _, model = started(folder, config(), lower)
    assert int(model.optimizer.iterations) == int(old_model.optimizer.iterations) > 0
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)
    found = [v.numpy() for v in model.optimizer.variables if "output_table" in v.name]
    expected = [v.numpy() for v in old_model.optimizer.variables if "output_table" in v.name]
    assert len(found) == len(expected) == 2  # first and second moments
    for value, old_value in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value[: len(OLD_RING)], old_value)
        assert np.all(value[len(OLD_RING) :] == 0)
        assert np.any(old_value != 0)


@pytest.mark.usefixtures("longer_run")
def test_new_items_are_learned_and_old_ones_kept(tmp_path):
    training = TrainingConfig(batch_size=4, n_epochs=6, learning_rate=0.2)
    settings = config(layers=(16,), n_sample=8)
    first, second = ModelFolder(tmp_path / "day1"), ModelFolder(tmp_path / "day2")
    day_1 = SessionLog.from_frame(ring(OLD_RING, 60, 0))
    stale = GRU4Rec(day_1.vocabulary, settings)
    fit(stale, day_1, training, first)
    day_2 = pd.concat([ring(OLD_RING, 15, 10_000, seed=2), ring(NEW_RING, 45, 20_000)])
    start = WarmStart(first.path, SessionLog.from_frame(day_2))
    model = GRU4Rec(start.log.vocabulary, settings)
    fit(model, start.log, training, second, prepare=start.apply)

    def recall(model, items):
        test = SessionLog.from_frame(ring(items, 30, 30_000, seed=5), vocabulary=model.vocabulary)
        return evaluate(model, test).recall(1)

    assert recall(model, NEW_RING) > 0.95
    assert recall(model, OLD_RING) >= recall(stale, OLD_RING) - 0.05
    assert recall(stale, OLD_RING) > 0.95

    # The same call again goes on from the folder's own checkpoint, not from the old model.
    again = GRU4Rec(start.log.vocabulary, settings)
    fit(again, start.log, training, second, prepare=start.apply)
    np.testing.assert_array_equal(again.embedding.output_table, model.embedding.output_table)


def test_items_unseen_for_long_are_retired_over_several_days(tmp_path):
    day = 86_400
    seen = [("Mon", "abcd", 0), ("Tue", "abc", day), ("Wed", "abx", 2 * day)]
    folder = None
    for name, items, time in seen:
        frame = pd.DataFrame({"SessionId": 1, "ItemId": list(items), "Time": time + np.arange(len(items))})
        log = SessionLog.from_frame(frame)
        last_seen, prepare = carried_rows.last_seen(log), None
        if folder is not None:
            start = WarmStart(folder.path, log, WarmStartConfig(retire_after_days=1.5))
            log, last_seen, prepare = start.log, start.last_seen, start.apply
        folder = ModelFolder(tmp_path / name)
        model = GRU4Rec(log.vocabulary, config(seed=3))
        fit(model, log, TRAINING, folder, prepare=prepare)
        keep_last_seen(folder, log.vocabulary, last_seen)
    # By Wednesday d was last seen two days ago and goes; c, seen yesterday, stays.
    assert sorted(load_model(folder.path).vocabulary.ids) == ["a", "b", "c", "x"]
    assert (start.summary()["retired_items"], start.summary()["new_items"]) == (1, 1)


def test_refuses_another_shape_or_optimizer(old):
    old_model, folder = old
    settings = old_model.config.to_dict()
    with pytest.raises(ValueError, match=r"keeps the old model's shape.*layers.*\(6,\), \(7,\)"):
        started(folder, GRU4RecConfig.from_dict({**settings, "layers": [7]}))
    with pytest.raises(ValueError, match="--reset_optimizer"):
        started(folder, old_model.config, TrainingConfig(optimizer="adam"))
    with pytest.raises(ValueError, match="--reset_optimizer"):
        started(folder, old_model.config, TrainingConfig(momentum=0.0))


def test_refuses_a_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="There is no trained model in this folder"):
        WarmStart(tmp_path, DAY_2)


def test_settings_out_of_range():
    for settings in ({"new_item_rows": "zero"}, {"retire_after_days": -1}, {"count_decay": 1.5}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            WarmStartConfig(**settings)


def test_sampler_draws_by_the_new_log(old):
    old_model, folder = old
    start, model = started(
        folder, GRU4RecConfig.from_dict({**old_model.config.to_dict(), "sample_alpha": 1.0})
    )
    drawn = np.bincount(model.sampler.sample(40_000, tf.constant([1, 2])).numpy(), minlength=16) / 40_000
    counts = DAY_2_FRAME["ItemId"].value_counts().reindex(start.log.vocabulary.ids).fillna(1).to_numpy()
    np.testing.assert_allclose(drawn, counts / counts.sum(), atol=0.01)


def test_a_log_that_shares_no_item_is_warned_of(old, caplog):
    _, folder = old
    WarmStart(folder.path, DAY_2)
    assert "None of the" not in caplog.text
    WarmStart(folder.path, SessionLog.from_frame(ring(NEW_RING, 5, 20_000)))
    assert "None of the 6 items of the new log is known to the model in" in caplog.text
