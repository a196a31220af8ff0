"""Reading log files: formats, and what is said about bad ones."""

import gzip
import io
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrs_gru4rec.pipelines.session_log import SessionLog

FRAME = pd.DataFrame(
    {
        "SessionId": [4, 9, 4, 9, 9],
        "ItemId": [70, 5, 5, 8, 5],
        "Time": [100, 90, 101, 95, 99],
        "Extra": list("abcde"),
    }
)


def check_frame_log(log):
    # Session 9 begins first: items 5 (3 events, row 0), 8 and 70 (1 event each, rows 1 and 2).
    assert log.vocabulary.ids.tolist() == [5, 8, 70]
    assert log.items.tolist() == [0, 1, 0, 2, 0]
    assert log.offsets.tolist() == [0, 3, 5]
    assert log.times.tolist() == [90, 95, 99, 100, 101]


def write(path, content):
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def text(separator="\t", frame=FRAME):
    return frame.to_csv(sep=separator, index=False)


def parquet(frame=FRAME):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", text("\t")),
        ("a.csv", text(",")),
        ("a.csv", text("\t")),
        ("a.tsv", text(",")),
        ("a.txt", text(";")),
        ("A.TXT", text("|")),
        ("a.b.c.csv", text(",").replace("\n", "\r\n")),
        ("a.csv", "\ufeff" + text(",")),
        ("a.csv", text(",").replace("SessionId,ItemId", '"SessionId","ItemId"')),
        ("a.csv", text(",").replace("\n4,", '\n"4",')),
        ("a.csv", text(",").replace(",a\n", ',"a\nb, c"\n')),
        ("a.csv", text(",").replace("\n9", "\n\n9") + "\n\n"),
        ("a.csv", text(",").rstrip("\n")),
        ("a.parquet", parquet()),
        ("a.parquet", parquet(FRAME.astype({"SessionId": "category", "ItemId": "int16", "Time": "uint64"}))),
        ("a.parquet", parquet(FRAME.astype({"SessionId": float, "ItemId": float}))),
    ],
)
def test_every_format_gives_the_same_log(tmp_path, name, content, gz):
    check_frame_log(SessionLog.from_file(write(tmp_path / (name + gz), content)))


def test_capital_suffixes(tmp_path):
    path = tmp_path / "A.TSV.GZ"
    path.write_bytes(gzip.compress(text().encode()))
    check_frame_log(SessionLog.from_file(str(path)))


def test_other_column_names_and_orders(tmp_path):
    frame = FRAME.rename(columns={"SessionId": "visit", "ItemId": "sku", "Time": "at"})[
        ["at", "sku", "visit"]
    ]
    path = write(tmp_path / "a.csv", text(",", frame))
    check_frame_log(SessionLog.from_file(path, session_key="visit", item_key="sku", time_key="at"))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["12", "3", "-4"], [-4, 3, 12]),
        (["12", "007", "3"], ["007", "12", "3"]),
        (["12", "A1", "3"], ["12", "3", "A1"]),
        (["1.0", "2", "3"], ["1.0", "2", "3"]),
        (["null", "NaN", "x"], ["NaN", "null", "x"]),
        ([str(2**63 - 1), "0", "1"], [0, 1, 2**63 - 1]),
        ([str(2**63), "0", "1"], ["0", "1", str(2**63)]),
    ],
)
def test_text_ids_are_integers_only_if_all_are_spelled_so(tmp_path, ids, expected):
    rows = "".join(f"s\t{item}\t{at}\n" for at, item in enumerate(ids))
    log = SessionLog.from_file(write(tmp_path / "a.tsv", "SessionId\tItemId\tTime\n" + rows))
    assert log.vocabulary.ids.tolist() == expected
    assert log.vocabulary.is_integer == isinstance(expected[0], int)


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)
def test_a_column_of_strings_stays_strings(tmp_path, kind):
    table = pa.Table.from_pandas(FRAME)
    for column in ("SessionId", "ItemId"):
        strings = table[column].cast(pa.string())
        strings = (
            strings.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else strings.cast(kind)
        )
        table = table.set_column(table.column_names.index(column), column, strings)
    pq.write_table(table, tmp_path / "a.parquet")
    assert SessionLog.from_file(tmp_path / "a.parquet").vocabulary.ids.tolist() == ["5", "70", "8"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["5", "6"], [5, 6]),
        (["5", "6.5"], [5.0, 6.5]),
        (["1e3", "2000"], [1000.0, 2000.0]),
        # 2014-04-07 is day 16167: 16167 * 86400 = 1396828800; 10:51:09 is 39069 s.
        (["2014-04-07", "2014-04-08"], [1396828800, 1396915200]),
        (["2014-04-07T10:51:09Z", "2014-04-07T10:51:10Z"], [1396867869, 1396867870]),
        (["2014-04-07 10:51:09", "2014-04-07 10:51:10"], [1396867869, 1396867870]),
        (["2014-04-07T10:51:09.277Z", "2014-04-07T10:51:10.5Z"], [1396867869.277, 1396867870.5]),
        (["2014-04-07T12:51:09+02:00", "2014-04-07T10:51:10Z"], [1396867869, 1396867870]),
        (["2014-04-07T10:51:09", "2014-04-07T10:51:09.25Z"], [1396867869.0, 1396867869.25]),
        (["1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"], [-0.5, 0.0]),
    ],
)
def test_times(tmp_path, times, expected):
    rows = "".join(f"s,a,{time}\n" for time in times)
    log = SessionLog.from_file(write(tmp_path / "a.csv", "SessionId,ItemId,Time\n" + rows))
    assert log.times.tolist() == expected
    assert log.times.dtype == type(expected[0])
    frame = pd.DataFrame({"SessionId": "s", "ItemId": "a", "Time": times})
    assert SessionLog.from_frame(frame).times.tolist() == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.to_datetime(["2014-04-07 10:51:09", "2014-04-07 10:51:10"]), [1396867869, 1396867870]),
        (
            pd.to_datetime(["2014-04-07 10:51:09", "2014-04-07 10:51:10"]).tz_localize("Asia/Tokyo"),
            [1396835469, 1396835470],
        ),
        (pd.to_datetime(["2014-04-07", "2014-04-08"]).date, [1396828800, 1396915200]),
        (np.array([1.5, 2.5], np.float32), [1.5, 2.5]),
        (pd.array([1, 2], "Int64"), [1, 2]),
    ],
)
def test_typed_times(tmp_path, column, expected):
    frame = pd.DataFrame({"SessionId": 1, "ItemId": 2, "Time": column})
    frame.to_parquet(tmp_path / "a.parquet")
    assert SessionLog.from_file(tmp_path / "a.parquet").times.tolist() == expected
    assert SessionLog.from_frame(frame).times.tolist() == expected


