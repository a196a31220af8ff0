"""Files appear whole or not at all."""

import json
import os
import stat

import pytest

from tfrs_gru4rec.atomic_files import replacing, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert names(path.parent) == ["file.txt"]


def test_an_error_in_the_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file.txt"):
        pass
    assert names(tmp_path) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # its block ended last
    assert names(tmp_path) == ["file.txt"]


def test_the_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    replace = os.replace

    def note_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    monkeypatch.setattr("os.fsync", note_fsync)
    monkeypatch.setattr("os.replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_text(tmp_path / "file.txt", "content")
    assert calls == ["file", "replace", "folder"]


def test_json_is_indented_and_ends_its_line(tmp_path):
    write_json(tmp_path / "file.json", {"a": [1]})
    text = (tmp_path / "file.json").read_text()
    assert json.loads(text) == {"a": [1]}
    assert text.endswith("}\n")
