"""Finding raw files, whole and cut off."""

import gzip
import zipfile

import pytest

from tfrs_gru4rec.events.raw_files import RawFile, find_raw_file

TEXT = b"1,2\n" * 5_000


def _read(file):
    with file.open() as stream:
        return stream.read()


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_file_is_found_plain_then_gzipped_then_zipped_then_in_an_archive(tmp_path):
    _zip(tmp_path / "all.zip", {"a/": b"", "a/b": b"other\n", "data/a": b"archive\n"})
    assert _read(find_raw_file(tmp_path, "a", ["all.zip"])) == b"archive\n"
    _zip(tmp_path / "a.zip", {"a": b"zipped\n"})
    assert _read(find_raw_file(tmp_path, "a", ["all.zip"])) == b"zipped\n"
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"gzipped\n"))
    assert _read(find_raw_file(tmp_path, "a", ["all.zip"])) == b"gzipped\n"
    (tmp_path / "a").write_bytes(b"plain\n")
    assert _read(find_raw_file(tmp_path, "a", ["all.zip"])) == b"plain\n"


def test_a_missing_file_is_named_with_all_its_places_and_the_instructions(tmp_path):
    _zip(tmp_path / "all.zip", {"other": b""})
    with pytest.raises(FileNotFoundError) as error:
        find_raw_file(tmp_path, "a.csv", ["all.zip"], "Fetch it from there.")
    message = str(error.value)
    for place in ("a.csv", "a.csv.gz", "a.csv.zip", "all.zip"):
        assert str(tmp_path / place) in message
    assert message.endswith("Fetch it from there.")


def test_a_file_cut_off_within_a_line_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(TEXT[:-2])
    with pytest.raises(ValueError, match="middle of a line.*truncated.*file='.*a'"):
        _read(RawFile(tmp_path / "a"))


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(ValueError, match="empty"):
        _read(RawFile(tmp_path / "a"))


def test_a_cut_off_gzip_is_refused(tmp_path):
    packed = gzip.compress(TEXT)
    (tmp_path / "a.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"truncated or damaged.*a\.gz"):
        _read(RawFile(tmp_path / "a.gz"))


def test_a_cut_off_archive_is_refused_by_name(tmp_path):
    py7zr = pytest.importorskip("py7zr")
    _zip(tmp_path / "all.zip", {"a": TEXT})
    with py7zr.SevenZipFile(tmp_path / "all.7z", "w") as archive:
        archive.writestr(TEXT, "a")
    for name in ("all.zip", "all.7z"):
        whole = (tmp_path / name).read_bytes()
        assert _read(find_raw_file(tmp_path, "a", [name])) == TEXT
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=rf"archive is truncated.*{name}"):
            find_raw_file(tmp_path, "a", [name])


@pytest.mark.parametrize("name", ["all.zip", "all.7z", "a.gz"])
def test_content_damaged_in_the_middle_is_refused_by_name(tmp_path, name):
    content = b"".join(b"%d\n" % (number * 7919 % 100_003) for number in range(50_000))
    if name == "all.7z":
        with pytest.importorskip("py7zr").SevenZipFile(tmp_path / name, "w") as archive:
            archive.writestr(content, "a")
    elif name == "all.zip":
        _zip(tmp_path / name, {"a": content})
    else:
        (tmp_path / name).write_bytes(gzip.compress(content))
    whole = bytearray((tmp_path / name).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 200] = bytes(200)
    (tmp_path / name).write_bytes(whole)
    with pytest.raises(ValueError, match=rf"truncated or damaged.*{name}"):
        _read(find_raw_file(tmp_path, "a", [name]))


def test_a_7z_without_a_reader_says_how_to_get_one(tmp_path, monkeypatch):
    (tmp_path / "all.7z").write_bytes(b"7z")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="py7zr.*archives.*unpack"):
        find_raw_file(tmp_path, "a", ["all.7z"])
