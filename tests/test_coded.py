import csv
import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framing.codebook.codebook import Codebook
from framing.codebook.coded import CodedError, read_coded

BOOK = Codebook.from_yaml(
    """
name: weather
version: 1
labels:
  alarm: The passage warns.
  hope: The passage promises better.
"""
)
NAN = float("nan")


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path):
    with pytest.raises(CodedError) as caught:
        read_coded(path, BOOK)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def same(targets, expected):
    return np.array_equal(targets, np.array(expected, float), equal_nan=True)


# --- what is read -----------------------------------------------------------------------------

ROWS = [
    {"id": "a", "text": "Storm, \"soon\"!\nRun", "document": "d1", "paper": "P", "alarm": 1.0,
     "hope": 0.0},
    {"id": "b", "text": "Fine", "document": "d1", "paper": "Q", "alarm": 0.5, "hope": None},
]  # fmt: skip


def files_of(tmp_path):
    buffer = io.StringIO(newline="")
    table = csv.DictWriter(buffer, list(ROWS[0]))
    table.writeheader()
    table.writerows(ROWS)
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "x.parquet")
    return [
        write(tmp_path, "x.csv", buffer.getvalue()),
        write(tmp_path, "excel.csv", b"\xef\xbb\xbf" + buffer.getvalue().encode()),
        write(tmp_path, "x.jsonl", "\n\n".join(map(json.dumps, ROWS))),
        tmp_path / "x.parquet",
    ]


def test_every_format_reads_alike(tmp_path):
    for path in files_of(tmp_path):
        coded = read_coded(path, BOOK)
        assert coded.labels == ("alarm", "hope")
        assert coded.ids == ("a", "b")
        assert coded.texts == (ROWS[0]["text"], "Fine")
        assert coded.groups == ("d1", "d1")
        assert dict(coded.columns) == {"paper": ("P", "Q")}
        assert same(coded.targets, [[1, 0], [0.5, NAN]])


def test_semicolons_and_tabs_separate_too(tmp_path):
    for name, mark in (("x.csv", ";"), ("x.tsv", "\t")):
        path = write(tmp_path, name, f"text{mark}alarm\nStorm, now{mark}1\n")
        coded = read_coded(path, BOOK)
        assert coded.texts == ("Storm, now",)
        assert same(coded.targets, [[1, NAN]])


def test_the_many_ways_to_say_yes_and_no(tmp_path):
    cells = ["1", "0", "0.25", " Yes ", "no", "TRUE", "false", "", "nan", "1e0"]
    lines = "\n".join(f'x,"{cell}"' for cell in cells)
    coded = read_coded(write(tmp_path, "x.csv", f"text,alarm\n{lines}\n"), BOOK)
    assert same(coded.targets[:, 0], [1, 0, 0.25, 1, 0, 1, 0, NAN, NAN, 1])
    assert np.isnan(coded.targets[:, 1]).all()


def test_booleans_in_json(tmp_path):
    path = write(tmp_path, "x.jsonl", '{"text": "x", "alarm": true, "hope": false}')
    assert same(read_coded(path, BOOK).targets, [[1, 0]])


def test_one_column_of_names(tmp_path):
    cells = ["alarm; hope", "hope", "", '["alarm"]', "[]"]
    rows = "\n".join(json.dumps({"text": "x", "labels": cell}) for cell in cells)
    more = '{"text": "x", "labels": ["hope"]}\n{"text": "x", "labels": null}\n{"text": "x"}'
    coded = read_coded(write(tmp_path, "x.jsonl", f"{rows}\n{more}"), BOOK)
    expected = [[1, 1], [0, 1], [0, 0], [1, 0], [0, 0], [0, 1], [NAN, NAN], [NAN, NAN]]
    assert same(coded.targets, expected)
    assert dict(coded.columns) == {}


def test_a_passage_without_document_is_its_own(tmp_path):
    path = write(tmp_path, "x.csv", "text,document,alarm\nx,d,1\nx,,1\nx,,0\n")
    coded = read_coded(path, BOOK)
    assert coded.groups[0] == "d"
    assert len(set(coded.groups)) == 3
    assert coded.ids == ("1", "2", "3")


