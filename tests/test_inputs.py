"""What a run reads: files found and named, columns, and every kind of source item by item."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from framing.corpus.inputs import (
    InputError,
    Lack,
    Page,
    Unread,
    estimate,
    find_sources,
    guess,
    items,
    resolve,
)
from framing.corpus.survey import overview
from framing.text.bytes_in import _zstd
from framing.text.columns import Choice
from framing.text.document import Document, Failure, Reason
from framing.text.readers import read_documents

CALM = "The council will vote on the toll in May, a spokesman said."
PLAIN = Choice()
ROWS = [{"id": f"d{i}", "text": f"{CALM} {i}", "outlet": "Gazette", "n": i} for i in range(9)]


def put(path: Path, content: str | bytes = CALM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def names(*inputs):
    return [source.name for source in find_sources([str(each) for each in inputs]).sources]


def read(path: Path, choice=PLAIN):
    """The contents of the sources at a path, resolved."""
    return [
        resolve(item)
        for source in find_sources([str(path)]).sources
        for item in items(source, choice)
    ]


# --- finding files ----------------------------------------------------------------------------


def test_a_folder_is_searched_to_the_bottom_in_a_stable_order(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "a-b.txt", ".hidden/x.txt", "a/.DS_Store"):
        put(tmp_path / name)
    found = find_sources([str(tmp_path)])
    assert [s.name for s in found.sources] == ["a/b/c.txt", "a/z.txt", "a-b.txt", "b.txt"]
    assert [s.number for s in found.sources] == [0, 1, 2, 3]
    assert found.hidden == 2
    assert {s.size for s in found.sources} == {len(CALM)}


def test_the_hash_tells_contents_apart(tmp_path):
    for name, text in (("a.txt", "one"), ("b.txt", "one"), ("c.txt", "two")):
        put(tmp_path / name, text)
    a, b, c = (source.sha256 for source in find_sources([str(tmp_path)]).sources)
    assert a == b != c


def test_inputs_keep_their_order_and_a_file_is_read_once(tmp_path):
    for name in ("d/a.txt", "d/b.txt", "c.txt"):
        put(tmp_path / name)
    assert names(tmp_path / "c.txt", tmp_path / "d") == ["c.txt", "a.txt", "b.txt"]
    assert names(tmp_path / "d" / "b.txt", tmp_path / "d", tmp_path / "d") == ["b.txt", "a.txt"]


def test_names_are_unique(tmp_path, monkeypatch):
    for name in ("x/a.txt", "y/a.txt", "y/b.txt"):
        put(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert names("x", "y") == ["x/a.txt", "y/a.txt", "b.txt"]
    assert names("x/a.txt", "y/a.txt") == ["x/a.txt", "y/a.txt"]


def test_globs(tmp_path):
    for name in ("a.txt", "b.html", "c/d.txt", "e[1].txt"):
        put(tmp_path / name)
    assert names(f"{tmp_path}/*.txt") == ["a.txt", "e[1].txt"]
    assert names(f"{tmp_path}/**/*.txt") == ["a.txt", "d.txt", "e[1].txt"]
    assert names(f"{tmp_path}/e[1].txt") == ["e[1].txt"]


@pytest.mark.parametrize("given", ["gone.txt", "*.gone", "-", "empty", "/dev/null"])
def test_an_input_that_is_not_there_is_one_line(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        find_sources([given])
    assert given in str(error.value) or given == "-"
    assert "\n" not in str(error.value)


def test_what_is_no_regular_file_is_left_out(tmp_path):
    import os

    put(tmp_path / "a.txt")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert names(tmp_path) == ["a.txt"]


def test_a_name_that_is_no_text(tmp_path):
    import os

    put(tmp_path / "a.txt")
    (tmp_path / "a.txt").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
    (source,) = find_sources([str(tmp_path)]).sources
    assert source.name == "\\xff.txt"
    assert isinstance(resolve(*items(source, PLAIN)), Document)


# --- items ------------------------------------------------------------------------------------


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv_table(rows):
    lines = ["id,text,outlet,n", *(f'{r["id"]},"{r["text"]}",{r["outlet"]},{r["n"]}' for r in rows)]
    return "\n".join(lines).encode()


def parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=4)
    return out.getvalue()


def arrow(rows, kind="new_stream"):
    import pyarrow as pa

    out = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with getattr(pa.ipc, kind)(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", jsonl(ROWS)),
        ("a.json", json.dumps(ROWS).encode()),
        ("a.csv", csv_table(ROWS)),
        ("a.parquet", parquet(ROWS)),
        ("a.arrow", arrow(ROWS)),
        ("a.arrow", arrow(ROWS, "new_file")),
        ("a.jsonl.gz", gzip.compress(jsonl(ROWS))),
        ("a.csv.zst", _zstd().compress(csv_table(ROWS))),
        ("a.parquet.gz", gzip.compress(parquet(ROWS))),
    ],
)
def test_tables_give_an_item_to_a_row(tmp_path, name, content):
    path = put(tmp_path / "in" / name, content)
    (source,) = find_sources([str(path)]).sources
    found = list(items(source, PLAIN))
    assert [(item.source, item.position) for item in found] == [(0, i) for i in range(9)]
    documents = [resolve(item) for item in found]
    assert [d.text for d in documents] == [row["text"] for row in ROWS]
    assert [d.id for d in documents] == [row["id"] for row in ROWS]
    assert {d.source for d in documents} == {"Gazette"}
    assert documents == list(read_documents(path))
    assert list(items(source, PLAIN, start=6)) == found[6:]
    columns = guess(source, PLAIN)
    assert (columns.text, columns.id, columns.source, columns.date) == (
        "text",
        "id",
        "outlet",
        None,
    )
    assert estimate(source, PLAIN) == (9, True)


def test_a_file_of_one_document_is_left_to_the_worker(tmp_path):
    put(tmp_path / "sub" / "a.txt")
    put(tmp_path / "b.html", f"<html><body><p>{CALM}</p></body></html>")
    put(tmp_path / "c.txt", "")
    sources = find_sources([str(tmp_path)]).sources
    found = [item for source in sources for item in items(source, PLAIN)]
    assert all(isinstance(item.content, Unread) for item in found)
    page, empty, text = map(resolve, found)
    assert (text.id, text.text) == ("sub/a.txt", CALM)
    assert (page.id, page.text) == ("b.html", CALM)
    assert (empty.reason, empty.path) == (Reason.EMPTY, "c.txt")
    assert [guess(source, PLAIN) for source in sources] == [None] * 3


def test_a_damaged_table_ends_in_a_failure(tmp_path):
    cut_short = gzip.compress(jsonl(ROWS * 4000), 1)[:-900]
    *documents, failure = read(put(tmp_path / "a.jsonl.gz", cut_short))
    assert len(documents) > 1000
    assert (failure.reason, failure.path) == (Reason.TRUNCATED, "a.jsonl.gz")


def test_a_document_as_long_as_a_library_is_refused(tmp_path):
    (failure,) = read(put(tmp_path / "a.txt", "word " * 900_000))
    assert failure.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_bomb_of_blank_lines_is_stopped_early(tmp_path, suffix):
    pack = {".gz": lambda data: gzip.compress(data, 9), ".zst": _zstd().compress}[suffix]
    blank = pack(b"\n" * (1 << 22)) * 9
    found = read(put(tmp_path / f"a.jsonl{suffix}", blank))
    assert [failure.reason for failure in found] == [Reason.MALFORMED]


# --- columns the user names -------------------------------------------------------------------

NAMED = Choice(text="lead", title="kicker", id="url", source="paper", date="day")
ODD = {"lead": CALM, "kicker": "Toll", "url": "u1", "paper": "Gazette", "day": "2026-05-01"}


def test_named_columns_are_read(tmp_path):
    others = {"text": "not this", "id": "nor this", "title": "nor", "date": "nor", "source": "nor"}
    (document,) = read(put(tmp_path / "a.jsonl", jsonl([ODD | others])), NAMED)
    assert document.text == f"Toll\n\n{CALM}"
    assert (document.id, document.source) == ("u1", "Gazette")
    assert (document.date, document.title) == ("2026-05-01", "Toll")
    assert document.metadata == others


def test_a_named_column_that_is_not_there_is_one_failure_that_names_it(tmp_path):
    (failure,) = read(put(tmp_path / "a.jsonl", jsonl(ROWS)), Choice(source="paper"))
    assert failure.reason is Reason.NO_TEXT_COLUMN
    assert "no column is called 'paper'" in failure.message
    assert "--source-column" in failure.message
    (source,) = find_sources([str(tmp_path)]).sources
    assert guess(source, Choice(source="paper")) is None


def test_a_key_that_comes_and_goes(tmp_path):
    rows = [{"lead": CALM}, ODD, {"lead": CALM}]
    first, second, third = read(put(tmp_path / "a.jsonl", jsonl(rows)), NAMED)
    assert (first.id, second.id, third.id) == ("a.jsonl#1", "u1", "a.jsonl#3")


# --- datasets saved on disk -------------------------------------------------------------------


def test_a_dataset_saved_on_disk(tmp_path):
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(ROWS)
    whole.save_to_disk(tmp_path / "one", num_shards=2)
    assert [d.id for d in read(tmp_path / "one")] == [row["id"] for row in ROWS]
    splits = datasets.DatasetDict({"test": whole.select(range(2)), "train": whole})
    splits.save_to_disk(tmp_path / "two")
    assert names(tmp_path / "two") == [
        "test/data-00000-of-00001.arrow",
        "train/data-00000-of-00001.arrow",
    ]
    assert len(read(tmp_path / "two")) == 11


# --- web archives -----------------------------------------------------------------------------

PAGE = f"<html><head><title>The toll</title></head><body><p>{CALM}</p><p>{CALM}</p></body></html>"


def archive(path: Path, *records, packed=True):
    pytest.importorskip("warcio")
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = io.BytesIO()
    writer = WARCWriter(out, gzip=packed)
    writer.write_record(writer.create_warcinfo_record("a.warc", {"software": "test"}))
    for url, status, headers, body in records:
        kind = "response" if status else "conversion"
        writer.write_record(
            writer.create_warc_record(
                url,
                kind,
                payload=io.BytesIO(body),
                warc_headers_dict={"WARC-Date": "2026-05-01T06:00:00Z"},
                http_headers=StatusAndHeaders(status, headers, protocol="HTTP/1.1")
                if status
                else None,
                warc_content_type="" if status else "text/plain",
            )
        )
    return put(path, out.getvalue())


HTML = [("Content-Type", "text/html")]


def test_pages_of_a_web_archive(tmp_path):
    path = archive(
        tmp_path / "a.warc.gz",
        ("https://gazette.example/1", "200 OK", HTML, PAGE.encode()),
        ("https://gazette.example/gone", "404 Not Found", HTML, PAGE.encode()),
        ("https://gazette.example/a.png", "200 OK", [("Content-Type", "image/png")], b"\x89PNG"),
        (
            "https://gazette.example/2",
            "200 OK",
            [("Content-Type", "text/html; charset=koi8-r")],
            PAGE.replace("The toll", "Пошлина").encode("koi8-r"),
        ),
        (
            "https://gazette.example/3",
            "200 OK",
            [*HTML, ("Content-Encoding", "gzip")],
            gzip.compress(PAGE.encode()),
        ),
        ("https://gazette.example/4", "200 OK", HTML, b""),
    )
    (source,) = find_sources([str(path)]).sources
    found = list(items(source, PLAIN))
    assert [item.position for item in found] == [0, 1, 2, 3]
    assert isinstance(found[0].content, Page)
    first, second, third, empty = map(resolve, found)
    assert (first.id, first.source) == ("https://gazette.example/1", "gazette.example")
    assert first.text == third.text
    assert CALM in first.text
    assert first.metadata["captured"] == "2026-05-01T06:00:00Z"
    assert second.title == "Пошлина"
    assert (empty.reason, empty.where) == (Reason.EMPTY, "https://gazette.example/4")
    assert estimate(source, PLAIN) == (4, True)


def test_extracted_texts_of_a_web_archive(tmp_path):
    path = archive(
        tmp_path / "a.warc.wet.gz", ("https://gazette.example/1", None, [], CALM.encode())
    )
    (document,) = read(path)
    assert (document.text, document.source) == (CALM, "gazette.example")


@pytest.mark.parametrize("packed", [True, False])
def test_a_web_archive_that_ends_too_early(tmp_path, packed):
    records = [(f"https://gazette.example/{i}", "200 OK", HTML, PAGE.encode()) for i in range(4)]
    path = archive(tmp_path / ("a.warc.gz" if packed else "a.warc"), *records, packed=packed)
    put(path, path.read_bytes()[:-100])
    *documents, failure = read(path)
    assert len(documents) == 3
    assert failure.reason is Reason.TRUNCATED


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all\n" * 9, b"WARC/1.0\r\n\r\n", b"\0" * 999]
)
def test_what_is_no_web_archive(tmp_path, content):
    pytest.importorskip("warcio")
    (failure,) = read(put(tmp_path / "a.warc", content))
    assert isinstance(failure, Failure)
    assert failure.reason in (Reason.EMPTY, Reason.MALFORMED, Reason.NO_TEXT)


def test_a_bomb_in_a_web_archive(tmp_path):
    bomb = gzip.compress(bytes(1 << 25))
    headers = [*HTML, ("Content-Encoding", "gzip")]
    path = archive(
        tmp_path / "a.warc.gz",
        ("https://gazette.example/bomb", "200 OK", headers, bomb),
        ("https://gazette.example/1", "200 OK", HTML, PAGE.encode()),
    )
    failure, document = read(path)
    assert (failure.reason, failure.where) == (Reason.TOO_LARGE, "https://gazette.example/bomb")
    assert CALM in document.text


# --- before a run -----------------------------------------------------------------------------


def test_the_beginning_tells_how_many_documents_there_are(tmp_path):
    rows = [{"text": f"{CALM} {i} " * 60} for i in range(4000)]
    (source,) = find_sources([str(put(tmp_path / "a.jsonl", jsonl(rows)))]).sources
    documents, exact = estimate(source, PLAIN)
    assert documents == pytest.approx(4000, rel=0.02)
    assert not exact


def test_an_overview_of_the_sources(tmp_path):
    put(tmp_path / "a.jsonl", jsonl(ROWS))
    put(tmp_path / "b.jsonl", jsonl(ROWS))
    put(tmp_path / "c.csv", "no,words\n1,2\n")
    put(tmp_path / "d.txt")
    put(tmp_path / "e.parquet", b"PAR1 and then nothing")
    seen = overview(find_sources([str(tmp_path)]).sources, PLAIN)
    assert [(s.columns and s.columns.source, s.files, s.example) for s in seen.shapes] == [
        ("outlet", 2, "a.jsonl"),
        (None, 2, "c.csv"),
    ]
    assert (seen.documents, seen.exact, seen.unseen) == (21, True, 0)
    assert seen.shapes[1].why


def test_files_that_take_a_package_that_is_not_there(tmp_path, monkeypatch):
    for name in ("a.txt", "b.PDF", "c.pdf.gz", "w.warc"):
        put(tmp_path / name)
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    found = find_sources([str(tmp_path)]).sources
    expected = Lack("pdf", 2, str(tmp_path / "b.PDF"))
    assert overview(found[:3], PLAIN).lacking == (expected,)
    monkeypatch.setitem(sys.modules, "warcio", None)
    with pytest.raises(InputError, match=r"w\.warc takes .*framing\[warc,pdf\]"):
        find_sources([str(tmp_path / name) for name in ("b.PDF", "w.warc")])