def test_a_time_unlike_the_first_blocks_is_still_read(tmp_path):
    # The types of text columns are guessed from the first 8 MB.
    n = 700_000
    rows = [f"{event // 4},12345,{event}" for event in range(n)]
    rows[-1] += ".5"
    path = write(tmp_path / "a.csv", "SessionId,ItemId,Time\n" + "\n".join(rows))
    assert path.stat().st_size > 8 << 20
    log = SessionLog.from_file(path)
    assert log.times[-1] == n - 0.5
    assert log.times.dtype == np.float64


HEADER = "SessionId,ItemId,Time\n"
GOOD = "1,a,5\n1,b,6\n"
TIME_RULE = "Times must be all numbers or all ISO 8601 dates."
ID_RULE = "An id must not be empty: fill it in or drop the event."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "A log file must not be empty."),
        (HEADER, "A log must hold at least one event."),
        (HEADER.rstrip("\n"), "A log must hold at least one event."),
        (
            "\n\n",
            "Received: file='{path}', missing=['SessionId', 'ItemId', 'Time'], present=[]",
        ),
        ("SessionId,item,Time\n" + GOOD, "missing=['ItemId'], present=['SessionId', 'item', 'Time']."),
        (
            HEADER + GOOD + "2,a,soon\n",
            f"{TIME_RULE} Received: file='{{path}}', column='Time', line=4, value='soon'.",
        ),
        (HEADER + "2,a,soon\n" + GOOD, "line=2, value='soon'."),
        (
            HEADER + GOOD + "2,a,\n",
            f"{TIME_RULE} Received: file='{{path}}', column='Time', line=4, value=None.",
        ),
        (HEADER + GOOD + "2,a,2014-04-07\n", "line=4, value='2014-04-07'."),
        (HEADER + "2,a,2014-04-07\n" + GOOD, "line=3, value='5'."),
        (HEADER + "2,a,2014-04-07\n2,a,2014-04-31\n", "line=3, value='2014-04-31'."),
        (
            HEADER + "2,a,true\n2,a,false\n",
            f"{TIME_RULE} Received: file='{{path}}', column='Time', type='bool'.",
        ),
        (HEADER + "2,a,1.5\n2,a,inf\n", "line=3, value=inf."),
        (HEADER + "2,a,\n2,a,\n", "column='Time', line=2, value=None."),
        (
            HEADER + GOOD + "\n\n,a,7\n",
            f"{ID_RULE} Received: file='{{path}}', column='SessionId', line=6, value=''.",
        ),
        (
            HEADER + GOOD + "1,,7\n",
            f"{ID_RULE} Received: file='{{path}}', column='ItemId', line=4, value=''.",
        ),
        (
            HEADER + "1,4,5\n1,NaN,6\n",
            f"{ID_RULE} Received: file='{{path}}', column='ItemId', line=3, value='NaN'.",
        ),
        (HEADER + '1,a,5\n"x\ny",b,6\n1,,7\n', "column='ItemId', line=5, value=''."),
        (
            HEADER + "1,a,5\n2,b,6\n",
            "A log must have a session of two events or more. Received: file='{path}', sessions=2",
        ),
        (
            HEADER + GOOD + "2,a\n",
            "as the header. Received: file='{path}', line=4, columns=3, values=['2', 'a'].",
        ),
        (
            HEADER.encode() + b"1,\xff,5\n",
            "in UTF-8. Received: file='{path}', line=2, bytes=b'1,\\xff,5\\n'.",
        ),
        (HEADER.encode().replace(b"I", b"\xff") + b"1,a,5\n", "line=1, bytes=b'Sess"),
    ],
)
@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_bad_text_files(tmp_path, content, message, name):
    path = tmp_path / name
    if content:
        write(path, content)
    else:
        path.touch()
    with pytest.raises(ValueError, match=re.escape(message.format(path=path))):
        SessionLog.from_file(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ItemId": [1, 2, None, 4, 5]}, "column='ItemId', row=3, value=None."),
        ({"ItemId": ["a", None, "c", "d", None]}, "column='ItemId', row=2, value=None."),
        (
            {"ItemId": [1.5] * 5},
            "Ids must be integers or strings. Received: {place}, column='ItemId', row=1, value=1.5.",
        ),
        (
            {"ItemId": [True] * 5},
            "Ids must be integers or strings. Received: {place}, column='ItemId', type='bool'.",
        ),
        ({"ItemId": np.full(5, 2**63, np.uint64)}, "Integer ids must fit in 64 bits"),
        ({"Time": [1, 2, 3, np.nan, 5]}, "column='Time', row=4, value=None."),
        ({"Time": ["1", "2", "x", "4", "5"]}, "column='Time', row=3, value='x'."),
        ({"Time": [[1]] * 5}, f"{TIME_RULE} Received: {{place}}, column='Time', type='list"),
        ({"SessionId": [1, 2, 3, 4, 5]}, "A log must have a session of two events or more."),
    ],
)
@pytest.mark.parametrize("kind", ["frame", "parquet"])
def test_bad_typed_columns(tmp_path, change, message, kind):
    frame = FRAME.assign(**change)
    path = tmp_path / "log.parquet"
    place = f"file='{path}'" if kind == "parquet" else "source='data frame'"
    frame.to_parquet(path)
    with pytest.raises(ValueError, match=re.escape(message.format(place=place))):
        SessionLog.from_frame(frame) if kind == "frame" else SessionLog.from_file(path)