def test_take_by_rows_and_by_mask(tmp_path):
    coded = read_coded(files_of(tmp_path)[0], BOOK)
    for rows in ([1], np.array([False, True])):
        part = coded.take(rows)
        assert len(part) == 1
        assert part.ids == ("b",)
        assert dict(part.columns) == {"paper": ("Q",)}
        assert same(part.targets, [[0.5, NAN]])
    assert coded.take([1, 0]).ids == ("b", "a")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)
            .filter(str.strip),
            st.sampled_from([0.0, 0.5, 1.0, None]),
        ),
        min_size=1,
        max_size=8,
    )
)  # fmt: skip
def test_any_text_survives_csv_and_jsonl(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("coded")
    with (folder / "x.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", "alarm"], *rows])
    lines = "\n".join(json.dumps({"text": t, "alarm": y}) for t, y in rows)
    write(folder, "x.jsonl", lines)
    for name in ("x.csv", "x.jsonl"):
        coded = read_coded(folder / name, BOOK)
        assert coded.texts == tuple(t for t, _ in rows)
        assert same(coded.targets[:, 0], [NAN if y is None else y for _, y in rows])


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.xlsx", "", "it may be .parquet, .csv, .tsv, .jsonl"),
        ("x.csv", "", "holds no passages"),
        ("x.csv", "text,alarm\n", "holds no passages"),
        ("x.csv", "body,alarm\nx,1\n", "no column text; it has body, alarm"),
        ("x.csv", "text,paper\nx,P\n", "no codes: needs a column labels or one for each label"),
        ("x.csv", "text,alarm\nx,1\n  ,1\n", "line 3: column text is empty"),
        ("x.csv", 'text,alarm\n"two\nlines",1\nx,maybe\n', "line 4, column alarm: 'maybe' is not"),
        ("x.csv", "text,alarm\nx,2\n", "line 2, column alarm: '2' is not"),
        ("x.csv", "text,alarm\nx,-0.1\n", "line 2, column alarm"),
        ("x.csv", "text,alarm\nx\n", "line 2: not the 2 cells"),
        ("x.csv", "text,alarm\nx,1,1\n", "line 2: not the 2 cells"),
        ("x.csv", 'text,alarm\n"x,1\n', "line 2: "),
        ("x.csv", "text,alarm,alarm\nx,1,0\n", "line 1: two columns are called 'alarm'"),
        ("x.csv", "text,Alarm\nx,1\n", "column Alarm looks like the label alarm"),
        ("x.csv", "text,hope,alarms\nx,1,1\n", "column alarms looks like the label alarm"),
        ("x.csv", "text,labels,hope\nx,hope,1\n", "holds codes twice"),
        ("x.csv", "text,labels\nx,alram\n", "no label 'alram' .*; did you mean alarm?"),
        ("x.csv", "text,labels\nx,rain\n", r"no label 'rain' in the codebook \(alarm, hope\)"),
        ("x.csv", "text,labels\nx,[alarm\n", "line 2, column labels: not a JSON list"),
        ("x.csv", b"text,alarm\n\xff,1\n", "not UTF-8 at byte 11"),
        ("x.jsonl", '{"text": "x", "alarm": 1}\n{"text": "x",\n', "line 2: not JSON"),
        ("x.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("x.jsonl", "[1]", "line 1: not a JSON object"),
        ("x.jsonl", '{"text": 7, "alarm": 1}', "line 1: column text is empty"),
        ("x.jsonl", '{"text": "x", "alarm": [1]}', "line 1, column alarm"),
        ("x.jsonl", '{"text": "x", "alarm": 1' + "0" * 400 + "}", "line 1, column alarm"),
        ("x.jsonl", '{"text": "x", "labels": [1]}', "line 1, column labels"),
        ("x.jsonl", '{"text": "x", "labels": {"alarm": 1}}', "line 1, column labels"),
        ("x.parquet", b"PAR1 not at all", "not a parquet file"),
    ],
)  # fmt: skip
def test_refusals_name_the_place(tmp_path, name, content, message):
    assert re.search(message, refusal(write(tmp_path, name, content)))


def test_no_file_and_a_folder(tmp_path):
    assert "No such file" in refusal(tmp_path / "x.csv")
    assert "No such file" in refusal(tmp_path / "x.parquet")
    (tmp_path / "x.jsonl").mkdir()
    assert "directory" in refusal(tmp_path / "x.jsonl")
