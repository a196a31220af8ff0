"""The TFDS builder of simulated shop sessions."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfrs_gru4rec.datasets.synthetic_sessions import synthetic_sessions_dataset_builder as module
from tfrs_gru4rec.datasets.synthetic_sessions.optimum import optimal_recall
from tfrs_gru4rec.datasets.synthetic_sessions.simulator import simulate, split_by_time
from tfrs_gru4rec.datasets.synthetic_sessions.world import SimulatorConfig

TINY = module.SyntheticSessionsConfig(
    name="tiny",
    simulator=SimulatorConfig(
        n_items=60, neighbourhood_size=10, n_sessions=200, n_days=7, test_days=2, max_length=12, seed=5
    ),
)


class SyntheticSessionsTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks of a builder: registration, preparation, reading back."""

    DATASET_CLASS = module.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [TINY]
    EXAMPLE_DIR = str(module.Builder.pkg_dir_path)
    OVERLAPPING_SPLITS = ["train", "train_tr", "valid"]
    SPLITS = {
        name: frame["SessionId"].nunique()
        for name, frame in split_by_time(TINY.simulator, simulate(TINY.simulator)).items()
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tfds"))
    builder = tfds.builder("synthetic_sessions", config=TINY, data_dir=folder)
    builder.download_and_prepare()
    return builder


def test_the_examples_are_the_simulated_sessions_in_order(prepared):
    expected = split_by_time(TINY.simulator, simulate(TINY.simulator))["test"]
    examples = list(tfds.as_numpy(prepared.as_dataset(split="test")))
    assert [int(one["session_id"]) for one in examples] == expected["SessionId"].unique().tolist()
    assert np.concatenate([one["item_ids"] for one in examples]).tolist() == expected["ItemId"].tolist()
    assert np.concatenate([one["timestamps"] for one in examples]).tolist() == expected["Time"].tolist()


def test_a_builder_that_only_reads_knows_the_optimum_of_the_test_split(prepared):
    reader = tfds.builder(
        "synthetic_sessions", config=TINY, data_dir=prepared.data_dir.split("synthetic_")[0]
    )
    test = split_by_time(TINY.simulator, simulate(TINY.simulator))["test"]
    for k in module.OPTIMUM_K:
        expected = optimal_recall(TINY.simulator, test, k)
        assert reader.info.metadata["optimal_recall"][str(k)] == pytest.approx(expected)
    assert SimulatorConfig(**reader.info.metadata["simulator"]) == TINY.simulator


def test_a_prepared_data_set_of_other_settings_is_not_taken_for_the_one_asked_for(prepared):
    other = dataclasses.replace(TINY.simulator, predictability=0.25)
    folder = prepared.data_dir.split("synthetic_")[0]
    with pytest.raises(ValueError, match=r"found={'predictability': 0.8}, wanted={'predictability': 0.25}"):
        tfds.builder(
            "synthetic_sessions",
            config=module.SyntheticSessionsConfig(name="tiny", simulator=other),
            data_dir=folder,
        )


def test_tfds_load_finds_the_data_set_by_name_once_the_module_is_imported(tmp_path):
    dataset, info = tfds.load(
        "synthetic_sessions",
        split="train",
        data_dir=str(tmp_path),
        with_info=True,
        builder_kwargs={"config": TINY},
    )
    assert info.features["item_ids"].np_dtype == np.int64
    assert len(dataset) == info.splits["train"].num_examples > 0


def test_the_named_shops_differ_where_their_names_say():
    shops = {config.name: config.simulator for config in module.Builder.BUILDER_CONFIGS}
    assert list(shops) == ["default", "noise", "predictable", "drift"]
    assert shops["noise"].predictability == 0.0
    assert shops["predictable"].predictability == 1.0
    assert shops["drift"].drift > 2 * shops["default"].drift
