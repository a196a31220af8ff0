"""Names of items from files that are written in many ways, and from those that cannot be read."""

import gzip

import pytest

from tfrs_gru4rec.events.item_names import ItemNames


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,title,maker\n7,"Lamp, red",Ada\n\n8,,\n'),
        ("a.tsv", "id\ttitle\tmaker\n7\tLamp, red\tAda\n8\t\t\n"),
        ("a.txt", "\ufeffid;title;maker\r\n7;Lamp, red;Ada\r\n8;;\r\n"),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_reads_separators_quotes_and_gzip(tmp_path, name, content, is_gzip):
    path = tmp_path / (f"{name}.gz" if is_gzip else name)
    path.write_bytes(gzip.compress(content.encode()) if is_gzip else content.encode())
    names = ItemNames.from_file(path)
    assert list(names.columns) == ["title", "maker"]
    assert [names.label(item) for item in (7, "8", "07", "none")] == ["7 [Lamp, red, Ada]", "8", "07", "none"]
    assert names.of(["9", 7]).to_numpy().tolist() == [["", ""], ["Lamp, red", "Ada"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"header line.*a\.csv"),
        (b"id\n7\n", r"a column of names beside it.*columns=\['id'\]"),
        (b"id,name,name\n7,a,b\n", r"columns=\['id', 'name', 'name'\]"),
        (b"id,name\n7,Lamp\n8,Desk\n7,Lamp again\n", r"one line of names.*item=\['7'\]"),
        (b"id,name\n7,Lamp\n8,Desk,oak\n", "line=3, columns=2"),
        (b"id,name\n7,L\xe4mp\n", "UTF-8.*line=2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        ItemNames.from_file(path)


def test_a_missing_file_a_folder_and_a_broken_gzip(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file of item names.*none\.csv"):
        ItemNames.from_file(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="in a file, not a folder"):
        ItemNames.from_file(tmp_path)
    (tmp_path / "a.csv.gz").write_bytes(b"id,name\n7,Lamp\n")
    with pytest.raises(ValueError, match="cannot be read"):
        ItemNames.from_file(tmp_path / "a.csv.gz")
