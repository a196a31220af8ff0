"""Reading columns of text files: values, and errors that name the place."""

import gzip

import numpy as np
import pyarrow.compute as pc
import pytest

from tfrs_gru4rec.events import converters
from tfrs_gru4rec.events.delimited import Layout, read_raw_columns
from tfrs_gru4rec.events.raw_files import RawFile

LAYOUT = Layout(delimiter=";")
KINDS = Layout(names=("id", "kind"))
COLUMNS = {"id": converters.integers, "name": converters.texts}
N_ROWS = 900_000  # 11 MB: more than one block


def _file(tmp_path, text, name="a.csv"):
    (tmp_path / name).write_text(text)
    return RawFile(tmp_path / name)


def test_columns_are_read_by_name_and_in_file_order(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    first = _file(tmp_path, "x;name;id\n0;b;3\n0;a;1\n", "a.csv")
    second = _file(tmp_path, "name;id\nb;2\n", "b.csv")
    table = read_raw_columns([first, second], LAYOUT, COLUMNS)
    assert table["id"].to_pylist() == [3, 1, 2]
    codes, names = converters.pop_codes(table, "name")
    assert names[codes].tolist() == ["b", "a", "b"]
    assert names.tolist() == ["a", "b"]
    assert f"Read {first}: 2 rows" in caplog.text


def test_rows_of_another_kind_are_not_even_parsed(tmp_path):
    file = _file(tmp_path, "1,view\nnone,cart\n2,view\n")
    table = read_raw_columns([file], KINDS, {"id": converters.integers}, ("kind", "view"))
    assert table["id"].to_pylist() == [1, 2]


@pytest.mark.parametrize(("line", "at"), [(2, 0), (N_ROWS - 5, N_ROWS - 7), (N_ROWS // 2, N_ROWS // 2 - 2)])
def test_the_first_bad_value_is_named_with_file_column_line_and_value(tmp_path, line, at):
    rows = [f"{number};text{number % 7}" for number in range(N_ROWS)]
    rows[at] = "12x;text"
    rows[-1] = "also bad;text"
    file = _file(tmp_path, "\n".join(["id;name", *rows, ""]))
    with pytest.raises(ValueError, match=rf"a\.csv', column='id', line={line}, value='12x'"):
        read_raw_columns([file], LAYOUT, COLUMNS)


def test_the_line_counts_rows_of_other_kinds_too(tmp_path):
    file = _file(tmp_path, "1,view\n,cart\n,view\n")
    with pytest.raises(ValueError, match="line=3, value=''"):
        read_raw_columns([file], KINDS, {"id": converters.integers}, ("kind", "view"))


def test_a_line_with_too_few_fields_is_named(tmp_path):
    rows = [f"{number};text" for number in range(N_ROWS)]
    rows[N_ROWS - 3] = "12"
    file = _file(tmp_path, "\n".join(["id;name", *rows, ""]))
    with pytest.raises(ValueError, match=rf"Row #{N_ROWS - 1}: Expected 2 columns, got 1: 12.*a\.csv"):
        read_raw_columns([file], LAYOUT, COLUMNS)


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"column is missing.*name.*a\.csv"):
        read_raw_columns([_file(tmp_path, "id;other\n1;2\n")], LAYOUT, COLUMNS)


def test_a_header_alone_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at least one row.*a\.csv"):
        read_raw_columns([_file(tmp_path, "id;name\n")], LAYOUT, COLUMNS)


def test_text_that_is_no_utf8_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id;name\n1;\xff\n")
    with pytest.raises(ValueError, match=r"could not be read.*a\.csv"):
        read_raw_columns([RawFile(tmp_path / "a.csv")], LAYOUT, COLUMNS)


def test_a_gzip_cut_off_in_the_middle_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    text = "id;name\n" + "".join(f"{number};t\n" for number in rng.integers(0, 1 << 40, 300_000))
    packed = gzip.compress(text.encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"truncated or damaged.*a\.csv\.gz"):
        read_raw_columns([RawFile(tmp_path / "a.csv.gz")], LAYOUT, COLUMNS)


@pytest.mark.parametrize(
    ("converter", "good", "value", "bad"),
    [
        (converters.integers, "-12", -12, "1.5"),
        (
            converters.iso_milliseconds,
            "2014-04-07T10:51:09.277Z",
            1_396_867_869_277,
            "2014-04-07T10:51:09.277",
        ),
        (converters.iso_milliseconds, "1970-01-01T00:00:01Z", 1_000, "1970-01-01"),
        (converters.utc_seconds, "2019-12-01 00:00:00 UTC", 1_575_158_400, "2019-12-01 00:00:00"),
        (converters.date_milliseconds, "1970-01-03", 2 * 86_400_000, "1970-01-3x"),
    ],
)
def test_converters_read_what_they_say_and_nothing_else(tmp_path, converter, good, value, bad):
    def read(text):
        return read_raw_columns([_file(tmp_path, text)], Layout(names=("c",)), {"c": converter})["c"]

    assert read(f"{good}\n").to_pylist() == [value]
    for wrong in (bad, "?"):
        with pytest.raises(ValueError, match="line=2"):
            read(f"{good}\n{wrong}\n")


def test_a_text_is_compared_with_the_wanted_one(tmp_path):
    file = _file(tmp_path, "1,view\n2,cart\n")
    table = read_raw_columns([file], KINDS, {"kind": lambda texts: pc.equal(texts, "view")})
    assert table["kind"].to_pylist() == [True, False]
