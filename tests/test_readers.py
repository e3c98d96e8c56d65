"""Readers: every format, every packing, and every way a file can be bad."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framing.text.bytes_in import MAX_FILE_BYTES, _zstd
from framing.text.document import Document, Failure, ReadError, Reason
from framing.text.readers import read, read_documents
from framing.text.records import MAX_ROW_CHARACTERS

zstd = _zstd()

PROSE = "The council votes on the toll in May. A spokesman said the figures speak for themselves."
Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer


def documents(items: Iterable[Document | Failure]) -> list[Document]:
    return [item for item in items if isinstance(item, Document)]


def only_failure(path: Path | str, **options: str) -> Failure:
    (item,) = read_documents(path, **options)
    assert isinstance(item, Failure), item
    assert "\n" not in str(item)
    assert str(item).startswith(str(path))
    return item


# --- plain text and its encodings -------------------------------------------------------------


def test_text_is_kept_as_it_is(write: Write) -> None:
    text = "\n  First line.\r\n\r\nSecond “line”. \t\n"
    (document,) = read(write("a.txt", text))
    assert document.text == text
    assert (document.id, document.title, document.body_start) == ("a.txt", None, 0)
    assert document.warnings == ()


def test_markdown_is_kept_as_it_is_and_gives_its_title(write: Write) -> None:
    text = f"# The toll vote #\n\n{PROSE} See [the plan](https://example.org).\n\n* One\n* Two\n"
    (document,) = read(write("a.md", text))
    assert document.text == text
    assert document.title == "The toll vote"


RUSSIAN = (
    "Совет проголосует по тарифу в мае. Представитель порта заявил, что цифры говорят сами за "
    "себя и что мост закроют на год. Водителей направят в северный тоннель."
)
POLISH = (
    "Rada zagłosuje nad opłatą w maju. Rzecznik powiedział, że liczby mówią same za siebie. Most "
    "zostanie zamknięty na rok, a kierowcy pojadą północnym tunelem, który już jest przeciążony."
)
FRENCH = (
    "Le conseil votera sur le péage en mai. Un porte-parole a déclaré que les chiffres parlaient "
    "d'eux-mêmes. Le pont sera fermé pendant un an, a précisé l'autorité, où règne l'inquiétude."
)
JAPANESE = "市議会は五月に通行料について投票する。報道官は数字がすべてを物語っていると述べた。"
CHINESE = "市议会将于五月就通行费进行投票。一位发言人表示，数字说明一切，大桥将关闭一年。"
CURLY = "It’s the café’s £5 — “fine”, says José Muñoz. " + PROSE


@pytest.mark.parametrize(
    ("text", "codec", "named"),
    [
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (POLISH, "cp1250", "windows-1250"),
        (FRENCH, "latin-1", "windows-1252"),
        (CURLY, "cp1252", "windows-1252"),
        ("It’s “fine”.", "cp1252", "windows-1252"),
        (JAPANESE, "euc_jp", "euc-jp"),
        (JAPANESE, "cp932", "cp932"),
        (CHINESE, "gb18030", "gb18030"),
        (PROSE, "utf-16", "utf-16"),
        (RUSSIAN, "utf-16", "utf-16"),
        (PROSE, "utf-16-le", "utf-16-le"),
        (PROSE, "utf-16-be", "utf-16-be"),
        (PROSE, "utf-32", "utf-32"),
    ],
)
def test_other_encodings_are_read_and_reported(
    write: Write, text: str, codec: str, named: str
) -> None:
    (document,) = read(write("a.txt", text.encode(codec)))
    assert document.text == text
    assert document.warnings == (f"read as {named}",)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_characters_spoilt_before_are_reported(write: Write, name: str) -> None:
    text = "The council\ufffds toll isnâ€™t \ufffdsettled\ufffd, says Renée in São Paulo."
    content = text if name == "a.txt" else json.dumps({"text": text})
    (document,) = read(write(name, content))
    assert document.text == text
    lost, misread = document.warnings
    assert lost.startswith("3 damaged characters (\ufffd)")
    assert misread.startswith("1 damaged character (as in")


def test_byte_order_mark_of_utf8_is_no_part_of_the_text(write: Write) -> None:
    (document,) = read(write("a.txt", CURLY.encode("utf-8-sig")))
    assert document.text == CURLY
    assert document.warnings == ()


def test_damaged_utf8_is_refused_rather_than_garbled(write: Write) -> None:
    failure = only_failure(write("a.txt", "“One”.\n“Two”.\n".encode() + b"It\x92s\n"))
    assert failure.reason is Reason.ENCODING
    assert failure.where == "line 3"
    assert "0x92" in failure.message


def test_utf16_cut_inside_a_character(write: Write) -> None:
    assert only_failure(write("a.txt", PROSE.encode("utf-16")[:-1])).reason is Reason.ENCODING


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n", "PNG"),
        ("a.docx", b"PK\x03\x04rest", "Word"),
        ("a.doc", b"\xd0\xcf\x11\xe0rest", "Word"),
        ("a.txt", b"%PDF-1.7 rest", ".pdf"),
        ("a.txt", b"\x1f\x8b rest", ".gz"),
        ("a.csv", b"PAR1 rest", ".parquet"),
        ("a", b"\x7fELF\x02", "program"),
        ("a.txt", b"abc\x00def and more words", "NUL"),
        ("a.jsonl", b"abc\x00def and more words\n", "NUL"),
        ("a.csv", b"id,te\x00xt\n1,words\n", "NUL"),
        ("a.txt", bytes(range(1, 32)) * 9, "control"),
    ],
)
def test_binary_files(write: Write, name: str, content: bytes, hint: str) -> None:
    failure = only_failure(write(name, content))
    assert failure.reason is Reason.BINARY
    assert hint in failure.message


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

ROWS = [{"id": f"a{n}", "text": f"{PROSE} {'%030x' % (7**n * 10**9)}"} for n in range(1, 60)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
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


# --- web pages --------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Harbour bridge closes for a year | Coast Daily</title>
<meta property="og:title" content="Harbour bridge closes for a year">
<meta property="og:site_name" content="Coast Daily"><meta name="author" content="Mira Holt">
<meta property="article:published_time" content="2024-03-05T08:00:00Z"></head><body>
<div id="cookie-banner" class="cookie-consent"><p>We use cookies. <button>Accept</button></p></div>
<nav><ul><li><a href="/">Home</a></li><li><a href="/world">World</a></li></ul></nav>
<main><article><h1>Harbour bridge closes for a year</h1>
<div class="share-buttons"><a>Share on Facebook</a><a>Tweet</a></div>
<p>The harbour bridge will close on Monday for repairs
   that are expected to last a year, the <a href="x">port authority</a> said, citing <em>rust</em>.
</p><blockquote class="pullquote"><p>“Nobody asked the ferrymen,” says one captain.</p></blockquote>
<h2>What changes</h2>
<p>Drivers will be sent round by the northern tunnel, which carries twice the traffic it was built
for.</p><ul><li>Buses 4 and 9 stop at <b>the market</b>.</li>
<li>Ferries run<br>more often:<ul><li>on weekdays</li><li>on Sundays</li></ul></li></ul>
<table><tr><th>Day</th><th>Trips</th></tr><tr><td>Monday</td><td>20</td></tr></table>
<p>The council votes on the toll in May. A spokesman said “the figures speak for themselves”.</p>
</article></main><aside><h3>Most read</h3><ul><li><a>Something else</a></li></ul></aside>
<footer>© 2024 Coast Daily. All rights reserved.</footer></body></html>"""