def test_bad_frames():
    with pytest.raises(ValueError, match=re.escape("missing=['Time'], present=['SessionId', 'ItemId']")):
        SessionLog.from_frame(FRAME[["SessionId", "ItemId"]])
    with pytest.raises(ValueError, match="at least one event"):
        SessionLog.from_frame(FRAME[:0])
    with pytest.raises(ValueError, match="column='ItemId'"):
        SessionLog.from_frame(FRAME.assign(ItemId=[1, "a", 2, 3, 4]))


def test_missing_parquet_column(tmp_path):
    FRAME.rename(columns={"Time": "at"}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        ValueError, match=re.escape("missing=['Time'], present=['SessionId', 'ItemId', 'at', 'Extra']")
    ):
        SessionLog.from_file(tmp_path / "a.parquet")


def test_bad_paths(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"There is no such log file\. Received: file='.*nowhere\.tsv'"
    ):
        SessionLog.from_file(tmp_path / "nowhere.tsv")
    with pytest.raises(ValueError, match=r"must hold Parquet parts to be a log\. Received: file="):
        SessionLog.from_file(tmp_path)
    with pytest.raises(
        ValueError, match=r"must be named \.tsv, \.csv, \.txt or \.parquet.*file='.*log\.xlsx'"
    ):
        SessionLog.from_file(write(tmp_path / "log.xlsx", "x"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.tsv.gz", gzip.compress(text(frame=pd.concat([FRAME] * 9999)).encode())[:-20]),
        ("no.tsv.gz", b"this is no gzip"),
        ("cut.parquet", parquet()[:-9]),
        ("no.parquet", b"SessionId\tItemId\tTime\n"),
        ("cut.parquet.gz", gzip.compress(parquet())[:-9]),
    ],
)
def test_damaged_files(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"The log file cannot be read: .*file='{re.escape(str(path))}'"):
        SessionLog.from_file(path)


def test_a_load_says_what_was_read_and_sorted(caplog, tmp_path):
    caplog.set_level("DEBUG", logger="absl")  # the second line is worth showing if it took long
    path = write(tmp_path / "a.tsv", text())
    SessionLog.from_file(path)
    said = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(rf"Read {re.escape(str(path))}: 5 events(, \d+ events/s)?\.", said[0])
    assert re.fullmatch(r"Sorted 5 events of 2 sessions, 3 items, \d+ events/s\.", said[1])
