"""Reading files, whatever is in them: packed, long, missing, hostile."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import (
    LINES,
    PAGE,
    PROSE,
    QUICK,
    ROWS,
    Write,
    documents,
    make_pdf,
    only_failure,
    set_lines,
)

from framing.text.bytes_in import MAX_FILE_BYTES, _zstd
from framing.text.document import Document, Failure, ReadError, Reason
from framing.text.readers import read, read_documents
from framing.text.records import MAX_ROW_CHARACTERS

zstd = _zstd()


# --- files as such ----------------------------------------------------------------------------


def test_missing_file(tmp_path: Path) -> None:
    assert only_failure(tmp_path / "no.txt").reason is Reason.NOT_FOUND


def test_directory(tmp_path: Path) -> None:
    assert only_failure(tmp_path).reason is Reason.IS_DIRECTORY


@pytest.mark.parametrize(
    "name", ["a.txt", "a.md", "a.html", "a.pdf", "a.json", "a.jsonl", "a.csv", "a.parquet", "a"]
)
def test_empty_file(write: Write, name: str) -> None:
    assert only_failure(write(name, "")).reason is Reason.EMPTY
    assert only_failure(write(f"{name}.gz", gzip.compress(b""))).reason is Reason.EMPTY
    assert only_failure(write(f"{name}.zst", zstd.compress(b""))).reason is Reason.EMPTY


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.jsonl", "a"])
def test_no_words(write: Write, name: str) -> None:
    assert only_failure(
        write(name, " \n\t\r\n — …\n"[: 5 if name == "a.jsonl" else None])
    ).reason is (Reason.NO_TEXT)


def test_unknown_suffix_is_read_as_text_with_a_warning(write: Write) -> None:
    (document,) = read(write("a.story", PROSE))
    assert document.text == PROSE
    assert document.warnings == ("unknown suffix .story: read as plain text",)
    assert read(write("README", PROSE))[0].warnings == ()


def test_unknown_suffix_that_is_no_text(write: Write) -> None:
    failure = only_failure(write("a.xyz", "“One” “two”.".encode() + b"\xff"))
    assert failure.reason is Reason.UNSUPPORTED
    assert ".xyz" in failure.message


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for content, text in ((PROSE, PROSE), (f"<!doctype html><p>{PROSE}</p>", PROSE)):
        stream = io.TextIOWrapper(io.BytesIO(content.encode()))
        monkeypatch.setattr(sys, "stdin", stream)
        (document,) = read("-")
        assert (document.id, document.text) == ("stdin", text)


RECORDS = b'{"id": "a", "text": "One is open."}\n{"id": "b", "text": "Two is shut."}\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, codecs.BOM_UTF8.__add__])
@pytest.mark.parametrize(
    ("content", "ids"),
    [
        (RECORDS, ["a", "b"]),
        (b"\n" + RECORDS + b"{broken\n", ["a", "b", None]),
        (b'[{"id": "a",\n "text": "One is open."}]', ["a"]),
        (b'{"id": "a",\n "text": "One is open."}', ["a"]),
        (b"{sic} One is open.\nTwo.", ["stdin"]),
        (b"[1] One is open.", ["stdin"]),
        (b"[1, 2]", ["stdin"]),
    ],
)
def test_records_on_standard_input(
    monkeypatch: pytest.MonkeyPatch,
    pack: Callable[[bytes], bytes],
    content: bytes,
    ids: list[str | None],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(content))))
    assert [item.id for item in read_documents("-")] == ids


def test_a_long_first_record_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"text": PROSE * 1000}).encode() + b"\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line * 3)))
    assert len(list(read_documents("-"))) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input is empty: check what is piped in"),
        (b" \n", "there are no words in it: check what is piped in"),
        (gzip.compress(PROSE.encode())[:-9], "the gzip data ends too early: check what is piped"),
        (b"\x1f\x8bgarbage", "this is not sound gzip data: check what is piped in"),
        (b"PAR1 rest", "not text but Parquet: check what is piped in, or save it as a file and"),
        (b'{"text": "\xe2\x80\x9c\xe2\x80\x9d \xff"}\n', "as utf-8: turn it into UTF-8 first"),
    ],
)
def test_errors_of_standard_input_speak_of_it(
    monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (failure,) = read_documents("-")
    assert isinstance(failure, Failure)
    assert message in failure.message
    assert not re.search("suffix|saved|copy", failure.message)


def test_read_raises_the_first_failure(write: Write) -> None:
    path = write("a.jsonl", '{"text": "words"}\n{"text": \n')
    with pytest.raises(ReadError, match=r"a\.jsonl, line 2: malformed JSON") as caught:
        read(path)
    assert caught.value.failure.reason is Reason.MALFORMED


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    items = read_documents(tmp_path / "later.txt")
    (tmp_path / "later.txt").write_text(PROSE)
    assert next(items) == Document(id="later.txt", text=PROSE)


def test_reading_text_loads_no_heavy_package(write: Write) -> None:
    code = f"""
        import sys
        from framing.text.readers import read
        read({str(write("a.txt", PROSE))!r})
        heavy = "trafilatura lxml pyarrow pypdfium2 backports charset_normalizer numpy py3langid"
        print(*(name for name in heavy.split() if name in sys.modules))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []


# --- compression ------------------------------------------------------------------------------

PACKERS = {".gz": gzip.compress, ".zst": zstd.compress}


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_files_read_like_plain_ones(write: Write, suffix: str) -> None:
    assert read(write(f"a.jsonl{suffix}", PACKERS[suffix](LINES))) == read(write("a.jsonl", LINES))
    (document,) = read(write(f"a.txt{suffix}", PACKERS[suffix](PROSE.encode())))
    assert document == Document(id=f"a.txt{suffix}", text=PROSE)


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_files_in_several_members(write: Write, suffix: str) -> None:
    pack = PACKERS[suffix]
    packed = pack(LINES[:1000]) + pack(b"") + pack(LINES[1000:])
    assert len(read(write(f"a.jsonl{suffix}", packed))) == len(ROWS)


@pytest.mark.parametrize("suffix", PACKERS)
def test_truncated_packed_file_gives_the_rows_before_the_cut(write: Write, suffix: str) -> None:
    noise = random.Random(0)  # does not compress: the blocks before the cut are whole
    rows = [{"text": f"row {n} {noise.randbytes(200).hex()}"} for n in range(2000)]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    packed = PACKERS[suffix](lines)
    *before, last = read_documents(write(f"a.jsonl{suffix}", packed[: len(packed) * 4 // 5]))
    assert isinstance(last, Failure)
    assert last.reason is Reason.TRUNCATED
    assert len(before) > 1000
    assert [d.text for d in documents(before)] == [row["text"] for row in rows[: len(before)]]


@pytest.mark.parametrize("suffix", PACKERS)
def test_text_cut_in_its_packing_is_not_read_by_halves(write: Write, suffix: str) -> None:
    packed = PACKERS[suffix](PROSE.encode())
    assert only_failure(write(f"a.txt{suffix}", packed[:-9])).reason is Reason.TRUNCATED


@pytest.mark.parametrize("suffix", PACKERS)
def test_what_is_not_packed_is_refused(write: Write, suffix: str) -> None:
    failure = only_failure(write(f"a.txt{suffix}", PROSE))
    assert failure.reason is Reason.MALFORMED
    assert "suffix" in failure.message


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_stopped_early(write: Write, suffix: str) -> None:
    pack = {".gz": lambda data: gzip.compress(data, 1), ".zst": zstd.compress}[suffix]
    bomb = write(f"a.txt{suffix}", pack(bytes(20 * 2**20).replace(b"\0", b"a")) * 5)
    assert only_failure(bomb).reason is Reason.TOO_LARGE


# --- size -------------------------------------------------------------------------------------


def test_a_very_long_line_of_text(write: Write) -> None:
    failure = only_failure(write("a.txt", b"word " * (MAX_FILE_BYTES // 5 + 1)))
    assert failure.reason is Reason.TOO_LARGE


def test_a_very_long_row_costs_only_itself(write: Write) -> None:
    long = "word " * (MAX_ROW_CHARACTERS // 5 + 1)
    json_rows = f'{{"text": "one"}}\n{{"text": "{long}"}}\n{{"text": "three"}}\n'
    first, failure, third = read_documents(write("a.jsonl", json_rows))
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.where) == (Reason.TOO_LARGE, "line 2")
    assert [d.id for d in documents([first, third])] == ["a.jsonl#1", "a.jsonl#3"]

    first, failure, third = read_documents(write("a.csv", f'text\none\n"{long}"\nthree\n'))
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.where) == (Reason.TOO_LARGE, "row 2 (line 3)")
    assert [d.text for d in documents([first, third])] == ["one", "three"]


# --- invariants -------------------------------------------------------------------------------

SUFFIXES = ["txt", "md", "html", "json", "jsonl", "csv", "tsv", "txt.gz", "csv.zst", "xyz"]


@QUICK
@given(content=st.binary(min_size=1, max_size=300), suffix=st.sampled_from(SUFFIXES))
def test_no_bytes_whatever_raise(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    items = list(read_documents(path))
    assert items
    for item in items:
        if isinstance(item, Document):
            assert item.text.encode()
        else:
            assert len(str(item).splitlines()) == 1
            assert item.path == str(path)


@QUICK
@given(cut=st.integers(0, 10_000), name=st.sampled_from(["a.jsonl", "a.html", "a.pdf", "a.json"]))
def test_no_cut_raises(tmp_path: Path, cut: int, name: str) -> None:
    whole = {
        "a.jsonl": LINES,
        "a.html": PAGE.encode(),
        "a.pdf": make_pdf([set_lines()]),
        "a.json": b"[" + LINES.strip().replace(b"\n", b",") + b"]",
    }[name]
    (tmp_path / name).write_bytes(whole[: cut % len(whole)])
    assert list(read_documents(tmp_path / name))