def test_page(write: Write) -> None:
    (document,) = read(write("a.html", PAGE))
    title, *blocks = document.text.split("\n\n")
    assert title == document.title == "Harbour bridge closes for a year"
    assert document.text[document.body_start :] == "\n\n".join(blocks)
    assert blocks == [
        "The harbour bridge will close on Monday for repairs that are expected to last a year, "
        "the port authority said, citing rust.",
        "“Nobody asked the ferrymen,” says one captain.",
        "What changes",
        "Drivers will be sent round by the northern tunnel, which carries twice the traffic it "
        "was built for.",
        "- Buses 4 and 9 stop at the market.\n- Ferries run more often:\n"
        "- on weekdays\n- on Sundays",
        "Day | Trips\nMonday | 20",
        "The council votes on the toll in May. A spokesman said “the figures speak for "
        "themselves”.",
    ]
    assert (document.source, document.date, document.author) == (
        "Coast Daily",
        "2024-03-05",
        "Mira Holt",
    )


@pytest.mark.parametrize("codec", ["windows-1251", "koi8-r", "utf-8", "utf-16"])
def test_page_charset_is_respected(write: Write, codec: str) -> None:
    body = "".join(f"<p>{RUSSIAN}</p>" for _ in range(3))
    page = (
        f'<html><head><meta charset="{codec}"></head><body><article>{body}</article></body></html>'
    )
    (document,) = read(write("a.html", page.encode(codec)))
    assert RUSSIAN in document.text
    assert document.warnings == (() if codec == "utf-8" else (f"read as {codec}",))


