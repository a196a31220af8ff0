"""Which version is served, while folders come, go and turn out to be broken."""

import shutil
import threading
import weakref

import grpc
import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from tfrs_gru4rec.export import version_folders
from tfrs_gru4rec.export.serving import errors, memory, servable, versions
from tfrs_gru4rec.export.serving.config import ServerConfig

ANY = model_pb2.ModelSpec(name="gru4rec")


def settings(tmp_path) -> ServerConfig:
    return ServerConfig(tmp_path / "export", version_labels={"stable": 1, "next": 2})


@pytest.fixture
def manager(publish, tmp_path):
    made = versions.Versions(settings(tmp_path))
    yield made
    made.close()


def states(manager) -> dict[int, int]:
    return {status.version: status.state for status in manager.statuses(ANY)}


def test_serves_nothing_before_the_first_version(manager):
    manager.poll()
    assert manager.serving_version() is None
    with pytest.raises(errors.NotServed), manager.lease(ANY):
        pass
    with pytest.raises(errors.NotServed):
        manager.statuses(ANY)


def test_serves_the_largest_number(manager, publish, tmp_path):
    for version in (9, 10):
        publish(version)
    for name in ("11.tmp", "-12", "abc", "9" * 30):
        (tmp_path / "export" / name).mkdir()
    (tmp_path / "export" / "13").write_text("no folder")
    manager.poll()
    assert manager.serving_version() == 10
    assert states(manager) == {10: ModelVersionStatus.AVAILABLE}


def test_a_new_version_takes_over_and_the_old_is_unloaded(manager, publish):
    publish(1)
    manager.poll()
    publish(2, source=2)
    manager.poll()
    assert states(manager) == {2: ModelVersionStatus.AVAILABLE, 1: ModelVersionStatus.END}
    with manager.lease(ANY) as model:
        assert model.version == 2
    with pytest.raises(errors.NotServed), manager.lease(_spec(version=1)):
        pass


def _spec(version: int | None = None, label: str | None = None, name: str = "gru4rec") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=name)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def test_a_replaced_version_leaves_no_graph_behind(manager, publish):
    publish(1)
    manager.poll()
    with manager.lease(ANY) as model:
        graph = weakref.ref(model._session.graph)
    del model
    publish(2)
    manager.poll()
    assert graph() is None


def test_a_call_under_way_keeps_its_version_alive(manager, publish):
    publish(1)
    manager.poll()
    signature_runs = []
    with manager.lease(ANY) as model:
        publish(2)
        poll = threading.Thread(target=manager.poll)
        poll.start()
        _until(lambda: manager.serving_version() == 2)
        poll.join(0.2)
        assert poll.is_alive()  # waits for this lease
        assert states(manager)[1] == ModelVersionStatus.UNLOADING
        signature_runs.append(model.signature("stats").name)
    poll.join(30.0)
    assert not poll.is_alive()
    assert states(manager)[1] == ModelVersionStatus.END


def _until(condition) -> None:
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("It did not come true in 30 s.")


def _without_graph(folder):
    (folder / "saved_model.pb").unlink()


def _cut_graph(folder):
    path = folder / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-100])


def _noise(folder):
    (folder / "saved_model.pb").write_bytes(b"\x00\xff" * 1000)


def _without_index(folder):
    (folder / "variables" / "variables.index").unlink()


def _cut_index(folder):
    path = folder / "variables" / "variables.index"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def _broken_warm_up(folder):
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"not a record" * 10)


DAMAGES = (_without_graph, _cut_graph, _noise, _without_index, _cut_index, _empty, _broken_warm_up)


def _read_file(folder):
    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph.meta_graphs[0].graph_def.library.function[0].node_def.add(op="ReadFile", name="read")
    (folder / "saved_model.pb").write_bytes(graph.SerializeToString())


def _link_to_file(folder):
    index = folder / "variables" / "variables.index"
    index.unlink()
    index.symlink_to(folder.parents[1] / "elsewhere")


def _link_to_folder(folder):
    shutil.rmtree(folder)
    folder.symlink_to(folder.with_name("1"))


@pytest.mark.parametrize(
    ("disguise", "told"),
    [(_read_file, "ReadFile"), (_link_to_file, "2/variables/variables.index"), (_link_to_folder, "links")],
)
def test_what_is_not_to_be_trusted_is_not_even_loaded(publish, tmp_path, disguise, told):
    loaded = []

    def load(path, version, config):
        loaded.append(version)
        return servable.Servable(path, version, config)

    manager = versions.Versions(settings(tmp_path), load=load)
    publish(1)
    disguise(publish(2))
    manager.poll()
    assert loaded == [1]
    [refused] = manager.statuses(_spec(version=2))
    assert told in refused.message
    assert str(tmp_path) not in refused.message
    manager.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_version_is_passed_over_and_reported(manager, publish, tmp_path, damage):
    publish(1)
    manager.poll()
    damage(publish(2))
    for _ in range(2):
        manager.poll()
        assert manager.serving_version() == 1
    (broken,) = manager.statuses(_spec(version=2))
    assert broken.state == ModelVersionStatus.END
    assert broken.code is not grpc.StatusCode.OK
    assert broken.message
    assert str(tmp_path) not in broken.message
    assert states(manager)[1] == ModelVersionStatus.AVAILABLE


