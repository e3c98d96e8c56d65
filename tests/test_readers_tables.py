"""Reading tables: JSON, CSV, Parquet, and which column is what."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import (
    CURLY,
    LINES,
    PROSE,
    QUICK,
    ROWS,
    Write,
    documents,
    only_failure,
)

from framing.text.document import Document, Failure, Reason
from framing.text.readers import read, read_documents

# --- JSON -------------------------------------------------------------------------------------


def test_malformed_json_at_line_7(write: Write) -> None:
    lines = LINES.decode().splitlines(keepends=True)[:10]
    lines[6] = '{"id": "x", "text": \n'
    items = list(read_documents(write("a.jsonl", "".join(lines))))
    assert isinstance(items[6], Failure)
    assert (items[6].reason, items[6].where) == (Reason.MALFORMED, "line 7")
    assert [d.id for d in documents(items)] == [f"a{n}" for n in range(1, 11) if n != 7]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (r'{"text": "half \ud800 a pair"}', Reason.MALFORMED),
        ('{"text": ' + "[" * 100_000, Reason.MALFORMED),
        ("[1, 2]", Reason.MALFORMED),
        ('{"text": 5}', Reason.MALFORMED),
        ('{"text": ["a"]}', Reason.MALFORMED),
        ('{"text": null}', Reason.NO_TEXT),
        ('{"text": " "}', Reason.NO_TEXT),
        ('{"else": "words"}', Reason.NO_TEXT_COLUMN),
    ],
)
def test_bad_rows_of_json_are_failures_of_their_own(
    write: Write, line: str, reason: Reason
) -> None:
    first, bad, last = read_documents(
        write("a.jsonl", f'{{"text": "one"}}\n\n{line}\n{{"text": "two"}}')
    )
    assert isinstance(bad, Failure)
    assert (bad.reason, bad.where) == (reason, "line 3")
    assert [d.id for d in documents([first, last])] == ["a.jsonl#1", "a.jsonl#4"]


def test_bad_bytes_in_one_line_of_json(write: Write) -> None:
    good = '{"text": "“words”"}\n'.encode()
    items = list(read_documents(write("a.jsonl", good + b'{"text": "It\x92s"}\n' + good)))
    assert isinstance(items[1], Failure)
    assert items[1].reason is Reason.ENCODING
    assert len(documents(items)) == 2


def test_json_array_and_object(write: Write) -> None:
    rows = [{"headline": "One", "body": PROSE, "n": 1, "ok": True}, {"body": PROSE}, 3]
    one, two, three = read_documents(write("a.json", json.dumps(rows, indent=1)))
    assert isinstance(one, Document)
    assert (one.id, one.title, one.metadata) == ("a.json#1", "One", {"n": "1", "ok": "true"})
    assert isinstance(two, Document)
    assert isinstance(three, Failure)
    assert three.where == "row 3"
    assert read(write("b.json", json.dumps(rows[1])))[0] == Document(id="b.json", text=PROSE)
    assert len(read(write("lines.json", LINES))) == len(ROWS)


def test_malformed_json_file(write: Write) -> None:
    failure = only_failure(write("a.json", '[\n{"text": "a"},\n{"text": }\n]'))
    assert (failure.reason, failure.where) == (Reason.MALFORMED, "line 3")
    assert only_failure(write("b.json", "[" * 100_000)).reason is Reason.MALFORMED
    assert only_failure(write("c.json", "[]")).reason is Reason.NO_TEXT


# --- columns ----------------------------------------------------------------------------------


def test_columns_are_found_by_name(write: Write) -> None:
    row = {
        "Article-ID": 17,
        "Headline": "The toll\nvote",
        "maintext": PROSE,
        "source_domain": "coast.example",
        "date_publish": "2024-03-05",
        "authors": ["Mira Holt", "Jon Ek"],
        "url": "https://coast.example/1",
        "score": 0.5,
        "nested": {"a": 1},
    }
    (document,) = read(write("a.jsonl", json.dumps(row)))
    assert document == Document(
        id="17",
        text=f"The toll vote\n\n{PROSE}",
        title="The toll vote",
        source="coast.example",
        date="2024-03-05",
        author="Mira Holt, Jon Ek",
        body_start=15,
        metadata={"url": "https://coast.example/1", "score": "0.5"},
    )


def test_a_title_the_text_begins_with_is_not_repeated(write: Write) -> None:
    row = {"title": "The toll vote", "text": f"\nThe  toll vote\n{PROSE}"}
    (document,) = read(write("a.jsonl", json.dumps(row)))
    assert (document.text, document.title, document.body_start) == (row["text"], "The toll vote", 0)


def test_a_column_that_says_whether_it_is_a_headline_is_no_title(write: Write) -> None:
    (document,) = read(write("a.jsonl", json.dumps({"headline": False, "text": PROSE})))
    assert (document.title, document.metadata) == (None, {"headline": "false"})


def test_the_user_names_the_text_column(write: Write) -> None:
    path = write("a.csv", "text,title,lead\nbody words,Head,lead words\n")
    (document,) = read_documents(path, text_column="lead")
    assert isinstance(document, Document)
    assert document.text == "Head\n\nlead words"
    assert document.metadata == {"text": "body words"}
    failure = only_failure(path, text_column="nope")
    assert failure.reason is Reason.NO_TEXT_COLUMN
    assert "'nope'" in failure.message


def test_a_title_may_be_named_as_the_text(write: Write) -> None:
    (document,) = read_documents(write("a.csv", "title,n\nHead,1\n"), text_column="title")
    assert isinstance(document, Document)
    assert (document.text, document.title) == ("Head", None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "alpha,beta\n1,2\n3,4\n"),
        ("a.jsonl", '{"alpha": 1, "beta": 2}\n' * 50),
        ("a.json", '[{"alpha": 1, "beta": 2}]'),
    ],
)
def test_no_text_column_is_one_failure_that_lists_the_columns(
    write: Write, name: str, content: str
) -> None:
    failure = only_failure(write(name, content))
    assert failure.reason is Reason.NO_TEXT_COLUMN
    assert "alpha, beta" in failure.message
    assert failure.where is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,body\n1,One is open.\n2.5,Two is shut.\n"),
        ("a.jsonl", '{"text": 1, "body": "One is open."}\n{"text": 2, "body": "Two is shut."}\n'),
    ],
)
def test_a_column_of_numbers_is_no_text(write: Write, name: str, content: str) -> None:
    path = write(name, content)
    assert [d.text for d in documents(read_documents(path))] == ["One is open.", "Two is shut."]
    failure = only_failure(path, text_column="text")
    assert failure.reason is Reason.NO_TEXT_COLUMN
    assert failure.message.startswith(
        "column 'text' holds numbers or dates, not text; it has text, body"
    )


def test_a_text_may_begin_with_a_number(write: Write) -> None:
    first, second = documents(read_documents(write("a.csv", "text,body\n1984,x\nIt is shut.,y\n")))
    assert (first.text, second.text) == ("1984", "It is shut.")
    assert second.metadata == {"body": "y"}


def test_a_column_of_another_type_is_no_text(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    table = {"content": pa.array([0, 1], pa.timestamp("s")), "passage": [0, 1]}
    pq.write_table(pa.table(table | {"story": ["One is open.", "Two is shut."]}), path)
    assert [d.text for d in documents(read_documents(path))] == ["One is open.", "Two is shut."]
    pq.write_table(pa.table(table), path)
    failure = only_failure(path)
    assert failure.reason is Reason.NO_TEXT_COLUMN
    assert "column 'content' holds numbers or dates" in failure.message


# --- CSV --------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters_and_quoted_newlines(write: Write, delimiter: str) -> None:
    text = 'He said: "no, never; not | at all"\r\n\r\nand\tleft.'
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter)
    writer.writerows([["id", "when, where", "text"], ["7", "May", text], ["8", "June", PROSE]])
    first, second = read(write("a.csv", table.getvalue()))
    assert (first.id, first.text, first.metadata) == ("7", text, {"when, where": "May"})
    assert second.text == PROSE


def test_tsv_and_csv_in_another_encoding(write: Write) -> None:
    (document,) = read(write("a.tsv", 'title\ttext\nHead\tA, b; "c" and d\n'))
    assert document.text == 'Head\n\nA, b; "c" and d'
    first, second = read(
        write("a.csv", f"id,text\n1,{CURLY.replace(',', '')}\n2,x\n".encode("cp1252"))
    )
    assert first.text == CURLY.replace(",", "")
    assert second.warnings == ("read as windows-1252",)
    assert read(write("b.csv", f"id;text\n1;{PROSE}\n".encode("utf-16")))[0].text == PROSE


def test_bad_rows_of_csv_are_failures_of_their_own(write: Write) -> None:
    path = write(
        "a.csv",
        'id,text,n\n1,"two\nlines",x\n2,unquoted, comma,x\n\n3,A\0B,x\n4,fine\n'
        '5,"never closed\n6,x,x\n',
    )
    items = list(read_documents(path))
    assert [d.text for d in documents(items)] == ["two\nlines", "fine"]
    assert documents(items)[1].warnings == ("2 fields where the header has 3",)
    failures = [item for item in items if isinstance(item, Failure)]
    assert [f.where for f in failures] == ["row 2 (line 4)", "row 3 (line 6)", "row 5 (line 8)"]
    assert {f.reason for f in failures} == {Reason.MALFORMED}
    assert "never closed" in failures[2].message


def test_csv_field_of_more_than_the_default_limit(write: Write) -> None:
    (document,) = read(write("a.csv", f'text\n"{PROSE * 3000}"\n'))
    assert document.text == PROSE * 3000


def test_csv_without_rows(write: Write) -> None:
    assert only_failure(write("a.csv", "id,text\n")).reason is Reason.NO_TEXT


def test_bad_bytes_in_one_row_of_csv(write: Write) -> None:
    items = list(read_documents(write("a.csv", "text\n“one”\n“two”\n".encode() + b"It\x92s\nfour")))
    assert [d.text for d in documents(items)] == ["“one”", "“two”", "four"]
    assert isinstance(items[2], Failure)
    assert items[2].reason is Reason.ENCODING


# --- Parquet ----------------------------------------------------------------------------------


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "text": [PROSE, None, "Words"],
            "headline": [True, False, None],
            "when": pa.array([1, 2, 3], pa.timestamp("ns")),
            "share": [0.5, float("nan"), None],
            "source": pa.array(["a", "b", "a"]).dictionary_encode(),
            "picture": [b"\xff", b"\xff", b"\xff"],
            "list": [[1], [2], [3]],
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    first, none, last = read_documents(path)
    assert first == Document(
        id="a.parquet#1",
        text=PROSE,
        source="a",
        metadata={"when": "1970-01-01 00:00:00.000000001", "share": "0.5", "headline": "true"},
    )
    assert isinstance(none, Failure)
    assert (none.reason, none.where) == (Reason.NO_TEXT, "row 2")
    assert isinstance(last, Document)
    assert "share" not in last.metadata

    packed = tmp_path / "b.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [d.text for d in documents(read_documents(packed))] == [PROSE, "Words"]

    cut = tmp_path / "cut.parquet"
    cut.write_bytes(path.read_bytes()[:-20])
    assert only_failure(cut).reason is Reason.MALFORMED

    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(path.read_bytes().replace(b"The council", b"\xffhe council"))
    assert [item.reason for item in read_documents(damaged) if isinstance(item, Failure)] == [
        Reason.ENCODING,
        Reason.NO_TEXT,
    ]


# --- invariants ------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(lambda text: f"w{text}")

PRINTED = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\r\n"), max_size=60
).map(lambda text: f"w{text}")


@QUICK
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_json_text_comes_back_at_its_offset(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"title": t, "text": b}) + "\n" for t, b in rows))
    read_back = read(path)
    assert [d.text[d.body_start :] for d in read_back] == [body for _, body in rows]
    for document in read_back:
        assert document.body_start in (0, len(document.title or "") + 2)


@QUICK
@given(texts=st.lists(PRINTED, min_size=1, max_size=5), delimiter=st.sampled_from(",;\t|"))
def test_csv_text_comes_back(tmp_path: Path, texts: list[str], delimiter: str) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([["id", "text"], *([str(n), text] for n, text in enumerate(texts))])
    assert [d.text for d in read(path)] == texts