def test_page_with_a_false_charset(write: Write) -> None:
    page = f'<html><head><meta charset="iso-8859-1"></head><body><p>{CURLY}</p></body></html>'
    assert CURLY in read(write("a.html", page.encode()))[0].text
    page = f'<html><head><meta charset="rot13"></head><body><p>{CURLY}</p></body></html>'
    assert CURLY in read(write("b.html", page.encode("cp1252")))[0].text


def test_page_that_says_utf8_and_is_damaged_is_refused(write: Write) -> None:
    page = '<html><head><meta charset="utf-8"></head><body><p>“One” {}</p></body></html>'
    broken = page.format("BAD").encode().replace(b"BAD", b"\x92 \xa2 \x80 \xff" * 9)
    assert only_failure(write("a.html", broken)).reason is Reason.ENCODING


def test_page_of_few_words_and_of_none(write: Write) -> None:
    page = "<html><body><div>Only a few words.</div><div>And more.</div></body></html>"
    (document,) = read(write("a.html", page))
    assert document.text.split() == "Only a few words. And more.".split()
    empty = write("b.html", "<html><body><script>var words = 1</script></body></html>")
    assert only_failure(empty).reason is Reason.NO_TEXT


@pytest.mark.parametrize(
    "page",
    [
        "<html><body>" + "<div>" * 100_000 + f"<p>{PROSE}",
        "<html><body>" + f"<p>{PROSE}</p>" * 40_000,
        "<html><body><p>" + PROSE * 120_000,
    ],
    ids=["deep", "many", "long"],
)
def test_hostile_pages_are_refused(write: Write, page: str) -> None:
    assert only_failure(write("a.html", page)).reason is Reason.TOO_LARGE


def test_pages_with_huge_tags_are_read(write: Write) -> None:
    attributes = " ".join(f'a{n}="x"' for n in range(50_000))
    picture = "A" * 9 * 2**20
    page = f'<html><body><p {attributes}>{PROSE}</p><img src="data:image/png;base64,{picture}">'
    assert PROSE in read(write("a.html", page))[0].text


# --- PDF --------------------------------------------------------------------------------------

Line = tuple[float, float, float, str]