def test_a_broken_version_is_not_in_the_way_at_start(manager, publish):
    publish(1)
    _empty(publish(2))
    manager.poll()
    assert manager.serving_version() == 1


def test_a_broken_version_is_tried_again_when_its_files_change_and_after_waits_that_grow(publish, tmp_path):
    tries, clock = [], [1000.0]

    def load(path, version, config):
        tries.append(version)
        return servable.Servable(path, version, config)

    manager = versions.Versions(settings(tmp_path), load=load, now=lambda: clock[0])
    publish(1)
    whole = publish(2)
    index = whole / "variables" / "variables.index"
    content = index.read_bytes()
    index.unlink()
    for _ in range(3):
        manager.poll()
    assert tries == [2, 1]
    for wait in (1.0, 2.0, 4.0):
        clock[0] += wait - 0.125
        manager.poll()
        clock[0] += 0.125
        tries.clear()
        manager.poll()
        assert tries == [2]
        manager.poll()
        assert tries == [2]
    index.write_bytes(content)
    manager.poll()
    assert tries == [2, 2]
    assert manager.serving_version() == 2
    assert manager.statuses(_spec(version=2))[0].code is grpc.StatusCode.OK
    manager.close()


def test_a_failure_that_passes_is_got_over(publish, tmp_path):
    clock, is_broken, told = [0.0], [True], []

    def load(path, version, config):
        if is_broken[0]:
            raise MemoryError("just now")
        return servable.Servable(path, version, config)

    def on_load(version, published):
        told.append((version, published is not None))

    manager = versions.Versions(settings(tmp_path), on_load, load=load, now=lambda: clock[0])
    publish(1)
    manager.poll()
    is_broken[0] = False
    manager.poll()
    assert manager.serving_version() is None
    clock[0] = 1.0
    manager.poll()
    assert manager.serving_version() == 1
    assert told == [(1, False), (1, True)]
    manager.close()


def test_a_version_that_does_not_fit_in_memory_leaves_the_old_one_in_service(publish, tmp_path):
    free = [1 << 40]
    manager = versions.Versions(settings(tmp_path), available_bytes=lambda: free[0])
    publish(1)
    manager.poll()
    publish(2)
    free[0] = 1000
    manager.poll()
    assert manager.serving_version() == 1
    [refused] = manager.statuses(_spec(version=2))
    assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "0 MiB are free" in refused.message
    manager.close()


def test_the_memory_of_sessions_is_part_of_the_estimate(real_export):
    # 4,096 sessions of a length, a flag, 16 units and 50 items seen, with 24 bytes each, and a spare bucket of 64.
    sessions = (4096 + 64) * (4 * 68 + 24)
    weights = 200 * 16 * 4 + 16 * 48 * 4
    graph = 4 * (real_export / "saved_model.pb").stat().st_size
    found = memory.required_bytes(real_export)
    # Beside these: a copy of the items' weights, biases, the counters.
    assert sessions + weights + graph < found < sessions + 4 * weights + graph
    assert memory.available_bytes() > 0


def test_the_version_in_service_is_never_swept(manager, publish, tmp_path):
    publish(1)
    manager.poll()
    for version in (2, 3):
        publish(version)
    version_folders.remove_old_versions(tmp_path / "export", keep_versions=1)
    assert list(version_folders.version_folders(tmp_path / "export")) == [1, 3]
    manager.poll()
    version_folders.remove_old_versions(tmp_path / "export", keep_versions=1)
    assert list(version_folders.version_folders(tmp_path / "export")) == [3]


def test_taking_a_version_away_rolls_back(manager, publish):
    publish(1)
    newest = publish(2)
    manager.poll()
    shutil.rmtree(newest)
    manager.poll()
    assert manager.serving_version() == 1


def test_the_last_version_stays_when_all_folders_go(manager, publish, tmp_path):
    shutil.rmtree(publish(1))
    publish(2)
    manager.poll()
    shutil.rmtree(tmp_path / "export")
    manager.poll()
    assert manager.serving_version() == 2


def test_model_specs(manager, publish):
    publish(1)
    manager.poll()
    for spec in (_spec(), _spec(version=1), _spec(label="stable")):
        with manager.lease(spec) as model:
            assert model.version == 1
    for spec, error in (
        (_spec(name=""), errors.InvalidRequest),
        (_spec(name="other"), errors.NotServed),
        (_spec(version=7), errors.NotServed),
        (_spec(label="next"), errors.NotServed),
        (_spec(label="nobody"), errors.InvalidRequest),
    ):
        with pytest.raises(error), manager.lease(spec):
            pass
        with pytest.raises(error):
            manager.statuses(spec)


def test_closing_unloads(manager, publish):
    publish(1)
    manager.poll()
    manager.close()
    assert manager.serving_version() is None
    assert states(manager) == {1: ModelVersionStatus.END}


def test_tells_of_a_bounded_number_of_ended_versions(publish, tmp_path):
    (tmp_path / "export").mkdir(exist_ok=True)
    manager = versions.Versions(settings(tmp_path), max_ended=2)
    for version in range(1, 6):
        publish(version)
        manager.poll()
    found = states(manager)
    manager.close()
    assert found == {5: ModelVersionStatus.AVAILABLE, 4: ModelVersionStatus.END, 3: ModelVersionStatus.END}
