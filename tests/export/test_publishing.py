"""Versions appear whole or not at all, and none is ever overwritten."""

import threading

import pytest

from tfrs_gru4rec.export.publishing import publish, versions
from tfrs_gru4rec.export.version_folders import held


def write(content):
    return lambda folder: (folder / "saved_model.pb").write_text(content)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_versions_count_up_from_the_largest(tmp_path):
    export_dir = tmp_path / "new" / "shop"
    assert publish(export_dir, None, write("a")) == export_dir / "1"
    assert publish(export_dir, 7, write("b")) == export_dir / "7"
    (export_dir / "notes").mkdir()
    (export_dir / "12").write_text("a file is no version")
    assert publish(export_dir, None, write("c")) == export_dir / "8"
    assert versions(export_dir) == [1, 7, 8]
    assert names(export_dir) == ["1", "12", "7", "8", "notes"]


@pytest.mark.parametrize("version", [0, -1, 10**18])
def test_version_must_be_a_number_that_servers_see(tmp_path, version):
    with pytest.raises(ValueError, match="1 or more"):
        publish(tmp_path, version, write("a"))


def test_a_version_is_never_overwritten(tmp_path):
    publish(tmp_path, 3, write("first"))
    with pytest.raises(ValueError, match="never overwritten"):
        publish(tmp_path, 3, write("second"))
    assert (tmp_path / "3" / "saved_model.pb").read_text() == "first"
    assert names(tmp_path) == ["3"]


def test_nothing_is_visible_before_all_is_written(tmp_path):
    seen = []

    def write_and_look(folder):
        (folder / "saved_model.pb").write_text("half")
        seen.append((versions(tmp_path), names(tmp_path)))

    publish(tmp_path, None, write_and_look)
    [(numbers, [name])] = seen
    assert numbers == []
    assert name.startswith(".")  # servers look at folders whose name is a number


@pytest.mark.parametrize(
    "error", [OSError("No space left on device"), ValueError("differs"), KeyboardInterrupt()]
)
def test_a_failure_leaves_nothing_behind(tmp_path, error):
    def fail(folder):
        (folder / "saved_model.pb").write_text("half")
        raise error

    with pytest.raises(type(error)):
        publish(tmp_path, None, fail)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        publish(tmp_path / "file" / "shop", None, write("a"))
    assert names(tmp_path) == ["file"]


def test_a_version_that_appears_meanwhile_stays(tmp_path):
    def write_while_another_publishes(folder):
        write("mine")(folder)
        publish(tmp_path, 1, write("other"))

    with pytest.raises(ValueError, match="never overwritten"):
        publish(tmp_path, 1, write_while_another_publishes)
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "other"
    assert names(tmp_path) == ["1"]


def test_exports_at_the_same_time_get_different_versions(tmp_path):
    barrier = threading.Barrier(8)

    def work(number):
        publish(tmp_path, None, lambda folder: (write(str(number))(folder), barrier.wait()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions(tmp_path) == list(range(1, 9))
    contents = {(tmp_path / str(version) / "saved_model.pb").read_text() for version in range(1, 9)}
    assert contents == {str(number) for number in range(8)}


def test_old_versions_go_but_never_one_that_is_served(tmp_path):
    for version in (1, 2, 3):
        publish(tmp_path, version, write("old"))
    with held(tmp_path / "1"):
        publish(tmp_path, None, write("new"), keep_versions=2)
        assert names(tmp_path) == ["1", "3", "4"]
    publish(tmp_path, None, write("new"), keep_versions=1)
    assert names(tmp_path) == ["5"]
    with pytest.raises(ValueError, match="keep_versions must be 1 or more"):
        publish(tmp_path, None, write("new"), keep_versions=0)


def test_folders_of_dead_processes_are_swept_and_those_at_work_are_not(tmp_path, run_fresh):
    # A process that dies while it writes, as `publish` does; it loads no TensorFlow.
    run_fresh(f"""
import os
from tfrs_gru4rec.atomic_files import temporary_path
from tfrs_gru4rec.export.version_folders import held
with temporary_path({str(tmp_path)!r}) as hidden:
    hidden.mkdir()
    with held(hidden):
        os._exit(9)
""")
    [dead] = tmp_path.iterdir()
    (tmp_path / ".notes.tmp").mkdir()
    seen = []
    publish(tmp_path, None, lambda folder: (folder / "a").write_text("") or seen.extend(names(tmp_path)))
    assert dead.name not in seen
    assert names(tmp_path) == [".notes.tmp", "1"]

    def write_beside_another(folder):
        # Another export ends meanwhile, and leaves the folder of this one alone.
        publish(tmp_path, 7, write("other"))
        (folder / "a").write_text("mine")

    publish(tmp_path, 8, write_beside_another)
    assert names(tmp_path) == [".notes.tmp", "1", "7", "8"]