def make_pdf(pages: list[list[Line]], info: str = "", trailer: str = "") -> bytes:
    """Write a PDF by hand: each page a list of (x, y, size, text)."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects += [font, f"<< {info} >>".encode("cp1252")]
    kids = []
    for lines in pages:
        shown = [f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n" for x, y, size, text in lines]
        stream = "".join(shown).encode("cp1252")
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), len(kids))
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer << /Size %d /Root 1 0 R /Info 4 0 R %b >>\n"
        b"startxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, trailer.encode(), len(out))
    )


PARAGRAPHS = [
    "The harbour bridge will close on Monday for repairs that are expected to last a year, the "
    "port authority said, citing rust in the main cables and cracks that are well-known.",
    "Drivers will be sent round by the northern tunnel, which carries twice the traffic it was "
    "built for. Nobody asked the ferrymen, one captain said on the quay.",
    PROSE,
]


def set_lines(gap: float = 0, indent: float = 0, width: int = 70, x: float = 72) -> list[Line]:
    lines: list[Line] = []
    y = 700.0
    for paragraph in PARAGRAPHS:
        for place, text in enumerate(textwrap.wrap(paragraph, width)):
            lines.append((x + (indent if place == 0 else 0), y, 11, text))
            y -= 14
        y -= gap
    return lines


needs_pdf = pytest.mark.skipif(find_spec("pypdfium2") is None, reason="needs the pdf extra")


@needs_pdf
@pytest.mark.parametrize(("gap", "indent"), [(8, 0), (0, 18), (0, 0)])
def test_pdf_lines_are_joined_to_paragraphs(write: Write, gap: float, indent: float) -> None:
    info = "/Title (Bridge closes) /Author (Mira Holt) /CreationDate (D:20240305080000Z)"
    pdf = make_pdf([[(72, 740, 20, "Bridge closes"), *set_lines(gap, indent)]], info)
    (document,) = read(write("a.pdf", pdf))
    assert document.text.split("\n\n") == ["Bridge closes", *PARAGRAPHS]
    assert (document.title, document.author) == ("Bridge closes", "Mira Holt")


@needs_pdf
def test_pdf_columns_page_numbers_and_running_heads(write: Write) -> None:
    left = set_lines(indent=12, width=34)
    right = [(x + 260, y, size, text) for x, y, size, text in left]
    pages = [
        [(72, 770, 9, "Coast Daily"), *left, *right, (300, 30, 9, str(number))]
        for number in (1, 2, 3)
    ]
    (document,) = read(write("a.pdf", make_pdf(pages)))
    assert document.text.split("\n\n") == PARAGRAPHS * 6


@needs_pdf
def test_pdf_paragraph_over_a_page_break_and_a_list(write: Write) -> None:
    first = set_lines(gap=8)[:-1]
    rest = set_lines(gap=8)[-1]
    second = [(72, 700, 11, rest[3]), (72, 672, 11, "- One item"), (72, 658, 11, "- Two items")]
    (document,) = read(write("a.pdf", make_pdf([first, second])))  # type: ignore[list-item]
    assert document.text.split("\n\n") == [*PARAGRAPHS, "- One item", "- Two items"]


@needs_pdf
def test_pdf_broken_words_are_made_whole(write: Write) -> None:
    texts = [
        "The port author-",
        "ity said the well-",
        "known bridge is",
        "closed: it is well-known.",
    ]
    lines = [(72.0, 700.0 - 14 * n, 11.0, text) for n, text in enumerate(texts)]
    (document,) = read(write("a.pdf", make_pdf([lines])))
    assert (
        document.text
        == "The port authority said the well-known bridge is closed: it is well-known."
    )


@needs_pdf
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_pdf([set_lines()])[:700], Reason.TRUNCATED),
        (b"%PDF-1.4\njunk\n%%EOF", Reason.MALFORMED),
        (make_pdf([[]]), Reason.NO_TEXT),
        (
            make_pdf(
                [set_lines()],
                trailer="/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 "
                f"/O <{'ab' * 32}> /U <{'cd' * 32}> >>",
            ),
            Reason.ENCRYPTED,
        ),
    ],
    ids=["truncated", "junk", "scan", "password"],
)
def test_bad_pdf(write: Write, content: bytes, reason: Reason) -> None:
    assert only_failure(write("a.pdf", content)).reason is reason


def test_pdf_without_the_extra(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    failure = only_failure(write("a.pdf", make_pdf([set_lines()])))
    assert failure.reason is Reason.UNSUPPORTED
    assert 'pip install "framing[pdf]"' in failure.message


# --- invariants -------------------------------------------------------------------------------

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
